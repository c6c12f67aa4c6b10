/**
 * One Docker engine, spoken to through dockerode. Every call has a deadline; whoever cannot be reached is ORC_DRIVER_UNAVAILABLE
 * with words, and what the engine refuses is an `EngineRefusal` that the caller understands better than this file does.
 */
import { access, constants, readFile } from 'node:fs/promises'
import { Agent, type IncomingMessage } from 'node:http'
import { Agent as TlsAgent } from 'node:https'
import type { Readable } from 'node:stream'
import type { Clock } from '../clock.ts'
import { messageOf, OrchestryError } from '../errors.ts'
import { certificatePaths, parseDockerHost, silentWords, unreachableWords } from './docker-address.ts'
import { readAnswer } from './docker-answer.ts'

/** Docker 20.10, and the newest whose answers were read for this. */
const oldestApi = [1, 41] as const
const newestApi = [1, 47] as const
const usualAnswerMs = 10_000
/** Characters of a refusal: what a registry says comes through it, and goes into events and logs. */
const mostSaid = 2_000
const anyStatus = Object.fromEntries(Array.from({ length: 500 }, (_, at) => [at + 100, true]))

export interface Call {
  readonly method: 'GET' | 'POST' | 'DELETE'
  /** Without the version, such as `/containers/json`. */
  readonly path: string
  readonly query?: Readonly<Record<string, string | number | boolean>>
  readonly body?: object
  /** Credentials of a registry, sent in a header. */
  readonly auth?: object
  /** Until the answer is complete; of a stream, until it begins. Absent = as the connection has it. */
  readonly deadlineMs?: number
  readonly signal?: AbortSignal
}

/** The engine understood and said no. */
export class EngineRefusal extends Error {
  readonly status: number

  constructor(status: number, text: string) {
    super(text)
    this.name = 'EngineRefusal'
    this.status = status
  }
}

export interface Connection {
  /** @throws EngineRefusal, or ORC_DRIVER_UNAVAILABLE */
  call<T>(call: Call): Promise<T>
  /** The body as it comes. Whoever gets it destroys it. */
  stream(call: Call): Promise<Readable>
}

interface Modem {
  dial(options: object, done: (error: Failure | null, answer: unknown) => void): void
}
type Failure = Error & { code?: string }
interface Line {
  readonly modem: Modem
  /** Path prefix of the version that both sides speak. */
  readonly prefix: string
}

export function createConnection(deps: {
  host: string
  /** Directory of ca.pem, cert.pem and key.pem; makes a TCP connection one over TLS. */
  certDir?: string
  /** How long the engine may take for what needs no work. */
  answerMs?: number
  clock: Pick<Clock, 'after'>
}): Connection {
  const { host, certDir, answerMs = usualAnswerMs, clock } = deps
  const address = parseDockerHost(host, { isTls: certDir !== undefined })
  let line: Promise<Line> | undefined

  async function connect(): Promise<Line> {
    if (!address)
      throw unavailable(
        `The address of the Docker engine, ${JSON.stringify(host)}, is none that can be used: expected unix:///path or tcp://host:port.`,
      )
    // Before the library is loaded, because most machines without an engine have no use for it.
    if (address.kind === 'unix') await access(address.socketPath, constants.R_OK | constants.W_OK)
    const { default: Docker } = await import('dockerode')
    const modem: Modem = new Docker(await dockerOptions(address, certDir)).modem
    const call: Call = { method: 'GET', path: '/version', deadlineMs: answerMs / 2 }
    const version = await dial<{ ApiVersion?: string; MinAPIVersion?: string }>({ modem, prefix: '' }, call, false)
    return { modem, prefix: `/v${commonVersion(host, version)}` }
  }

  /** What both sides speak is asked for again after any trouble: another engine may have taken the place of the first. */
  async function ready(): Promise<Line> {
    line ??= connect()
    const mine = line
    return mine.catch((error: unknown) => {
      if (line === mine) line = undefined
      throw explained(error)
    })
  }

  function dial<T>({ modem, prefix }: Line, call: Call, isStream: boolean): Promise<T> {
    const { method, path, query, body, auth, deadlineMs = answerMs, signal } = call
    const aborting = new AbortController()
    return new Promise<T>((resolve, reject) => {
      const abort = () => end(signal?.reason ?? new Error('aborted'))
      const cancel = clock.after(deadlineMs, () => end(unavailable(silentWords(host, `${method} ${path}`, deadlineMs))))
      const forget = () => signal?.removeEventListener('abort', abort)
      const end = (reason: unknown) => {
        cancel()
        forget()
        reject(reason)
        aborting.abort()
      }
      if (signal?.aborted) return abort()
      signal?.addEventListener('abort', abort, { once: true })
      const options = {
        method,
        path: `${prefix}${path}${query ? '?' : ''}`,
        options: { ...(query && { _query: query }), _body: body ?? {} },
        // Read here, the good ones and the bad ones: the library reads whole what it reads, however long it is.
        statusCodes: anyStatus,
        isStream: true,
        abortSignal: aborting.signal,
        ...(auth ? { authconfig: auth } : {}),
      }
      modem.dial(options, (error, begun) => {
        if (error) return end(error)
        const answer = begun as IncomingMessage
        aborting.signal.addEventListener('abort', () => answer.destroy(), { once: true })
        take(answer, isStream).then((taken) => {
          cancel()
          // A stream that has begun ends with its signal, which may outlive many of them; what was read whole no longer needs it.
          if (isStream) answer.once('close', forget)
          else forget()
          resolve(taken as T)
        }, end)
      })
    })
  }

  function explained(error: unknown): unknown {
    if (error instanceof OrchestryError || error instanceof EngineRefusal) return error
    const { code } = error as Failure
    return unavailable(unreachableWords(host, code, messageOf(error)), error)
  }

  async function send<T>(call: Call, isStream: boolean): Promise<T> {
    const current = await ready()
    try {
      return await dial<T>(current, call, isStream)
    } catch (thrown) {
      if (call.signal?.aborted) throw thrown
      const error = explained(thrown)
      if (!(error instanceof EngineRefusal)) line = undefined
      throw error
    }
  }

  return {
    call: (call) => send(call, false),
    stream: (call) => send(call, true),
  }
}

/** The body of a good answer, or what is in it. @throws EngineRefusal for a bad one */
async function take(answer: IncomingMessage, isStream: boolean): Promise<unknown> {
  const { statusCode: status = 0 } = answer
  const isGood = (status >= 200 && status < 300) || status === 304
  if (isGood && isStream) return answer
  const read = await readAnswer(answer)
  if (isGood) return read
  const { message, cause } = (typeof read === 'object' && read !== null ? read : {}) as Record<string, unknown>
  const said = [message, cause, read].find((one) => typeof one === 'string') ?? `it refused with status ${status}`
  throw new EngineRefusal(status, String(said).trim().slice(0, mostSaid))
}

/** All of them, because the library fills in what is missing from the environment of this process. */
async function dockerOptions(address: NonNullable<ReturnType<typeof parseDockerHost>>, certDir: string | undefined) {
  if (address.kind === 'unix')
    return {
      socketPath: address.socketPath,
      host: undefined,
      port: undefined,
      protocol: 'http' as const,
      agent: new Agent({ keepAlive: false }),
    }
  const { host, port, protocol } = address
  const paths = certDir === undefined ? undefined : certificatePaths(certDir)
  const [ca, cert, key] = paths ? await readAll(certDir ?? '', [paths.ca, paths.cert, paths.key]) : []
  const agent = protocol === 'https' ? new TlsAgent({ keepAlive: false }) : new Agent({ keepAlive: false })
  return { socketPath: undefined, host, port, protocol, agent, ...(ca && cert && key && { ca, cert, key }) }
}

async function readAll(dir: string, paths: readonly string[]): Promise<Buffer[]> {
  return Promise.all(paths.map((path) => readFile(path))).catch((cause: unknown) => {
    throw unavailable(`The certificates for the Docker engine in ${dir} cannot be read: ${messageOf(cause)}.`, cause)
  })
}

function commonVersion(
  host: string,
  { ApiVersion = '', MinAPIVersion = '' }: { ApiVersion?: string; MinAPIVersion?: string },
) {
  const read = (text: string) => text.split('.').map(Number) as [number, number]
  const isBefore = (a: readonly [number, number], b: readonly [number, number]) =>
    a[0] < b[0] || (a[0] === b[0] && a[1] < b[1])
  const theirs = read(ApiVersion)
  if (theirs.length !== 2 || theirs.some(Number.isNaN))
    throw unavailable(`What answers at ${host} is no Docker engine: it tells no API version.`)
  if (isBefore(theirs, oldestApi))
    throw unavailable(
      `The Docker engine at ${host} speaks API ${ApiVersion}; ${oldestApi.join('.')} is needed, which is Docker 20.10 or newer.`,
    )
  if (MinAPIVersion !== '' && isBefore(newestApi, read(MinAPIVersion)))
    throw unavailable(
      `The Docker engine at ${host} speaks API ${MinAPIVersion} or newer; this Orchestry speaks up to ${newestApi.join('.')}. Use a newer Orchestry.`,
    )
  return (isBefore(theirs, newestApi) ? theirs : newestApi).join('.')
}

function unavailable(detail: string, cause?: unknown): OrchestryError {
  return new OrchestryError('ORC_DRIVER_UNAVAILABLE', detail, { cause })
}
