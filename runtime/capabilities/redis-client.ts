/** The one Redis client for plugins: a connection of our own making, to an address that was checked, read along by the gate. */
import { connect as connectTcp, isIP, type LookupFunction, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import type { RedisReply } from '@orchestry/sdk'
import type { Redis } from 'ioredis'
import type { Clock } from '../clock.ts'
import { OrchestryError } from '../errors.ts'
import { canonicalAddress } from './addresses.ts'
import { createBudget, createReplyGate, type ReplyBudget, type ReplyGate } from './redis-gate.ts'
import type { RedisServer } from './redis-rule.ts'
import { type Address, blocked } from './resolve.ts'

export type RedisOutcome = { readonly reply: RedisReply } | { readonly error: OrchestryError }

export interface RedisClient {
  /**
   * Sends all at once; their outcomes in order. Throws when there is no connection. Connects where that is needed, so that a
   * server that came back is found by the next command.
   */
  send(commands: readonly (readonly string[])[], timeoutMs: number): Promise<RedisOutcome[]>
  close(): void
}

interface Connection {
  readonly redis: Redis
  readonly gate: ReplyGate
  /** Why it was closed, when that was our doing. */
  reason: OrchestryError | undefined
}

const connectMs = 2_000
const idleMs = 30_000

export function createRedisClient(deps: {
  /** Read anew for each connection, so that a secret that was changed is used. Throws where there is none. */
  server: () => RedisServer
  /** The addresses that a name leads to, all of them checked. */
  resolve: (server: RedisServer) => Promise<readonly Address[]>
  replyBytes: number
  clock: Clock
}): RedisClient {
  let current: Promise<Connection> | undefined
  let open: Connection | undefined
  let isClosed = false
  let outstanding = 0
  let cancelIdle = () => {}

  function drop(reason: OrchestryError | undefined): void {
    cancelIdle()
    if (open !== undefined) {
      open.reason ??= reason
      open.redis.disconnect()
    }
    open = undefined
    current = undefined
  }

  function connectionNow(): Promise<Connection> {
    current ??= connect(deps).then(
      (connection) => {
        open = connection
        connection.redis.once('end', () => {
          if (open === connection) drop(undefined)
        })
        if (isClosed) drop(undefined)
        return connection
      },
      (thrown: unknown) => {
        current = undefined
        throw thrown
      },
    )
    return current
  }

  return {
    async send(commands, timeoutMs) {
      if (isClosed) throw unreachable('the connection was closed')
      const deadlineMs = deps.clock.monotonic() + timeoutMs
      cancelIdle()
      outstanding += 1
      try {
        const connection = await within(connectionNow(), timeoutMs, deps.clock, () => {})
        const budget = createBudget(deps.replyBytes)
        const sent = commands.map((argv) => sendOne(connection, argv, budget))
        const leftMs = Math.max(1, deadlineMs - deps.clock.monotonic())
        // A reply that nobody waits for any more would stand before those of later commands.
        return await within(Promise.all(sent), leftMs, deps.clock, () => drop(timedOut()))
      } finally {
        outstanding -= 1
        cancelIdle()
        if (outstanding === 0) cancelIdle = deps.clock.after(idleMs, () => drop(undefined))
      }
    },
    close() {
      isClosed = true
      drop(undefined)
    },
  }
}

async function sendOne(connection: Connection, argv: readonly string[], budget: ReplyBudget): Promise<RedisOutcome> {
  const { redis, gate } = connection
  const [name = '', ...args] = argv
  if (redis.status !== 'ready') return { error: connection.reason ?? unreachable('the connection was closed') }
  gate.expect(budget)
  try {
    return { reply: (await redis.call(name, ...args)) as RedisReply }
  } catch (thrown) {
    if (thrown instanceof Error && thrown.name === 'ReplyError') return { error: refused(name, thrown.message) }
    return { error: connection.reason ?? unreachable('the connection was lost') }
  }
}

async function connect(deps: Parameters<typeof createRedisClient>[0]): Promise<Connection> {
  const { AbstractConnector, Redis } = await import('ioredis')
  const server = deps.server()
  const gate = createReplyGate()
  let stream: Duplex | undefined
  let isOver = false
  const end = () => {
    isOver = true
    stream?.destroy()
  }

  // Only `stream` is used of a connector; what it is made of was decided before the library is asked.
  class Connector extends AbstractConnector {
    constructor() {
      super(0)
    }
    override async connect() {
      return stream as unknown as Socket
    }
    override disconnect() {
      stream?.destroy()
    }
  }
  const work = async () => {
    const socket = await dial(server, await deps.resolve(server))
    const redis = new Redis({
      Connector,
      lazyConnect: true,
      protocol: 2,
      disableClientInfo: true,
      enableReadyCheck: false,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      retryStrategy: () => null,
      noDelay: false,
    })
    const connection: Connection = { redis, gate, reason: undefined }
    stream = guarded(socket, gate, (reason) => {
      connection.reason ??= reason
    })
    if (isOver) end()
    // Whoever waits for a command is told; without a listener the library writes to our log.
    redis.on('error', () => {})
    await redis.connect()
    for (const argv of greeting(server)) {
      const outcome = await sendOne(connection, argv, createBudget(4_096))
      if ('error' in outcome) throw outcome.error
    }
    return connection
  }
  return await within(work(), connectMs, deps.clock, end).catch((thrown: unknown) => {
    end()
    throw thrown instanceof OrchestryError ? thrown : unreachable('the server cannot be reached')
  })
}

function greeting({ username, password, database }: RedisServer): string[][] {
  const auth = password === undefined ? [] : [['AUTH', ...(username === undefined ? [] : [username]), password]]
  return [...auth, ...(database === 0 ? [] : [['SELECT', String(database)]])]
}

/** A connected socket. For TLS the name that was granted is what the certificate must be for. */
async function dial({ host, port, isTls }: RedisServer, addresses: readonly Address[]): Promise<Socket> {
  const [first] = addresses
  const lookup: LookupFunction = (_host, { all }, done) =>
    all === true ? done(null, [...addresses]) : done(null, first?.address ?? '', first?.family)
  const socket = isTls
    ? connectTls({ host, port, lookup, ...(isIP(host) === 0 ? { servername: host } : {}) })
    : connectTcp({ host, port, lookup })
  socket.setNoDelay(true)
  socket.setTimeout(connectMs, () => socket.destroy(new Error('no connection in time')))
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject)
    socket.once(isTls ? 'secureConnect' : 'connect', resolve)
  })
  socket.setTimeout(0)
  const remote = canonicalAddress(socket.remoteAddress ?? '')
  if (addresses.some(({ address }) => canonicalAddress(address) === remote)) return socket
  socket.destroy()
  throw blocked('ctx.redis', 'the server')
}

/** The socket as the library sees it: nothing passes that the gate has not seen. */
function guarded(socket: Socket, gate: ReplyGate, onRefused: (reason: OrchestryError) => void): Duplex {
  const stream = new Duplex({
    read: () => void socket.resume(),
    write: (chunk: Buffer, _encoding, done) => void socket.write(chunk, done),
    final: (done) => void socket.end(done),
    destroy(error, done) {
      socket.destroy()
      done(error)
    },
  })
  socket.on('data', (chunk: Buffer) => {
    try {
      gate.take(chunk)
    } catch (thrown) {
      onRefused(thrown as OrchestryError)
      stream.destroy()
      return
    }
    if (!stream.push(chunk)) socket.pause()
  })
  socket.on('error', () => stream.destroy())
  socket.on('close', () => stream.destroy())
  return Object.assign(stream, { setKeepAlive: (on: boolean, delayMs: number) => socket.setKeepAlive(on, delayMs) })
}

async function within<T>(work: Promise<T>, timeoutMs: number, clock: Clock, onLate: () => void): Promise<T> {
  let cancel = () => {}
  const late = new Promise<never>((_resolve, reject) => {
    cancel = clock.after(timeoutMs, () => {
      onLate()
      reject(timedOut())
    })
  })
  try {
    return await Promise.race([work, late])
  } finally {
    cancel()
  }
}

/** Of the server's words only the first, which is a code: the others could hold anything. */
function refused(name: string, message: string): OrchestryError {
  const code = /^[A-Z]{2,20}(?= |$)/.exec(message)?.[0] ?? 'ERR'
  return new OrchestryError('ORC_CAPABILITY_FAILED', `ctx.redis: the server refused ${name} (${code})`)
}
const unreachable = (why: string) => new OrchestryError('ORC_NET_UNREACHABLE', `ctx.redis: ${why}`)
const timedOut = () => new OrchestryError('ORC_NET_TIMEOUT', 'ctx.redis: the server did not answer in time')
