/**
 * Reads on in the log of one stream where it stopped, also over the moments when the file is cut: a place in it is counted from the
 * first byte that was ever written, and what was cut off is found beside it.
 */
import { open } from 'node:fs/promises'
import type { Cut } from './log-bound.ts'
import { readRange, showLine, sizeOf } from './log-file.ts'

const readBytes = 64 * 1024
/** A line that does not end is shown in pieces of this size. */
const longestLineBytes = 64 * 1024
/** How far back the beginning is looked for. */
const tailBytes = 1024 * 1024
const newline = 10
const mostLooks = 200

/** The file is being cut: what it holds cannot be said in this moment. */
const again = { lines: [], isAtEnd: false }

export interface LogCursor {
  /** Before the newest `lines`. */
  rewind(lines: number): Promise<void>
  /** The next lines that are complete. `isAtEnd`: there is nothing more by now. */
  read(): Promise<{ readonly lines: readonly string[]; readonly isAtEnd: boolean }>
  /** What stands there without an end, when no more will come. */
  rest(): string[]
}

interface View {
  readonly generation: number
  /** Places: of the first byte kept, of the first in the live file, behind the last. */
  readonly from: number
  readonly live: number
  readonly to: number
}

export function createLogCursor(path: string, cutOf: (path: string) => Cut): LogCursor {
  let place = 0
  let generation = 0
  let begun: Buffer = Buffer.alloc(0)

  /** Undefined while the file is being cut. */
  async function look(): Promise<View | undefined> {
    const cut = cutOf(path)
    const [old, live] = await Promise.all([sizeOf(`${path}.old`), sizeOf(path)])
    if (cut.generation % 2 === 1 || cutOf(path).generation !== cut.generation) return undefined
    return { generation: cut.generation, from: cut.bytes - old, live: cut.bytes, to: cut.bytes + live }
  }
  /** Undefined when the file was cut meanwhile. */
  async function bytesAt(view: View, from: number, to: number): Promise<Buffer | undefined> {
    const parts = [
      await slice(`${path}.old`, from - view.from, Math.min(to, view.live) - view.from),
      await slice(path, Math.max(from, view.live) - view.live, to - view.live),
    ]
    return cutOf(path).generation === view.generation ? Buffer.concat(parts) : undefined
  }

  return {
    async rewind(lines) {
      let view = await look()
      // A cut takes as long as a few looks.
      for (let tries = 0; !view && tries < mostLooks; tries += 1) view = await look()
      if (!view) return
      const from = Math.max(view.from, view.to - tailBytes)
      const bytes = (await bytesAt(view, from, view.to)) ?? Buffer.alloc(0)
      generation = view.generation
      const start = startOfLast(bytes, lines)
      // The first one may have lost its beginning.
      place = from + (start === 0 && from > view.from ? bytes.indexOf(newline) + 1 : start)
    },
    async read() {
      const view = await look()
      if (!view) return again
      // In the moment of a cut a few bytes may be lost, which we may have read.
      if (view.generation !== generation) place = Math.min(place, view.live)
      if (place < view.from) {
        place = view.from
        begun = Buffer.alloc(0)
      }
      const bytes = await bytesAt(view, place, Math.min(view.to, place + readBytes))
      if (!bytes) return again
      generation = view.generation
      place += bytes.length
      const all = begun.length === 0 ? bytes : Buffer.concat([begun, bytes])
      const end = all.lastIndexOf(newline) + 1
      begun = all.subarray(end)
      const lines =
        end === 0
          ? []
          : all
              .toString('utf8', 0, end - 1)
              .split('\n')
              .map(showLine)
      const isAtEnd = bytes.length === 0
      if (begun.length <= longestLineBytes) return { lines, isAtEnd }
      lines.push(showLine(begun.toString('utf8')))
      begun = Buffer.alloc(0)
      return { lines, isAtEnd }
    },
    rest() {
      const last = begun.length === 0 ? [] : [showLine(begun.toString('utf8'))]
      begun = Buffer.alloc(0)
      return last
    },
  }
}

async function slice(path: string, from: number, to: number): Promise<Buffer> {
  if (to <= from || to <= 0) return Buffer.alloc(0)
  const file = await open(path, 'r').catch(() => undefined)
  if (!file) return Buffer.alloc(0)
  try {
    return await readRange(file, Math.max(0, from), to)
  } finally {
    await file.close()
  }
}

/** Where the last `lines` begin; what stands behind the last newline is one that has not ended, and is not counted. */
function startOfLast(bytes: Buffer, lines: number): number {
  let start = bytes.lastIndexOf(newline) + 1
  for (let left = lines; left > 0 && start > 0; left -= 1)
    start = start === 1 ? 0 : bytes.lastIndexOf(newline, start - 2) + 1
  return start
}
