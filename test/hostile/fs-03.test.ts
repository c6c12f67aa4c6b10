/** FS-03: a hard link to a file that is somebody else's. */
import assert from 'node:assert/strict'
import { link, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { filesSkip, openFilesGuest } from '../support/files-guest.ts'

test('FS-03: a file that has another name is neither read nor replaced nor listed', { skip: filesSkip }, async (t) => {
  const guest = await openFilesGuest(t, {
    body: `return [
      await tell(() => ctx.files.read('data', 'linked')),
      await tell(() => ctx.files.tail('data', 'linked')),
      await tell(() => ctx.files.stat('data', 'linked')),
      await tell(() => ctx.files.write('data', 'linked', 'evil')),
      await tell(() => ctx.files.remove('data', 'linked')),
      (await ctx.files.list('data')).map(({ path }) => path).join(),
    ]`,
  })
  await link(join(guest.outside, 'secret'), join(guest.root, 'linked'))
  assert.deepEqual(await guest.attack(), [...Array<string>(5).fill('ORC_CAPABILITY_DENIED'), 'granted'])
  assert.equal(await readFile(join(guest.root, 'linked'), 'utf8'), 'FOREIGN')
})
