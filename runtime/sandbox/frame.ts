/**
 * Framing of the channel between the host and a sandbox process, the same on both sides:
 * `u32 length | u32 headerLength | header (JSON) | body (text)`, big-endian, `length` counting all that follows it.
 * Header and body are apart so that a body (a JSON text made by the host or the guest) passes the sandbox process unread.
 */
export interface Frame {
  readonly header: string
  readonly body: string
}

const prefixBytes = 8

export function encodeFrame(header: string, body: string): Buffer {
  const headerBytes = Buffer.byteLength(header)
  const bodyBytes = Buffer.byteLength(body)
  const frame = Buffer.allocUnsafe(prefixBytes + headerBytes + bodyBytes)
  frame.writeUInt32BE(4 + headerBytes + bodyBytes, 0)
  frame.writeUInt32BE(headerBytes, 4)
  frame.write(header, prefixBytes)
  frame.write(body, prefixBytes + headerBytes)
  return frame
}

/** Why a stream of bytes is not a stream of frames. */
export class FrameError extends Error {}

export interface FrameReader {
  /** Takes bytes as they come and returns the frames they complete. Throws FrameError; the stream is unusable after that. */
  push(chunk: Buffer): Frame[]
  /** Bytes that wait for the rest of their frame. */
  readonly pendingBytes: number
}

export function createFrameReader(options: { maxFrameBytes: number; maxHeaderBytes: number }): FrameReader {
  let chunks: Buffer[] = []
  let held = 0

  /** Joins what is held only when a frame is complete: a large frame in many chunks is copied once. */
  const peekLength = (): number | undefined => {
    if (held < 4) return undefined
    const first = chunks[0]
    if (first === undefined) return undefined
    if (first.length < 4) chunks = [Buffer.concat(chunks)]
    return chunks[0]?.readUInt32BE(0)
  }

  return {
    get pendingBytes() {
      return held
    },
    push(chunk) {
      chunks.push(chunk)
      held += chunk.length
      const frames: Frame[] = []
      for (;;) {
        const length = peekLength()
        if (length === undefined) return frames
        if (length > options.maxFrameBytes)
          throw new FrameError(`a frame of ${length} bytes, at most ${options.maxFrameBytes}`)
        if (length < 4) throw new FrameError(`a frame of ${length} bytes, too short for its header`)
        if (held < 4 + length) return frames
        const all = chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks)
        const headerBytes = all.readUInt32BE(4)
        if (headerBytes > options.maxHeaderBytes || headerBytes > length - 4) {
          throw new FrameError(`a header of ${headerBytes} bytes in a frame of ${length}`)
        }
        const bodyStart = prefixBytes + headerBytes
        frames.push({
          header: all.toString('utf8', prefixBytes, bodyStart),
          body: all.toString('utf8', bodyStart, 4 + length),
        })
        const rest = all.subarray(4 + length)
        chunks = rest.length > 0 ? [rest] : []
        held = rest.length
      }
    },
  }
}
