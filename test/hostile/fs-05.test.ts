/** FS-05: what the system itself keeps in files. */
import assert from 'node:assert/strict'
import { mkdir, rename, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { createFilesCapability } from '../../runtime/capabilities/files.ts'
import { createCapabilities } from '../../runtime/capabilities/table.ts'
import { systemClock } from '../../runtime/clock.ts'
import { filesSkip, openFilesGuest } from '../support/files-guest.ts'
import { tempDir } from '../support/temp-dir.ts'

const roots = [
  '/proc',
  '/proc/self',
  '/proc/self/fd',
  '/proc/self/root/etc',
  '/proc/self/cwd',
  '/dev',
  '/sys/kernel',
  '/run',
  '/',
]

for (const path of roots) {
  test(`FS-05: the root ${path} is refused at approval, and denied when it was granted all the same`, {
    skip: filesSkip,
  }, async (t) => {
    const grantedRoots = [{ name: 'data', path, read: ['**', 'environ', 'mem', 'passwd'], write: ['**'] }]
    const table = createCapabilities([createFilesCapability({ clock: systemClock, reserved: [] })])
    assert.notEqual(table.check({ kind: 'files', why: 'test', roots: grantedRoots }).length, 0)
    await assert.rejects(table.pin({ kind: 'files', why: 'test', roots: grantedRoots }), {
      code: 'ORC_CAPABILITY_DENIED',
    })
    const guest = await openFilesGuest(t, {
      roots: grantedRoots,
      body: `
        const told = []
        for (const path of ['environ', 'mem', 'fd/0', '1/environ', 'self/environ', 'passwd'])
          told.push(await tell(() => ctx.files.read('data', path)))
        told.push(await tell(() => ctx.files.list('data')))
        told.push(await tell(() => ctx.files.write('data', 'sysrq-trigger', 'b')))
        return [...new Set(told)]`,
    })
    assert.deepEqual(await guest.attack(), ['ORC_CAPABILITY_DENIED'])
  })
}

test('FS-05: a root that becomes a link to such a place is denied from then on', { skip: filesSkip }, async (t) => {
  const dir = await tempDir(t)
  const path = join(dir, 'root')
  await mkdir(path)
  const guest = await openFilesGuest(t, {
    roots: [{ name: 'data', path, read: ['**', 'environ'] }],
    body: `return [await tell(() => ctx.files.list('data')), await tell(() => ctx.files.read('data', 'environ'))]`,
  })
  assert.deepEqual(await guest.attack(), [[], 'ORC_CAPABILITY_FAILED'])
  await rename(path, join(dir, 'moved'))
  await symlink('/proc/self', path)
  assert.deepEqual(await guest.attack(), ['ORC_CAPABILITY_DENIED', 'ORC_CAPABILITY_DENIED'])
})
