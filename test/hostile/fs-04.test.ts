/** FS-04: what is no regular file, and one that is far too large. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdir, truncate, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { filesSkip, openFilesGuest } from '../support/files-guest.ts'

test('FS-04: pipes, devices, sockets and folders are denied, a huge file is refused, and nothing hangs', {
  skip: filesSkip,
}, async (t) => {
  const guest = await openFilesGuest(t, {
    body: `
      const denied = []
      for (const path of input)
        for (const run of [
          () => ctx.files.read('data', path),
          () => ctx.files.tail('data', path),
          () => ctx.files.stat('data', path),
          () => ctx.files.write('data', path, 'x'),
          () => ctx.files.remove('data', path),
        ]) denied.push(await tell(run))
      return {
        denied: [...new Set(denied)],
        whole: await tell(() => ctx.files.read('data', 'huge')),
        part: (await ctx.files.read('data', 'huge', { offset: 5 * 2 ** 30, maxBytes: 2 ** 40 })).length,
        tail: (await ctx.files.tail('data', 'huge')).text,
      }`,
  })
  const at = (name: string) => join(guest.root, name)
  const special = ['pipe', 'folder', 'socket']
  assert.equal(spawnSync('mkfifo', [at('pipe')]).status, 0)
  await mkdir(at('folder'))
  const server = createServer().listen(at('socket'))
  t.after(() => server.close())
  // Where the machine lets us make them.
  if (spawnSync('mknod', [at('zero'), 'c', '1', '5']).status === 0) special.push('zero')
  await writeFile(at('huge'), '')
  await truncate(at('huge'), 10 * 2 ** 30)
  const startedMs = performance.now()
  assert.deepEqual(await guest.attack(special), {
    denied: ['ORC_CAPABILITY_DENIED'],
    whole: 'ORC_CAPABILITY_LIMIT',
    part: 256 * 1024,
    tail: '',
  })
  assert.ok(performance.now() - startedMs < 3_000)
})
