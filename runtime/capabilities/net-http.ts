/** The one HTTP client for plugins: connects only to addresses it checked itself, follows nothing, believes no size. */
import type { LookupFunction } from 'node:net'
import type { NetResponse } from '@orchestry/sdk'
import { Agent, buildConnector } from 'undici'
import { messageOf, OrchestryError } from '../errors.ts'
import { canonicalAddress } from './addresses.ts'
import { type Body, readBody } from './net-body.ts'
import { headerBytes } from './net-headers.ts'
import { isRedirect } from './net-redirects.ts'
import { blocked, type IsAllowed, type Resolve, resolveAllowed } from './resolve.ts'

export interface HttpRequest {
  readonly url: URL
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
  readonly timeoutMs: number
  readonly bodyBytes: number
  /** A connection of its own, closed afterwards: a probe must find out whether new connections are taken. */
  readonly isProbe: boolean
  /** Where redirects are followed, nobody reads the body of one. */
  readonly skipsRedirectBody: boolean
}

export interface HttpClient {
  send(request: HttpRequest): Promise<NetResponse>
  close(): void
}

/** Of interim answers (1xx) before the one that counts. */
const mostInterim = 16
const connectMs = 5_000
const keepAliveMs = 4_000

/** `isAllowed` decides about an IP address and port; it is asked for every address a name has, before any is used. */
export function createHttpClient(options: { isAllowed: IsAllowed; resolve?: Resolve }): HttpClient {
  const { isAllowed, resolve } = options
  let agent: Agent | undefined
  let isClosed = false

  function connector(): buildConnector.connector {
    return (target, callback) => {
      const port = Number(target.port) || (target.protocol === 'https:' ? 443 : 80)
      const host = target.hostname.replace(/^\[|\]$/g, '')
      // A literal address skips `lookup`, so it is looked at here; a name has none yet.
      if (/^[\d.]+$|:/.test(host) && !isAllowed(host, port)) return callback(blocked('ctx.net', host), null)
      const connect = buildConnector({ timeout: connectMs, lookup: checkedLookup(port), allowH2: false })
      connect(target, (error, socket) => {
        if (error !== null) return callback(error, null)
        const remote = canonicalAddress(socket.remoteAddress ?? '')
        if (isAllowed(remote, port)) return callback(null, socket)
        socket.destroy()
        callback(blocked('ctx.net', remote), null)
      })
    }
  }

  /** Resolves once; one address that is not allowed refuses them all. */
  function checkedLookup(port: number): LookupFunction {
    return (host, wanted, callback) => {
      resolveAllowed('ctx.net', { host, port }, isAllowed, resolve).then(
        (found) =>
          wanted.all === true ? callback(null, [...found]) : callback(null, found[0].address, found[0].family),
        (refusal: Error) => callback(refusal, '', 0),
      )
    }
  }

  function agentNow(): Agent {
    agent ??= new Agent({
      connect: connector(),
      pipelining: 1,
      connections: 64,
      keepAliveTimeout: keepAliveMs,
      keepAliveMaxTimeout: keepAliveMs,
      maxHeaderSize: headerBytes,
    })
    return agent
  }

  return {
    async send(request) {
      // What waited for its turn until now would else make connections that nobody closes any more.
      if (isClosed) throw unreachable('the plugin instance was closed')
      const startedMs = performance.now()
      const ending = new AbortController()
      let interim = 0
      const timer = setTimeout(() => ending.abort(), request.timeoutMs)
      try {
        const response = await agentNow().request({
          origin: request.url.origin,
          path: `${request.url.pathname}${request.url.search}`,
          method: request.method,
          headers: { 'accept-encoding': 'gzip', 'user-agent': 'orchestry-plugin', ...request.headers },
          body: request.body ?? null,
          signal: ending.signal,
          reset: request.isProbe,
          headersTimeout: 0,
          bodyTimeout: 0,
          responseHeaders: 'raw',
          onInfo() {
            interim += 1
            if (interim > mostInterim) ending.abort()
          },
        })
        const headers = readHeaders(response.headers as unknown as readonly (string | Buffer)[])
        const isSkipped = request.skipsRedirectBody && isRedirect(response.statusCode, headers.location)
        const body = await readBody(response.body as Body, headers, isSkipped ? 0 : request.bodyBytes)
        return { status: response.statusCode, headers, body, durationMs: performance.now() - startedMs }
      } catch (thrown) {
        if (interim > mostInterim) throw unreachable('the answer never came to an end of its interim ones (1xx)')
        throw ending.signal.aborted ? timedOut(request) : readable(thrown)
      } finally {
        clearTimeout(timer)
      }
    },
    close() {
      isClosed = true
      void agent?.destroy()
      agent = undefined
    },
  }
}

/** Names in lower case; several of a name become one text. `set-cookie` would not survive that and is left out. */
function readHeaders(raw: readonly (string | Buffer)[]): Record<string, string> {
  const headers = new Map<string, string>()
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = String(raw[index]).toLowerCase()
    const value = Buffer.isBuffer(raw[index + 1])
      ? (raw[index + 1] as Buffer).toString('latin1')
      : String(raw[index + 1])
    if (name === 'set-cookie' || name === '__proto__') continue
    headers.set(name, headers.has(name) ? `${headers.get(name)}, ${value}` : value)
  }
  return Object.fromEntries(headers)
}

const unreachable = (why: string) => new OrchestryError('ORC_NET_UNREACHABLE', `ctx.net: ${why}`)
const timedOut = ({ url, timeoutMs }: HttpRequest) =>
  new OrchestryError('ORC_NET_TIMEOUT', `ctx.net: no whole answer from ${url.host} within ${Math.round(timeoutMs)} ms`)

/** Errors of the client in few fixed words: a foreign text could hold anything. */
function readable(thrown: unknown): OrchestryError {
  if (thrown instanceof OrchestryError) return thrown
  const code = (thrown as { code?: unknown }).code
  if (code === 'ECONNREFUSED') return unreachable('the connection was refused')
  if (code === 'UND_ERR_CONNECT_TIMEOUT') return new OrchestryError('ORC_NET_TIMEOUT', 'ctx.net: no connection in time')
  if (code === 'UND_ERR_HEADERS_OVERFLOW' || code === 'HPE_HEADER_OVERFLOW')
    return new OrchestryError(
      'ORC_CAPABILITY_LIMIT',
      `ctx.net: the answer's headers are larger than ${headerBytes / 1024} KB`,
    )
  if (thrown instanceof AggregateError) return readable(thrown.errors[0])
  return unreachable(typeof code === 'string' ? `the request failed (${code})` : messageOf(thrown).slice(0, 100))
}
