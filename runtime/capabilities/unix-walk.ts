/**
 * Holds the very socket that was granted, so that what was checked is what is connected to. Linux only: elsewhere no
 * handle of a file can be connected to.
 */
import { constants, type Stats } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { OrchestryError } from '../errors.ts'
import { asItself } from './as-itself.ts'
import { wellKnownSockets } from './unix-path.ts'

export interface HeldSocket {
  /** Leads to the socket itself, however its path has changed meanwhile. */
  readonly path: string
  release(): Promise<void>
}

/**
 * Walks from the root, through no link, to a socket that `path` names and nobody else could have put there.
 *
 * @throws ORC_CAPABILITY_DENIED, or the error of the system where there is no such file.
 */
export async function holdSocket(path: string, reserved: readonly string[]): Promise<HeldSocket> {
  const forbidden = await identities([...wellKnownSockets, ...reserved])
  const parts = path.slice(1).split('/')
  let handle = await open('/', asItself | constants.O_DIRECTORY)
  try {
    for (const [index, part] of parts.entries()) {
      const isLast = index === parts.length - 1
      const next = await step(handle, part, isLast)
      const parent = await handle.stat()
      await handle.close()
      handle = next
      const found = await handle.stat()
      if (forbidden.has(`${found.dev}:${found.ino}`)) throw denied(path, 'leads to what is granted to nobody')
      if (!isOwnedWell(found.uid, parent)) throw denied(path, 'lies where a stranger could have put it')
      if (!isLast) continue
      if (!found.isSocket()) throw denied(path, 'is no socket')
      if (found.nlink !== 1) throw denied(path, 'has other names too, so it cannot be told whose it is')
    }
    const held = handle
    return { path: `/proc/self/fd/${held.fd}`, release: () => held.close() }
  } catch (thrown) {
    await handle.close().catch(() => {})
    const { code } = thrown as NodeJS.ErrnoException
    throw code === 'ELOOP' || code === 'ENOTDIR' ? denied(path, 'leads through a link or a file') : thrown
  }
}

async function step(from: FileHandle, part: string, isLast: boolean): Promise<FileHandle> {
  const path = `/proc/self/fd/${from.fd}/${part}`
  return await open(path, isLast ? asItself : asItself | constants.O_DIRECTORY)
}

/**
 * Who answers on a socket cannot be asked here, so what counts is who can have put it there: where everybody may write, only
 * root and this user are believed; where a group may, the owner of the folder too.
 */
function isOwnedWell(uid: number, parent: Stats): boolean {
  const isOpenToAll = (parent.mode & 0o002) !== 0
  const isOpenToGroup = (parent.mode & 0o020) !== 0
  if (uid === 0 || uid === process.getuid?.() || (!isOpenToAll && !isOpenToGroup)) return true
  return !isOpenToAll && uid === parent.uid
}

/** Device and number of those that are there: the same file under whatever name. */
async function identities(paths: readonly string[]): Promise<ReadonlySet<string>> {
  const found = await Promise.all(paths.map((path) => stat(path).catch(() => undefined)))
  return new Set(found.flatMap((one) => (one === undefined ? [] : [`${one.dev}:${one.ino}`])))
}

const denied = (path: string, why: string) => new OrchestryError('ORC_CAPABILITY_DENIED', `ctx.unix: ${path} ${why}`)
