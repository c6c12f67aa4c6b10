/** FS-07: very many tiny files, and then a huge one. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { test } from 'node:test'
import { filesSkip, openFilesGuest } from '../support/files-guest.ts'

const usedKb = (path: string) => Number(spawnSync('du', ['-sk', path], { encoding: 'utf8' }).stdout.split('\t')[0])

test('FS-07: writing stops at the quota, and the disk holds no more than it', { skip: filesSkip }, async (t) => {
  const quotaKb = 512
  const guest = await openFilesGuest(t, {
    quotaKb,
    timeoutMs: 20_000,
    body: `
      const counts = {}
      for (let at = 0; at < 400; at += 8) {
        const names = Array.from({ length: 8 }, (_, index) => 'tiny-' + input + '-' + (at + index))
        for (const told of await Promise.all(names.map((name) => tell(() => ctx.files.write('data', name, 'x')))))
          counts[told] = (counts[told] ?? 0) + 1
      }
      counts.huge = await tell(() => ctx.files.write('data', 'huge', 'x'.repeat(400000)))
      counts.within = await tell(() => ctx.files.write('data', 'granted', 'x'.repeat(200000)))
      return counts`,
  })
  const emptyKb = usedKb(guest.root) - 4
  const first = (await guest.attack(0)) as Record<string, unknown>
  for (let round = 1; round < 5; round += 1) await guest.attack(round)
  const files = await readdir(guest.root)
  assert.equal(files.length, quotaKb / 4, 'a file takes a block, however tiny it is')
  assert.equal(first.ORC_CAPABILITY_LIMIT, 400 - (files.length - 1))
  assert.deepEqual([first.huge, first.within], ['ORC_CAPABILITY_LIMIT', 'ORC_CAPABILITY_LIMIT'])
  const keptKb = usedKb(guest.root) - emptyKb
  assert.ok(keptKb <= quotaKb, `${keptKb} KB`)
})
