/** Reading what is granted: whole, in parts, its end as it grows, and which files there are. Every answer is bounded. */
import type { BigIntStats } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import type { FileInfo } from '@orchestry/sdk'
import { OrchestryError } from '../errors.ts'
import { type FilesRule, isGranted, mayBeWithin, type Place } from './files-rule.ts'
import { eachFile, fileAt, inFolder, type OpenRoot, withFile } from './files-walk.ts'

const listed = 1_000

interface ReadPart {
  readonly offset: number
  readonly maxBytes: number | undefined
}

export function readFile(root: OpenRoot, { segments, label }: Place, rule: FilesRule, part: ReadPart): Promise<Buffer> {
  return withFile(root, segments, async (handle, stat) => {
    const left = Math.max(0, Number(stat.size) - part.offset)
    if (part.maxBytes === undefined && left > rule.fileBytes)
      throw new OrchestryError(
        'ORC_CAPABILITY_LIMIT',
        `ctx.files: ${label} has ${left} bytes to read; ${rule.fileBytes / 1024} KB are granted at once (maxFileKb). ` +
          'Read it in parts, with offset and maxBytes.',
      )
    return await readAt(handle, part.offset, Math.min(left, part.maxBytes ?? left, rule.fileBytes))
  })
}

/** A file may be cut off while it is read: then this is what was there. */
async function readAt(handle: FileHandle, offset: number, bytes: number): Promise<Buffer> {
  const buffer = Buffer.alloc(bytes)
  let filled = 0
  while (filled < bytes) {
    const { bytesRead } = await handle.read(buffer, filled, bytes - filled, offset + filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return buffer.subarray(0, filled)
}

interface Cursor {
  readonly device: bigint
  readonly inode: bigint
  readonly offset: number
}

/** `device:inode:offset`; undefined when it is none. */
export function readCursor(text: string): Cursor | undefined {
  const match = /^(\d{1,20}):(\d{1,20}):(\d{1,15})$/.exec(text)
  if (match === null) return undefined
  const [, device = '', inode = '', offset = ''] = match
  return { device: BigInt(device), inode: BigInt(inode), offset: Number(offset) }
}

/**
 * What stands behind the cursor, whole characters only. Another file under the name, or a shorter one, was rotated and is
 * read from its beginning. One that was cut off and has grown past the cursor again cannot be told from one that only grew.
 */
export function readTail(root: OpenRoot, { segments }: Place, since: Cursor | undefined, maxBytes: number) {
  return withFile(root, segments, async (handle, stat) => {
    const size = Number(stat.size)
    const isSame = since !== undefined && since.device === stat.dev && since.inode === stat.ino && since.offset <= size
    const from = since === undefined ? size : isSame ? since.offset : 0
    const read = await readAt(handle, from, Math.min(size - from, maxBytes))
    const whole = read.subarray(0, read.length - unfinishedBytes(read))
    return { text: whole.toString('utf8'), cursor: `${stat.dev}:${stat.ino}:${from + whole.length}` }
  })
}

/** Bytes at the end that begin a UTF-8 character and do not finish it. */
function unfinishedBytes(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back += 1) {
    const byte = bytes[bytes.length - back] ?? 0
    if ((byte & 0b1100_0000) === 0b1000_0000) continue
    const wanted = byte >= 0b1111_0000 ? 4 : byte >= 0b1110_0000 ? 3 : byte >= 0b1100_0000 ? 2 : 1
    return wanted > back && back < bytes.length ? back : 0
  }
  return 0
}

export async function statFile(root: OpenRoot, { segments, label }: Place): Promise<FileInfo | null> {
  return await inFolder(root, segments.slice(0, -1), async (fd) => {
    const stat = await fileAt(root, fd, segments.at(-1) ?? '', label)
    return stat === undefined ? null : infoOf(segments, stat)
  })
}

export async function listFiles(root: OpenRoot, { rule, segments: from }: Place): Promise<FileInfo[]> {
  const globs = [...rule.read, ...rule.write]
  const found: FileInfo[] = []
  await eachFile(
    root,
    from,
    (folder) => mayBeWithin(globs, folder),
    (segments, stat) => {
      if (!isGranted(globs, segments)) return
      if (found.length >= listed) {
        const why = `more than ${listed} granted files lie there; list a folder of it`
        throw new OrchestryError('ORC_CAPABILITY_LIMIT', `ctx.files: ${why}`)
      }
      found.push(infoOf(segments, stat))
    },
  )
  return found.sort((a, b) => (a.path < b.path ? -1 : 1))
}

const infoOf = (segments: readonly string[], stat: BigIntStats): FileInfo => ({
  path: segments.join('/'),
  bytes: Number(stat.size),
  modifiedAtMs: Number(stat.mtimeMs),
})
