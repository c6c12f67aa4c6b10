/** FS-02: symbolic links, standing and swapped in while files are read. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { everyUseOfPath, filesSkip, openFilesGuest } from '../support/files-guest.ts'

test('FS-02: a symbolic link is never followed, at the end of a path or on the way', { skip: filesSkip }, async (t) => {
  const paths = ['link', 'folder/passwd', 'inner', 'loop', 'dangling']
  const guest = await openFilesGuest(t, {
    body: `
      const told = []
      for (const path of input) {
        ${everyUseOfPath}
      }
      told.push(await tell(() => ctx.files.list('data', 'folder')))
      return [told, (await ctx.files.list('data')).map(({ path }) => path)]`,
  })
  await symlink('/etc/passwd', join(guest.root, 'link'))
  await symlink('/etc', join(guest.root, 'folder'))
  await symlink('granted', join(guest.root, 'inner'))
  await symlink('loop', join(guest.root, 'loop'))
  await symlink(join(guest.outside, 'new'), join(guest.root, 'dangling'))
  const passwd = await readFile('/etc/passwd', 'utf8')
  const [told, listed] = (await guest.attack(paths)) as [string[], string[]]
  assert.deepEqual([...new Set(told)], ['ORC_CAPABILITY_DENIED'])
  assert.deepEqual(listed, ['granted'])
  assert.equal(await readFile('/etc/passwd', 'utf8'), passwd)
})

/** Swaps `name` in the root between what is granted and a link to what is not, as fast as it can, until it is stopped. */
async function startSwapping(t: TestContext, root: string, name: string, target: string) {
  const code = `
    const fs = require('node:fs'), [root, name, target] = process.argv.slice(1)
    const at = (file) => root + '/' + file
    process.stdout.write('go')
    for (;;) {
      fs.symlinkSync(target, at('.swap-link'))
      fs.renameSync(at(name), at('.swap-kept'))
      fs.renameSync(at('.swap-link'), at(name))
      fs.unlinkSync(at(name))
      fs.renameSync(at('.swap-kept'), at(name))
    }`
  const swapper = spawn(process.execPath, ['-e', code, root, name, target], { stdio: ['ignore', 'pipe', 'inherit'] })
  const exit = once(swapper, 'exit')
  t.after(() => swapper.kill('SIGKILL'))
  await once(swapper.stdout, 'data')
  return {
    async stop() {
      assert.equal(swapper.exitCode, null, 'it was swapped all the while')
      swapper.kill('SIGKILL')
      await exit
    },
  }
}

const reads = 10_000
const body = `
  const counts = {}
  for (let round = 0; round < 400 / input.paths.length; round += 1) {
    const told = await Promise.all(input.paths.map((path) => tell(() => ctx.files.read('data', path))))
    for (const one of told) counts[one] = (counts[one] ?? 0) + 1
  }
  return counts`

for (const [what, name, paths, target] of [
  ['the file', 'granted', Array<string>(8).fill('granted'), (outside: string) => join(outside, 'secret')],
  ['a folder on the way', 'folder', Array<string>(8).fill('folder/secret'), (outside: string) => outside],
] as const) {
  test(`FS-02: ${reads} reads while ${what} is swapped for a link bring no foreign byte`, {
    skip: filesSkip,
  }, async (t) => {
    const guest = await openFilesGuest(t, { body, timeoutMs: 20_000 })
    await mkdir(join(guest.root, 'folder'))
    await writeFile(join(guest.root, 'folder', 'secret'), 'granted')
    const swapper = await startSwapping(t, guest.root, name, target(guest.outside))
    const counts = new Map<string, number>()
    let done = 0
    while (done < reads) {
      for (const [answer, count] of Object.entries((await guest.attack({ paths })) as Record<string, number>)) {
        counts.set(answer, (counts.get(answer) ?? 0) + count)
        done += count
      }
    }
    await swapper.stop()
    for (const answer of counts.keys())
      assert.ok(['granted', 'ORC_CAPABILITY_DENIED', 'ORC_CAPABILITY_FAILED'].includes(answer), answer)
    for (const answer of ['granted', 'ORC_CAPABILITY_DENIED'])
      assert.ok((counts.get(answer) ?? 0) > 0, `it was met in both shapes: ${JSON.stringify([...counts])}`)
  })
}
