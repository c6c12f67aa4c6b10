/** The API's socket: opened on loopback, bounded in time and number, closed without waiting for streams. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { getRequestListener, RequestError } from '@hono/node-server'
import { messageOf, OrchestryError } from '../errors.ts'
import type { Api } from './deps.ts'
import { problemResponse } from './problem.ts'

const bounds = {
  maxHeaderSize: 16 * 1024,
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 10_000,
  /** How often the two timeouts above are enforced. */
  connectionsCheckingInterval: 1_000,
}
const connectionsAtOnce = 1_024
/** How long requests that are being answered may go on after `close`. */
const graceMs = 2_000

export interface ApiServer {
  /** The port that was really bound, also where 0 was asked for. */
  readonly port: number
  readonly url: string
  /** Ends event streams at once, lets other requests finish for a moment. Idempotent. */
  close(): Promise<void>
}

export interface ListenOptions {
  readonly api: Api
  readonly host: string
  /** 0 takes any free port. */
  readonly port: number
  /** For tests: shorter than what a patient client needs. */
  readonly timeouts?: Partial<typeof bounds>
}

/** @throws ORC_CONFIG_PORT_IN_USE naming the port and how to choose another. */
export async function listen({ api, host, port, timeouts }: ListenOptions): Promise<ApiServer> {
  const closing = new AbortController()
  const answer = getRequestListener(
    (request, env) => api.fetch(request, Object.assign(env, { closing: closing.signal })),
    {
      errorHandler: refuseUnreadable,
      autoCleanupIncoming: false,
    },
  )
  const server = createServer({ ...bounds, ...timeouts }, answer)
  server.maxConnections = connectionsAtOnce
  await bind(server, host, port)
  const bound = (server.address() as AddressInfo).port
  const name = host.includes(':') ? `[${host}]` : host
  let closed: Promise<void> | undefined
  return {
    port: bound,
    url: `http://${name}:${bound}`,
    close: () => {
      closed ??= end(server, closing)
      return closed
    },
  }
}

function bind(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const refuse = (thrown: NodeJS.ErrnoException) => {
      if (thrown.code === 'EADDRINUSE') return reject(inUse(host, port, thrown))
      const detail = `The API cannot listen on ${host}:${port}: ${messageOf(thrown)}. Choose another with --host and --port.`
      reject(new OrchestryError('ORC_CONFIG_INVALID', detail, { cause: thrown }))
    }
    server.once('error', refuse)
    server.listen(port, host, () => {
      server.off('error', refuse)
      resolve()
    })
  })
}

function inUse(host: string, port: number, cause: unknown): OrchestryError {
  return new OrchestryError(
    'ORC_CONFIG_PORT_IN_USE',
    `Port ${port} on ${host} is in use, perhaps by another Orchestry. Choose another with --port or ORCHESTRY_PORT (0 takes any free one).`,
    { cause },
  )
}

function end(server: Server, closing: AbortController): Promise<void> {
  return new Promise((resolve) => {
    closing.abort()
    const force = setTimeout(() => server.closeAllConnections(), graceMs)
    // A connection that was busy just now is idle in a moment, and would then be kept alive for nobody.
    const sweep = setInterval(() => server.closeIdleConnections(), 20)
    server.close(() => {
      clearTimeout(force)
      clearInterval(sweep)
      resolve()
    })
  })
}

/** What could not even be made into a request: a target or a Host that is no URL. */
function refuseUnreadable(thrown: unknown): Response {
  if (thrown instanceof RequestError)
    return problemResponse(
      new OrchestryError('ORC_API_VALIDATION', `The request cannot be read: ${thrown.message}.`, { cause: thrown }),
      'about:blank',
    )
  return problemResponse(new OrchestryError('ORC_API_INTERNAL', 'The request failed inside Orchestry.'), 'about:blank')
}
