/** Writing and removing what is granted. Nobody ever reads half a file, and nothing that is written can be run. */
import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { open, rename, unlink } from 'node:fs/promises'
import type { Clock } from '../clock.ts'
import { commandOwner } from './exec-confine.ts'
import { type FilesQuota, spaceOf, type Tally } from './files-quota.ts'
import { isGranted, isTemporary, mayBeWithin, type Place, type RootRule, temporaryName } from './files-rule.ts'
import { eachFile, failure, fileAt, inFd, inFolder, type OpenRoot } from './files-walk.ts'

const mode = 0o600
/** Where the plugin's commands work they may read what it wrote, as the group that they run as. */
const sharedMode = 0o640
/** A write takes no minute; what is older was left behind by a process that was killed. */
const abandonedMs = 3_600_000

export async function writeFile(root: OpenRoot, place: Place, data: Buffer, quota: FilesQuota): Promise<void> {
  await change(root, place, quota, (fd, name, before) => ({
    brings: { bytes: spaceOf(data.length) - (before?.bytes ?? 0), files: before === undefined ? 1 : 0 },
    run: () => replace(fd, name, data, place),
  }))
}

/** Removing what is not there is no error. */
export async function removeFile(root: OpenRoot, place: Place, quota: FilesQuota): Promise<void> {
  await change(root, place, quota, (fd, name, before) => ({
    brings: { bytes: -(before?.bytes ?? 0), files: before === undefined ? 0 : -1 },
    run: async () => {
      if (before !== undefined) await unlink(inFd(fd, name))
    },
  }))
}

type Before = { readonly bytes: number } | undefined
type Change = { readonly brings: Tally; readonly run: () => Promise<void> }

async function change(
  root: OpenRoot,
  { segments, label }: Place,
  quota: FilesQuota,
  make: (fd: number, name: string, before: Before) => Change,
): Promise<void> {
  const name = segments.at(-1) ?? ''
  await inFolder(root, segments.slice(0, -1), async (fd) => {
    try {
      await quota.inTurn(async () => {
        const stat = await fileAt(root, fd, name, label)
        return make(fd, name, stat === undefined ? undefined : { bytes: spaceOf(Number(stat.size)) })
      })
    } catch (error) {
      throw failure(label, error)
    }
  })
}

async function replace(fd: number, name: string, data: Buffer, { label, rule }: Place): Promise<void> {
  const group = rule.isOwn ? commandOwner() : undefined
  const temporary = inFd(fd, temporaryName(randomUUID()))
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
  const handle = await open(temporary, flags, mode)
  try {
    try {
      if (group !== undefined) {
        await handle.chown(0, group)
        await handle.chmod(sharedMode)
      }
      await handle.writeFile(data)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, inFd(fd, name))
  } catch (error) {
    await unlink(temporary).catch(() => {})
    throw failure(label, error)
  }
}

/** What the files that this root lets the plugin write take now. What an earlier write left half done is removed. */
export async function countFiles(root: OpenRoot, { write }: RootRule, clock: Clock): Promise<Tally> {
  let [bytes, files] = [0, 0]
  await eachFile(
    root,
    [],
    (folder) => mayBeWithin(write, folder),
    async (segments, stat, fd) => {
      const name = segments.at(-1) ?? ''
      const isLeftover = isTemporary(name) && mayBeWithin(write, segments.slice(0, -1))
      if (!isLeftover && !isGranted(write, segments)) return
      if (isLeftover && clock.now() - Number(stat.mtimeMs) > abandonedMs) return await unlink(inFd(fd, name))
      bytes += spaceOf(Number(stat.size))
      files += 1
    },
  )
  return { bytes, files }
}
