/** The directory that a command runs in: empty, its own, and gone afterwards. */
import { spawn } from 'node:child_process'
import { chown, mkdtemp, realpath, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { commandEnv, commandOwner, commandUser } from './exec-confine.ts'

export interface Scratch {
  readonly path: string
  remove(): Promise<void>
  /** Others work there too: who is found in it need not be of this command. */
  readonly isShared?: boolean
}

const removeMs = 5_000

export async function makeScratch(): Promise<Scratch> {
  const path = await realpath(await mkdtemp(join(tmpdir(), 'orchestry-exec-')))
  const owner = commandOwner()
  if (owner !== undefined) await chown(path, owner, owner)
  return { path, remove: () => rmdir(path).catch(() => removeAsCommand(path)) }
}

/**
 * With the rights of the command and no more: what a command left there may still be at work, and could lead somebody with
 * more rights astray while he removes it.
 */
async function removeAsCommand(path: string): Promise<void> {
  await new Promise<void>((resolve) => {
    const options = { stdio: 'ignore', env: commandEnv, timeout: removeMs, ...commandUser() } as const
    const remover = spawn('/bin/rm', ['-rf', '--', path], options)
    remover.once('error', () => resolve())
    remover.once('close', () => resolve())
  })
}
