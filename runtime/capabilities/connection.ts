/** One connected socket as a plugin may use it: reads and writes that are bounded in bytes and in time. */
import { connect, type NetConnectOpts, type Socket } from 'node:net'
import type { Chunk, Encoding } from '@orchestry/sdk'
import { OrchestryError } from '../errors.ts'

export interface Read {
  readonly mostBytes: number
  readonly until: string | undefined
  readonly timeoutMs: number
  readonly encoding: Encoding
}

export interface Connection {
  /**
   * The first bytes that come, or everything up to and with `until`; what came after that is kept for the next read.
   *
   * @throws ORC_NET_TIMEOUT, ORC_NET_UNREACHABLE when it broke, ORC_CAPABILITY_LIMIT when `until` is not within `mostBytes`.
   * What had come by then can still be read.
   */
  read(options: Read): Promise<Chunk>
  /** Resolves when the system has taken it. @throws ORC_NET_TIMEOUT, ORC_NET_UNREACHABLE, ORC_CAPABILITY_LIMIT */
  write(data: Buffer, timeoutMs: number): Promise<void>
  close(): void
}

/** Of writes that the other side has not taken yet. */
const unsentBytes = 128 * 1024

/** `what` begins the errors, like `ctx.tcp`. The socket is read no faster than the plugin does. */
export function createConnection(what: string, socket: Socket): Connection {
  const received = createReceived()
  let failure: NodeJS.ErrnoException | undefined
  let isReading = false
  let wake = () => {}
  socket.on('error', (error) => {
    failure = error
  })
  for (const event of ['readable', 'end', 'close'] as const) socket.on(event, () => wake())

  async function change(untilMs: number): Promise<void> {
    const changed = Promise.withResolvers<void>()
    const late = () => changed.reject(timedOut(what, 'nothing that answers came'))
    const timer = setTimeout(late, Math.max(0, untilMs - performance.now()))
    wake = changed.resolve
    try {
      await changed.promise
    } finally {
      clearTimeout(timer)
    }
  }

  async function readOn({ mostBytes, until, timeoutMs, encoding }: Read): Promise<Chunk> {
    const untilMs = performance.now() + timeoutMs
    const mark = until === undefined ? undefined : Buffer.from(until)
    let searched = 0
    for (;;) {
      while (received.length() < mostBytes) {
        const chunk = socket.read() as Buffer | null
        if (chunk === null) break
        received.add(chunk)
      }
      const isOver = socket.readableEnded || socket.destroyed
      const length = received.length()
      const give = (count: number) => {
        const data = received.take(count).toString(encoding)
        return { data, isEnd: isOver && received.length() === 0 }
      }
      if (mark === undefined) {
        if (length > 0) return give(Math.min(length, mostBytes))
      } else {
        const found = received.indexOf(mark, Math.max(0, searched - mark.length))
        if (found >= 0 && found + mark.length <= mostBytes) return give(found + mark.length)
        if (found >= 0 || length >= mostBytes)
          throw new OrchestryError(
            'ORC_CAPABILITY_LIMIT',
            `${what}: what was read until for did not come within ${mostBytes} bytes`,
          )
        searched = length
      }
      if (isOver && failure !== undefined) throw unreachable(what, failure)
      if (isOver) return give(Math.min(length, mostBytes))
      await change(untilMs)
    }
  }

  return {
    async read(options) {
      if (isReading)
        throw new OrchestryError('ORC_CAPABILITY_ARGUMENT', `${what}: a read of this connection is under way`)
      isReading = true
      try {
        return await readOn(options)
      } finally {
        isReading = false
      }
    },
    async write(data, timeoutMs) {
      if (failure !== undefined || !socket.writable) throw unreachable(what, failure)
      if (socket.writableLength + data.length > unsentBytes)
        throw new OrchestryError('ORC_CAPABILITY_LIMIT', `${what}: the other side takes less than is written to it`)
      const written = Promise.withResolvers<void>()
      const late = () => written.reject(timedOut(what, 'the other side did not take what was written'))
      const timer = setTimeout(late, timeoutMs)
      socket.write(data, (error) => {
        if (error) written.reject(unreachable(what, error))
        else written.resolve()
      })
      try {
        await written.promise
      } finally {
        clearTimeout(timer)
      }
    },
    close: () => void socket.destroy(),
  }
}

/** Rejects with the error of the system. */
export async function connectedSocket(to: NetConnectOpts, signal: AbortSignal): Promise<Socket> {
  signal.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<Socket>()
  const socket = connect({ ...to, signal })
  socket.once('connect', () => resolve(socket))
  socket.on('error', reject)
  return await promise
}

/** Bytes in one growing buffer, so that an answer that drips in is not copied again with every drop. */
function createReceived() {
  let buffer = Buffer.alloc(0)
  let length = 0
  return {
    length: () => length,
    add(bytes: Buffer) {
      if (length + bytes.length > buffer.length) {
        const larger = Buffer.allocUnsafe(2 * (length + bytes.length))
        buffer.copy(larger, 0, 0, length)
        buffer = larger
      }
      bytes.copy(buffer, length)
      length += bytes.length
    },
    indexOf: (mark: Buffer, from: number) => buffer.subarray(0, length).indexOf(mark, from),
    take(count: number): Buffer {
      const taken = Buffer.from(buffer.subarray(0, count))
      buffer.copyWithin(0, count, length)
      length -= count
      return taken
    },
  }
}

export const timedOut = (what: string, why: string): OrchestryError =>
  new OrchestryError('ORC_NET_TIMEOUT', `${what}: ${why} in time`)

/** In few fixed words: a text of the system could name paths and addresses. */
export function unreachable(what: string, error: NodeJS.ErrnoException | undefined): OrchestryError {
  const why = {
    ECONNREFUSED: 'the connection was refused',
    ENOENT: 'there is no such socket',
    EACCES: 'this user may not connect to it',
  }[error?.code ?? '']
  const code = /^[A-Z_]{1,40}$/.exec(error?.code ?? '')?.[0]
  const detail = why ?? (code === undefined ? 'the connection is over' : `the connection failed (${code})`)
  return new OrchestryError('ORC_NET_UNREACHABLE', `${what}: ${detail}`)
}
