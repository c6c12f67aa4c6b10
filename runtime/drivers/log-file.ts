/**
 * The log file of one stream of one replica. The replica writes into it directly (O_APPEND), so it needs nobody to live; we cut it
 * from outside. What is cut off stays, newest part only, in `<path>.old`, so that a reader always finds a full tail.
 */
import { type FileHandle, open, rename, stat, writeFile } from 'node:fs/promises'

/** Longest line that is shown; the rest of it is left out. */
const lineChars = 16 * 1024
const blockBytes = 64 * 1024

export async function sizeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => undefined))?.size ?? 0
}

/**
 * Empties the file and keeps its newest `keepBytes` beside it. A line that the replica writes in the very moment between the last
 * read and the cut (well under a millisecond) is lost: that is the price of leaving the replica its own file.
 *
 * @returns how many bytes were cut off, of which `<path>.old` holds the last
 */
export async function cutLog(path: string, keepBytes: number): Promise<number> {
  const file = await open(path, 'r+')
  let cutBytes = 0
  try {
    const size = (await file.stat()).size
    const kept = await readRange(file, Math.max(0, size - keepBytes), size)
    const start = size > keepBytes ? kept.indexOf(10) + 1 : 0
    await writeFile(`${path}.new`, kept.subarray(start), { mode: 0o600 })
    const meanwhile = (await file.stat()).size
    const late = await readRange(file, Math.max(size, meanwhile - keepBytes), meanwhile)
    if (late.length > 0) await writeFile(`${path}.new`, late, { flag: 'a' })
    await file.truncate(0)
    cutBytes = meanwhile
  } finally {
    await file.close()
  }
  await rename(`${path}.new`, `${path}.old`)
  return cutBytes
}

/** The last `count` lines, oldest first. Reads from the end and at most `maxBytes` of each of the two files. */
export async function tailLog(path: string, count: number, maxBytes: number): Promise<string[]> {
  if (count <= 0) return []
  const live = await readTail(path, count, maxBytes)
  const isEnough = !live.isWhole || newlines(live.bytes) > count
  const older = isEnough ? undefined : await readTail(`${path}.old`, count, maxBytes)
  const isWhole = older ? older.isWhole : live.isWhole
  const lines = (older ? Buffer.concat([older.bytes, live.bytes]) : live.bytes).toString('utf8').split('\n')
  // What stands after the last newline is a line only if there is something; the first one may have lost its beginning.
  if (lines.at(-1) === '') lines.pop()
  if (!isWhole && lines.length > 1) lines.shift()
  return lines.slice(-count).map(showLine)
}

/** Without what ends it, and not longer than is shown. */
export function showLine(line: string): string {
  const text = line.endsWith('\r') ? line.slice(0, -1) : line
  return text.length > lineChars ? `${text.slice(0, lineChars)}…` : text
}

async function readTail(path: string, count: number, maxBytes: number): Promise<{ bytes: Buffer; isWhole: boolean }> {
  const file = await open(path, 'r').catch(() => undefined)
  if (!file) return { bytes: Buffer.alloc(0), isWhole: true }
  try {
    const size = (await file.stat()).size
    const blocks: Buffer[] = []
    let from = size
    let found = 0
    // One more newline than lines, because the last line ends with one.
    while (from > 0 && found <= count && size - from < maxBytes) {
      const start = Math.max(0, from - blockBytes)
      const block = await readRange(file, start, from)
      blocks.unshift(block)
      found += newlines(block)
      from = start
    }
    return { bytes: Buffer.concat(blocks), isWhole: from === 0 }
  } finally {
    await file.close()
  }
}

function newlines(bytes: Buffer): number {
  let count = 0
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) count += 1
  return count
}

export async function readRange(file: FileHandle, from: number, to: number): Promise<Buffer> {
  const bytes = Buffer.alloc(to - from)
  let filled = 0
  while (filled < bytes.length) {
    const { bytesRead } = await file.read(bytes, filled, bytes.length - filled, from + filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return bytes.subarray(0, filled)
}
