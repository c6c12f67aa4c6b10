/** Reads what a container wrote: the frames in which an engine sends two streams over one connection. */
import type { Readable } from 'node:stream'
import type { LogLine } from './driver.ts'

const headerBytes = 8
/** An engine cuts longer writes into pieces. */
const longestFrame = 16 * 1024 * 1024

interface Frame {
  readonly stream: LogLine['stream']
  readonly text: string
}

/** @throws Error when the bytes are no frames. */
export async function* readFrames(source: Readable): AsyncGenerator<Frame> {
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of source) {
    rest = rest.length === 0 ? (chunk as Buffer) : Buffer.concat([rest, chunk as Buffer])
    while (rest.length >= headerBytes) {
      const length = rest.readUInt32BE(4)
      const kind = rest[0] ?? 0
      if (kind > 2 || length > longestFrame) throw new Error('the output of a container came in no known form')
      if (rest.length < headerBytes + length) break
      yield { stream: kind === 2 ? 'stderr' : 'stdout', text: rest.toString('utf8', headerBytes, headerBytes + length) }
      rest = rest.subarray(headerBytes + length)
    }
  }
}

/** The newest of the lines, each frame of which begins with the time; a line in several frames is put together again. */
export async function collectLines(
  frames: AsyncIterable<Frame>,
  instance: string,
  most: { readonly lines: number; readonly bytes: number },
): Promise<LogLine[]> {
  const lines: LogLine[] = []
  const open = new Map<LogLine['stream'], LogLine>()
  let bytes = 0
  const add = (line: LogLine) => {
    lines.push(line)
    bytes += line.line.length
    while (lines.length > most.lines || bytes > most.bytes) bytes -= lines.shift()?.line.length ?? bytes
  }
  for await (const { stream, text } of frames) {
    const [, time = '', rest = ''] = /^(\S+) ([\s\S]*)$/.exec(text) ?? []
    const atMs = Date.parse(time)
    const body = Number.isNaN(atMs) ? text : rest
    const begun = open.get(stream) ?? { instance, stream, line: '', ...(Number.isNaN(atMs) ? {} : { atMs }) }
    // What does not fit is cut, not kept: one line may be as long as a program likes.
    const line = { ...begun, line: (begun.line + body.replace(/\r?\n$/, '')).slice(0, most.bytes) }
    if (body.endsWith('\n')) {
      open.delete(stream)
      add(line)
    } else {
      open.set(stream, line)
    }
  }
  for (const line of open.values()) add(line)
  return lines
}
