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

export interface FrameBounds {
  readonly maxFrameBytes: number
  readonly maxHeaderBytes: number
  /** How long one frame may take to come in, where the other side cannot be trusted to end it. */
  readonly maxFrameMs?: number
}

/** Of the time between two chunks no more is counted: longer ones are as likely our own, who did not read. */
const countedGapMs = 100
const nothing = Buffer.alloc(0)

export function createFrameReader(bounds: FrameBounds, now: () => number = () => performance.now()): FrameReader {
  const { maxFrameBytes, maxHeaderBytes, maxFrameMs = Number.POSITIVE_INFINITY } = bounds
  /** The beginning of a frame, copied: a chunk that is kept would keep what it was cut from, and of a drip every byte. */
  let store = nothing
  let held = 0
  let lastMs = 0
  let frameMs = 0

  /** Of the frame that `bytes` begin with; undefined when they are too few to say. */
  function lengthOf(bytes: Buffer): number | undefined {
    if (bytes.length < 4) return undefined
    const length = bytes.readUInt32BE(0)
    if (length > maxFrameBytes) throw new FrameError(`a frame of ${length} bytes, at most ${maxFrameBytes}`)
    if (length < 4) throw new FrameError(`a frame of ${length} bytes, too short for its header`)
    return length
  }

  function keep(bytes: Buffer, wholeBytes: number): void {
    if (store.length < held + bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(held + bytes.length, wholeBytes))
      store.copy(grown, 0, 0, held)
      store = grown
    }
    bytes.copy(store, held)
    held += bytes.length
  }

  function countTime(isSameFrame: boolean): void {
    const nowMs = now()
    frameMs = isSameFrame ? frameMs + Math.min(countedGapMs, nowMs - lastMs) : 0
    lastMs = nowMs
    if (frameMs > maxFrameMs) {
      throw new FrameError(`a frame of which only ${held} bytes had come after ${Math.round(frameMs)} ms`)
    }
  }

  return {
    get pendingBytes() {
      return held
    },
    push(chunk) {
      const wasUnfinished = held > 0
      if (wasUnfinished) keep(chunk, 0)
      let bytes = wasUnfinished ? store.subarray(0, held) : chunk
      const frames: Frame[] = []
      let length = lengthOf(bytes)
      while (length !== undefined && bytes.length >= 4 + length) {
        frames.push(read(bytes, length))
        bytes = bytes.subarray(4 + length)
        length = lengthOf(bytes)
      }
      const isSameFrame = wasUnfinished && frames.length === 0
      if (!isSameFrame || (length !== undefined && store.length < 4 + length)) {
        store = nothing
        held = 0
        if (bytes.length > 0) keep(bytes, length === undefined ? 0 : 4 + length)
      }
      if (held > 0) countTime(isSameFrame)
      return frames
    },
  }

  function read(bytes: Buffer, length: number): Frame {
    const headerBytes = bytes.readUInt32BE(4)
    if (headerBytes > maxHeaderBytes || headerBytes > length - 4) {
      throw new FrameError(`a header of ${headerBytes} bytes in a frame of ${length}`)
    }
    const bodyStart = prefixBytes + headerBytes
    return {
      header: bytes.toString('utf8', prefixBytes, bodyStart),
      body: bytes.toString('utf8', bodyStart, 4 + length),
    }
  }
}
