/** FS-01: paths that lead out of the root, however they are spelled. */
import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { test } from 'node:test'
import { everyUseOfPath, filesSkip, openFilesGuest } from '../support/files-guest.ts'

const leading = [
  '../outside/secret',
  'a/../../outside/secret',
  'granted/../../outside/secret',
  './../outside/secret',
  '..',
  '.',
  '/etc/passwd',
  '//etc/passwd',
  '/proc/self/environ',
  '%2e%2e/outside/secret',
  '..%2foutside%2fsecret',
  '%2e%2e%2foutside/secret',
  '..\\outside\\secret',
  'granted\0',
  '\0',
  'granted\0/../../outside/secret',
  'a//b',
  '//',
  'a/',
  '',
  '..\u2215outside',
  '\uff0e\uff0e/outside/secret\n',
  'x'.repeat(300),
  'a/'.repeat(10_000),
]

test('FS-01: no spelling leads out of the root, and nothing is written outside', { skip: filesSkip }, async (t) => {
  const guest = await openFilesGuest(t, {
    body: `
      const told = []
      for (const path of input) {
        ${everyUseOfPath}
        if (path !== '') told.push(await tell(() => ctx.files.list('data', path)))
      }
      for (const root of ['..', '/', '__proto__', 'constructor', 'DATA', ''])
        told.push(await tell(() => ctx.files.read(root, 'granted')))
      return [told, await ctx.files.read('data', 'granted')]`,
  })
  const before = await readdir(dirname(guest.root), { recursive: true })
  // This one is a name like any other: it stands for nothing, and there is no such folder.
  const plain = new Set(['..\u2215outside'])
  const [told, still] = (await guest.attack(leading.filter((path) => !plain.has(path)))) as [string[], string]
  assert.deepEqual([...new Set(told)], ['ORC_CAPABILITY_DENIED'])
  assert.equal(still, 'granted')
  assert.deepEqual(await readdir(dirname(guest.root), { recursive: true }), before)
  assert.equal(guest.violations.length, told.length)
})
