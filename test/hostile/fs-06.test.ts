/** FS-06: patterns and paths that are made to be slow. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createFilesCapability } from '../../runtime/capabilities/files.ts'
import { createCapabilities } from '../../runtime/capabilities/table.ts'
import { systemClock } from '../../runtime/clock.ts'
import { resolveGrants } from '../../runtime/plugins/grants.ts'
import { filesSkip, openFilesGuest } from '../support/files-guest.ts'

test('FS-06: a manifest with more than one ** is refused', { skip: filesSkip }, () => {
  const capabilities = createCapabilities([createFilesCapability({ clock: systemClock, reserved: [] })])
  for (const pattern of ['**/**/**', '**/**', 'a/**/b/**', '${config.pattern}']) {
    const asked = { kind: 'files', why: 'test', roots: [{ name: 'data', path: '/srv/data', read: [pattern] }] } as const
    const record = JSON.parse(JSON.stringify(asked)) as Parameters<typeof resolveGrants>[0][number]
    const { grants, problems } = resolveGrants([record], { pattern: '**/**/**' }, capabilities)
    assert.equal(grants.length, 0)
    assert.match(problems[0]?.message ?? '', /more than one \*\*/)
  }
})

test('FS-06: paths of 10 000 parts are denied as fast as any other', { skip: filesSkip }, async (t) => {
  const guest = await openFilesGuest(t, {
    roots: [{ name: 'data', path: '/srv', read: [`**/${'*a'.repeat(60)}*b`] }],
    body: `
      const long = Array(10000).fill('a').join('/')
      const worst = 'a'.repeat(255)
      const told = []
      for (let round = 0; round < 100; round += 1) {
        told.push(await tell(() => ctx.files.read('data', long)))
        told.push(await tell(() => ctx.files.read('data', worst)))
      }
      return [...new Set(told)]`,
  })
  const startedMs = performance.now()
  assert.deepEqual(await guest.attack(), ['ORC_CAPABILITY_DENIED'])
  // With the crossing of two megabytes; what the match itself takes is measured in files-glob.test.ts.
  assert.ok(performance.now() - startedMs < 2_000)
})
