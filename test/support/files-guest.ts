/** A real guest that was granted files of a folder, beside which lies what it must never see. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { GrantOf } from '../../runtime/capabilities/capability.ts'
import { createFilesCapability } from '../../runtime/capabilities/files.ts'
import { systemClock } from '../../runtime/clock.ts'
import { openHostileGuest } from './hostile-guest.ts'
import { tempDir } from './temp-dir.ts'

export const filesSkip = process.platform === 'linux' ? false : 'files can be granted on Linux only'

/** For the body of a guest: tries all that can be done with `path`, and tells what came of each. */
export const everyUseOfPath = `
  told.push(await tell(() => ctx.files.read('data', path)))
  told.push(await tell(() => ctx.files.write('data', path, 'evil')))
  told.push(await tell(() => ctx.files.remove('data', path)))
  told.push(await tell(() => ctx.files.stat('data', path)))
  told.push(await tell(() => ctx.files.tail('data', path)))`

type Options = { body: string; timeoutMs?: number } & Partial<Omit<GrantOf<'files'>, 'roots'>> & {
    roots?: GrantOf<'files'>['roots']
  }

/** The root `data` is granted whole, `data/granted` lies in it, and `outside/secret` beside it. */
export async function openFilesGuest(t: TestContext, { body, timeoutMs, roots, ...grant }: Options) {
  const dir = await tempDir(t)
  const [root, outside] = [join(dir, 'root'), join(dir, 'outside')]
  await mkdir(root)
  await mkdir(outside)
  await writeFile(join(outside, 'secret'), 'FOREIGN')
  await writeFile(join(root, 'granted'), 'granted')
  const guest = await openHostileGuest(t, {
    capability: createFilesCapability({ clock: systemClock, reserved: [] }),
    grant: {
      kind: 'files',
      why: 'test',
      roots: roots ?? [{ name: 'data', path: root, read: ['**'], write: ['**'] }],
      ...grant,
    },
    body,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  })
  return { ...guest, root, outside }
}
