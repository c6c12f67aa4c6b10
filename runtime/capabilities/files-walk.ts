/**
 * The way from a root to a file, one name after the other, each looked up in the directory that is open and none followed
 * anywhere. Everything is decided on what was opened: whoever swaps a name meanwhile changes only what the name means next.
 */
import { type BigIntStats, constants } from 'node:fs'
import { type FileHandle, lstat, open, opendir } from 'node:fs/promises'
import { OrchestryError } from '../errors.ts'
import { asItself } from './as-itself.ts'
import { segmentProblem } from './files-path.ts'
import { denied, labelOf } from './files-rule.ts'

/** Entries looked at in one walk over a tree. */
const entriesMost = 20_000

export interface OpenRoot {
  readonly name: string
  readonly fd: number
  readonly device: bigint
}

/** A name in an open directory; the only kind of path that is ever given to the system. */
export const inFd = (fd: number, name: string) => `/proc/self/fd/${fd}/${name}`

/** Opens the folder at the end of these names, hands its descriptor to `work`, and closes it. */
export async function inFolder<T>(
  root: OpenRoot,
  names: readonly string[],
  work: (fd: number) => Promise<T>,
): Promise<T> {
  let handle: FileHandle | undefined
  try {
    for (const [at, name] of names.entries()) {
      const label = labelOf(root.name, names.slice(0, at + 1).join('/'))
      const outer = handle
      handle = await open(inFd(outer?.fd ?? root.fd, name), asItself).catch((error: unknown) => {
        throw failure(label, error)
      })
      await outer?.close()
      const stat = await handle.stat({ bigint: true })
      if (stat.isSymbolicLink()) throw denied(label, 'is a symbolic link, which is never followed')
      if (!stat.isDirectory()) throw denied(label, 'is not a directory')
      if (stat.dev !== root.device) throw denied(label, 'lies on another file system than its root')
    }
    return await work(handle?.fd ?? root.fd)
  } finally {
    await handle?.close()
  }
}

/** What stands under this name, if it is a plain file of the root's own; undefined when nothing does. */
export async function fileAt(root: OpenRoot, fd: number, name: string, label: string) {
  try {
    const stat = await lstat(inFd(fd, name), { bigint: true })
    refuseUnlessPlain(root, stat, label)
    return stat
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw failure(label, error)
  }
}

/** Opens a file for reading and hands it to `work`. */
export async function withFile<T>(
  root: OpenRoot,
  segments: readonly string[],
  work: (handle: FileHandle, stat: BigIntStats) => Promise<T>,
): Promise<T> {
  const label = labelOf(root.name, segments.join('/'))
  return await inFolder(root, segments.slice(0, -1), async (fd) => {
    let [itself, reader]: (FileHandle | undefined)[] = []
    try {
      itself = await open(inFd(fd, segments.at(-1) ?? ''), asItself)
      refuseUnlessPlain(root, await itself.stat({ bigint: true }), label)
      // Through the descriptor, so that it is the very file that was looked at.
      reader = await open(`/proc/self/fd/${itself.fd}`, constants.O_RDONLY | constants.O_NONBLOCK)
      const stat = await reader.stat({ bigint: true })
      refuseUnlessPlain(root, stat, label)
      return await work(reader, stat)
    } catch (error) {
      throw failure(label, error)
    } finally {
      await reader?.close()
      await itself?.close()
    }
  })
}

/** Says for each folder whether to go in, and takes each plain file. Stops with ORC_CAPABILITY_LIMIT in too large a tree. */
export async function eachFile(
  root: OpenRoot,
  from: readonly string[],
  entersFolder: (segments: readonly string[]) => boolean,
  onFile: (segments: readonly string[], stat: BigIntStats, folderFd: number) => Promise<void> | void,
): Promise<void> {
  const folders = [from]
  let seen = 0
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    const here = folder
    await inFolder(root, here, async (fd) => {
      for await (const entry of await opendir(`/proc/self/fd/${fd}`)) {
        seen += 1
        if (seen > entriesMost) {
          const why = `more than ${entriesMost} entries lie in the root "${root.name}"; grant a smaller directory`
          throw new OrchestryError('ORC_CAPABILITY_LIMIT', `ctx.files: ${why}. Nothing was written.`)
        }
        if (segmentProblem(entry.name) !== undefined) continue
        const segments = [...here, entry.name]
        if (entry.isDirectory() && entersFolder(segments)) folders.push(segments)
        if (!entry.isFile()) continue
        const stat = await lstat(inFd(fd, entry.name), { bigint: true }).catch(() => undefined)
        if (stat?.isFile() && stat.nlink === 1n && stat.dev === root.device) await onFile(segments, stat, fd)
      }
    }).catch((error: unknown) => {
      // A folder that went away, or became something else, while we looked; only the first one was asked for by name.
      if (here === from || isLimit(error)) throw failure(labelOf(root.name, here.join('/')), error)
    })
  }
}

const isLimit = (error: unknown) => error instanceof OrchestryError && error.code === 'ORC_CAPABILITY_LIMIT'

function refuseUnlessPlain(root: OpenRoot, stat: BigIntStats, label: string): void {
  if (stat.isSymbolicLink()) throw denied(label, 'is a symbolic link, which is never followed')
  if (!stat.isFile()) throw denied(label, 'is not a regular file')
  if (stat.nlink > 1n) throw denied(label, 'has other names (hard links), so it may be somebody else\u2019s')
  if (stat.dev !== root.device) throw denied(label, 'lies on another file system than its root')
}

const words: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  ENOTDIR: 'does not exist',
  EACCES: 'may not be used by the user that Orchestry runs as',
  EPERM: 'may not be used by the user that Orchestry runs as',
  EROFS: 'lies on a file system that cannot be written',
  ENOSPC: 'does not fit on the disk. Nothing was written',
  EDQUOT: 'does not fit on the disk. Nothing was written',
}

/** The system's errors in our words; ours as they are. */
export function failure(label: string, error: unknown): OrchestryError {
  if (error instanceof OrchestryError) return error
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
  // Reached only when a name was swapped between two looks.
  if (code === 'ELOOP') return denied(label, 'is a symbolic link, which is never followed')
  return new OrchestryError('ORC_CAPABILITY_FAILED', `ctx.files: ${label} ${words[code] ?? `failed with ${code}`}`)
}

export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
