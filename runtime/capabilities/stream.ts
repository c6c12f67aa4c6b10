/** What `tcp` and `unix` have in common: connections of one hook call, and whole exchanges in one crossing. */
import type { Socket } from 'node:net'
import type { Chunk, Encoding, Exchange } from '@orchestry/sdk'
import * as Type from 'typebox'
import type { Clock } from '../clock.ts'
import { codeOf, OrchestryError } from '../errors.ts'
import type { Invocation } from '../sandbox/sandbox.ts'
import { argumentsOf, maybe } from './arguments.ts'
import { answerEach } from './batch.ts'
import { timeLeft } from './call-time.ts'
import type { Caller, CapabilityUse } from './capability.ts'
import { type Connection, createConnection, timedOut, unreachable } from './connection.ts'
import { isRefusal } from './refusals.ts'
import { createInFlight } from './slots-in-flight.ts'

const mostOpen = 8
const usualAtOnce = 64
const waitingMost = 2_000
const writeBytes = 64 * 1024
const usualReadKb = 64
const connectMs = 5_000
const usualMs = 5_000
const longestMs = 15_000

/** A target that may be connected to. */
export interface Aim {
  /** For the trace. */
  readonly shown: string
  /** Starts to connect; the signal ends it. Rejects with an error of ours, or of the system. */
  connect(signal: AbortSignal): Promise<Socket>
  /** Whether it may be used, now that it is connected: what is wrong, or undefined. */
  refusal?(socket: Socket): OrchestryError | undefined
}

const Target = Type.String({ minLength: 1, maxLength: 300 })
const EncodingType = Type.Union([Type.Literal('utf8'), Type.Literal('base64')])
const TimeoutMs = Type.Number({ exclusiveMinimum: 0 })
const readFields = {
  maxBytes: Type.Optional(Type.Integer({ minimum: 1 })),
  until: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
  timeoutMs: Type.Optional(TimeoutMs),
  encoding: Type.Optional(EncodingType),
}
const strict = { additionalProperties: false }
const ReadOptionsType = Type.Object(readFields, strict)
const ExchangeType = Type.Object({ ...readFields, target: Target, send: Type.Optional(Type.String()) }, strict)

interface Open {
  readonly connection: Connection
  readonly invocation: Invocation
  forget(): void
}

/** `aim` throws ORC_CAPABILITY_DENIED for what is not granted. */
export function createStreamUse(deps: {
  kind: 'tcp' | 'unix'
  maxReadKb: number | undefined
  /** Exchanges under way. */
  atOnce?: number
  clock: Clock
  caller: Caller
  aim: (target: string, invocation: Invocation) => Aim
}): CapabilityUse {
  const { kind, clock, caller } = deps
  const what = `ctx.${kind}`
  const mostBytes = (deps.maxReadKb ?? usualReadKb) * 1024
  const connection = Type.String({ maxLength: 32 })
  const readOpen = argumentsOf(
    `${kind}.open`,
    Target,
    maybe(Type.Object({ timeoutMs: Type.Optional(TimeoutMs) }, strict)),
  )
  const readWrite = argumentsOf(`${kind}.write`, connection, Type.String(), maybe(EncodingType))
  const readRead = argumentsOf(`${kind}.read`, connection, maybe(ReadOptionsType))
  const readClose = argumentsOf(`${kind}.close`, connection)
  const readExchange = argumentsOf(`${kind}.exchange`, ExchangeType)
  const readExchangeAll = argumentsOf(`${kind}.exchangeAll`, Type.Array(ExchangeType, { maxItems: 1_000 }))

  const inFlight = createInFlight(deps.atOnce ?? usualAtOnce, waitingMost, what, 'ORC_CAPABILITY_LIMIT')
  const open = new Map<string, Open>()
  /** Sockets of any kind, and those that are still connecting. */
  const ending = new Set<() => void>()
  let opened = 0
  let opening = 0

  const leftMs = (invocation: Invocation, wantedMs: number | undefined) =>
    timeLeft(what, invocation, clock, Math.min(wantedMs ?? usualMs, longestMs))

  async function connect(operation: string, target: string, timeoutMs: number, invocation: Invocation) {
    const tell = (shown: string, isAllowed: boolean) => caller.onUse?.(operation, `CONNECT ${shown}`, isAllowed)
    let aim: Aim
    try {
      aim = deps.aim(target, invocation)
    } catch (thrown) {
      tell(target.slice(0, 200), false)
      throw thrown
    }
    const aborting = new AbortController()
    const aborted = Promise.withResolvers<never>()
    aborting.signal.addEventListener('abort', () => aborted.reject(timedOut(what, 'there was no connection')))
    const end = () => aborting.abort()
    const timer = setTimeout(end, Math.min(timeoutMs, connectMs))
    ending.add(end)
    try {
      // A name that nobody resolves knows nothing of the signal.
      const socket = await Promise.race([aim.connect(aborting.signal), aborted.promise])
      const refusal = aim.refusal?.(socket)
      if (refusal !== undefined) {
        socket.destroy()
        throw refusal
      }
      tell(aim.shown, true)
      const made = createConnection(what, socket)
      // The other side may have ended it before we came to this.
      if (socket.closed) return made
      ending.add(made.close)
      socket.once('close', () => ending.delete(made.close))
      return made
    } catch (thrown) {
      tell(aim.shown, !isRefusal(codeOf(thrown)))
      throw thrown instanceof OrchestryError ? thrown : unreachable(what, thrown as NodeJS.ErrnoException)
    } finally {
      clearTimeout(timer)
      ending.delete(end)
    }
  }

  /** A connection is known to nobody but the hook call that opened it. */
  function find(id: string, invocation: Invocation): Open {
    const found = open.get(id)
    if (found?.invocation === invocation) return found
    const shown = JSON.stringify(id)
    throw new OrchestryError('ORC_CAPABILITY_ARGUMENT', `${what}: this call has no open connection ${shown}`)
  }

  async function exchange(operation: string, request: Exchange, invocation: Invocation) {
    return await inFlight.run(async () => {
      const { target, send, until } = request
      const encoding = request.encoding ?? 'utf8'
      const data = send === undefined ? undefined : bytesOf(what, send, encoding)
      const startMs = performance.now()
      const untilMs = startMs + leftMs(invocation, request.timeoutMs)
      const leftNowMs = () => Math.max(1, untilMs - performance.now())
      const made = await connect(operation, target, leftNowMs(), invocation)
      try {
        if (data !== undefined) await made.write(data, leftNowMs())
        const chunk: Chunk =
          data === undefined && until === undefined
            ? { data: '', isEnd: false }
            : await made.read({ mostBytes: bounded(request.maxBytes), until, timeoutMs: leftNowMs(), encoding })
        return { ...chunk, durationMs: performance.now() - startMs }
      } finally {
        made.close()
      }
    })
  }

  const bounded = (wantedBytes: number | undefined) => Math.min(wantedBytes ?? mostBytes, mostBytes)

  function closeAll(): void {
    for (const { forget } of open.values()) forget()
    for (const end of [...ending]) end()
  }

  return {
    operations: {
      async open(args, invocation) {
        const [target, options] = readOpen(args)
        if (open.size + opening >= mostOpen)
          throw new OrchestryError('ORC_CAPABILITY_LIMIT', `${what}: ${mostOpen} connections are open already`)
        const timeoutMs = leftMs(invocation, options?.timeoutMs)
        opening += 1
        try {
          const made = await connect('open', target, timeoutMs, invocation)
          opened += 1
          const id = `c${opened}`
          const forget = () => {
            stopTimer()
            open.delete(id)
            made.close()
          }
          const stopTimer = clock.after(Math.max(0, invocation.deadlineMs - clock.monotonic()), forget)
          open.set(id, { connection: made, invocation, forget })
          return id
        } finally {
          opening -= 1
        }
      },
      async write(args, invocation) {
        const [id, data, encoding] = readWrite(args)
        const { connection } = find(id, invocation)
        await connection.write(bytesOf(what, data, encoding ?? 'utf8'), leftMs(invocation, longestMs))
      },
      async read(args, invocation) {
        const [id, options] = readRead(args)
        const { maxBytes, until, timeoutMs, encoding = 'utf8' } = options ?? {}
        const { connection } = find(id, invocation)
        return await connection.read({
          mostBytes: bounded(maxBytes),
          until,
          timeoutMs: leftMs(invocation, timeoutMs),
          encoding,
        })
      },
      close(args, invocation) {
        find(readClose(args)[0], invocation).forget()
      },
      exchange: (args, invocation) => exchange('exchange', readExchange(args)[0], invocation),
      async exchangeAll(args, invocation) {
        const [requests] = readExchangeAll(args)
        return await answerEach(requests, (request) => exchange('exchangeAll', request, invocation), {
          what,
          operation: 'exchangeAll',
          caller,
          charactersOf: ({ data }) => data.length,
        })
      },
    },
    reset: closeAll,
    dispose: closeAll,
  }
}

function bytesOf(what: string, data: string, encoding: Encoding): Buffer {
  if (encoding === 'base64' && !/^[A-Za-z0-9+/]*={0,2}$/.test(data))
    throw new OrchestryError('ORC_CAPABILITY_ARGUMENT', `${what}: what is to be sent is not base64, as "encoding" says`)
  const bytes = Buffer.from(data, encoding)
  if (bytes.length <= writeBytes) return bytes
  throw new OrchestryError('ORC_CAPABILITY_LIMIT', `${what}: more than ${writeBytes / 1024} KB in one write`)
}
