/** EXEC-03: what would be loaded into a program through its environment. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CapabilityRecord } from '@orchestry/sdk'
import { createExecCapability } from '../../runtime/capabilities/exec.ts'
import { createCapabilities } from '../../runtime/capabilities/table.ts'
import { systemClock } from '../../runtime/clock.ts'
import { resolveGrants } from '../../runtime/plugins/grants.ts'
import { openExecGuest } from '../support/exec-guest.ts'

test('EXEC-03: a manifest that names an environment is refused', () => {
  const capabilities = createCapabilities([createExecCapability({ clock: systemClock, reserved: [] })])
  for (const [place, more] of [
    ['command', { env: { LD_PRELOAD: '/tmp/evil.so' } }],
    ['command', { environment: { NODE_OPTIONS: '--require=/tmp/evil.js' } }],
    ['command', { cwd: '/tmp' }],
    ['command', { shell: true }],
    ['record', { env: { LD_PRELOAD: '/tmp/evil.so' } }],
  ] as const) {
    const command = { name: 'tool', path: '/bin/true', ...(place === 'command' ? more : {}) }
    const record: CapabilityRecord = {
      kind: 'exec',
      why: 'test',
      commands: [command],
      ...(place === 'record' ? more : {}),
    }
    const { grants, problems } = resolveGrants([record], {}, capabilities)
    assert.equal(grants.length, 0)
    assert.ok(problems.length > 0, JSON.stringify(record))
  }
})

test('EXEC-03: a program finds three words in its environment, whatever ours holds', async (t) => {
  const names = ['LD_PRELOAD', 'NODE_OPTIONS', 'ORCHESTRY_TEST_SECRET']
  t.after(() => {
    for (const name of names) delete process.env[name]
  })
  for (const name of names) process.env[name] = ''
  process.env.ORCHESTRY_TEST_SECRET = 'secret'
  const guest = await openExecGuest(t, {
    commands: [{ name: 'show', path: '/usr/bin/printenv' }],
    body: `
      const first = await ctx.exec.run('show')
      const told = []
      for (const values of [{ LD_PRELOAD: 'x' }, { env: 'x' }, { __proto__: null, NODE_OPTIONS: 'x' }])
        told.push(await tell(() => ctx.exec.run('show', values)))
      return [first.stdout.trim().split('\\n').sort(), told]`,
  })
  assert.deepEqual(await guest.attack(), [
    ['LANG=C', 'PATH=/usr/bin:/bin', 'TZ=UTC'],
    Array(3).fill('ORC_CAPABILITY_ARGUMENT'),
  ])
})
