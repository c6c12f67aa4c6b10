/** Reads what a container wrote: the frames in which an engine sends two streams over one connection. */
import type { Readable } from 'node:stream'
import type { LogLine } from './driver.ts'

const headerBytes = 8
/** An engine cuts longer writes into pieces. */
const longestFrame = 16 * 1024 * 1024

export interface Frame {
  readonly stream: LogLine['stream']
  readonly text: string
}

/** Those that came together, together. Throws an Error when the bytes are no frames. */
export async function* readFrames(source: Readable): AsyncGenerator<Frame[]> {
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of source) {
    rest = rest.length === 0 ? (chunk as Buffer) : Buffer.concat([rest, chunk as Buffer])
    const frames: Frame[] = []
    while (rest.length >= headerBytes) {
      const length = rest.readUInt32BE(4)
      const kind = rest[0] ?? 0
      if (kind > 2 || length > longestFrame) throw new Error('the output of a container came in no known form')
      if (rest.length < headerBytes + length) break
      const text = rest.toString('utf8', headerBytes, headerBytes + length)
      frames.push({ stream: kind === 2 ? 'stderr' : 'stdout', text })
      rest = rest.subarray(headerBytes + length)
    }
    if (frames.length > 0) yield frames
  }
}

/** Puts lines together from frames, each of which begins with the time; a long line comes in several. */
export function createLineReader(instance: string, longestLine: number) {
  const open = new Map<LogLine['stream'], LogLine>()
  return {
    read({ stream, text }: Frame): LogLine | undefined {
      const [, time = '', rest = ''] = /^(\S+) ([\s\S]*)$/.exec(text) ?? []
      const atMs = Date.parse(time)
      const body = Number.isNaN(atMs) ? text : rest
      const begun = open.get(stream) ?? { instance, stream, line: '', ...(Number.isNaN(atMs) ? {} : { atMs }) }
      // What does not fit is cut, not kept: one line may be as long as a program likes.
      const line = { ...begun, line: (begun.line + body.replace(/\r?\n$/, '')).slice(0, longestLine) }
      if (body.endsWith('\n')) {
        open.delete(stream)
        return line
      }
      open.set(stream, line)
      return undefined
    },
    /** The ends of lines that never came. */
    rest(): LogLine[] {
      const lines = [...open.values()]
      open.clear()
      return lines
    },
  }
}

/** The newest of the lines. */
export async function collectLines(
  batches: AsyncIterable<readonly Frame[]>,
  instance: string,
  most: { readonly lines: number; readonly bytes: number },
): Promise<LogLine[]> {
  const reader = createLineReader(instance, most.bytes)
  const lines: LogLine[] = []
  let bytes = 0
  const add = (line: LogLine | undefined) => {
    if (!line) return
    lines.push(line)
    bytes += line.line.length
    while (lines.length > most.lines || bytes > most.bytes) bytes -= lines.shift()?.line.length ?? bytes
  }
  for await (const batch of batches) for (const frame of batch) add(reader.read(frame))
  for (const line of reader.rest()) add(line)
  return lines
}
