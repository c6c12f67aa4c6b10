/**
 * What every request passes before a route sees it. Without authentication, the names of the loopback interface are what
 * keeps web pages out: a page of another origin can send requests here (and rebind its own name to 127.0.0.1).
 */
import type { Context, MiddlewareHandler } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { OrchestryError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { ApiEnv } from './deps.ts'

const loopbackNames = ['127.0.0.1', 'localhost', '[::1]']
const mutations = new Set(['POST', 'PUT', 'PATCH', 'DELETE'])
const readable = /^(?:application|text)\/(?:[\w.-]+\+)?(?:json|yaml|x-yaml)\s*(?:;|$)/i

/** Host and Origin of every request, type and size of the body of those that change something. */
export function createGuard(): MiddlewareHandler<ApiEnv> {
  const allowedByPort = new Map<number | undefined, ReadonlySet<string>>()
  const allowedOn = (port: number | undefined) => {
    const known = allowedByPort.get(port)
    if (known) return known
    const made = hostNames(port)
    allowedByPort.set(port, made)
    return made
  }
  const limitBody = bodyLimit({ maxSize: limits.apiBodyBytes, onError: refuseSize })

  return (c, next) => {
    const incoming = c.env?.incoming
    const port = incoming?.socket.localPort
    // Read from the socket's own request: the standard Headers object is made only for those who ask for it.
    const host = incoming ? incoming.headers.host : hostOf(c)
    const allowed = allowedOn(port)
    if (host === undefined || !(allowed.has(host) || allowed.has(host.toLowerCase()))) refuseHost(host, port)
    // An absolute request target carries a second host; the routes see that one.
    if (incoming?.url !== undefined && incoming.url.charCodeAt(0) !== 47) checkTarget(incoming.url, allowed)
    const origin = incoming ? incoming.headers.origin : c.req.header('origin')
    if (origin !== undefined && !isOwn(origin, allowed)) refuseOrigin(origin)
    if (!mutations.has(c.req.method)) return next()
    const site = c.req.header('sec-fetch-site')
    if (site !== undefined && site !== 'same-origin' && site !== 'none') refuseOrigin(`a ${site} page`)
    checkMediaType(c)
    return limitBody(c, next)
  }
}

function hostNames(port: number | undefined): ReadonlySet<string> {
  const bare = port === undefined || port === 80 ? loopbackNames : []
  return new Set([...bare, ...(port === undefined ? [] : loopbackNames.map((name) => `${name}:${port}`))])
}

/** Without a socket (an injected request) there is no bound port: only the name counts. */
function hostOf(c: Context<ApiEnv>): string | undefined {
  return c.req.header('host')?.replace(/:\d+$/, '') ?? new URL(c.req.url).hostname
}

function isOwn(origin: string, allowed: ReadonlySet<string>): boolean {
  return origin.startsWith('http://') && allowed.has(origin.slice('http://'.length).toLowerCase())
}

function refuseHost(host: string | undefined, port: number | undefined): never {
  const names = [...hostNames(port)].join(', ')
  throw new OrchestryError(
    'ORC_API_HOST_REFUSED',
    `The Host header is ${JSON.stringify(host)}; this server answers only for ${names}.`,
  )
}

function checkTarget(target: string, allowed: ReadonlySet<string>): void {
  const host = URL.parse(target)?.host
  if (host !== undefined && allowed.has(host)) return
  throw new OrchestryError(
    'ORC_API_HOST_REFUSED',
    `The request names the host ${JSON.stringify(host)}, not this server.`,
  )
}

function refuseOrigin(origin: string): never {
  throw new OrchestryError(
    'ORC_API_ORIGIN_REFUSED',
    `The request comes from ${JSON.stringify(origin)}; only pages of this very server may send requests. Nothing was changed.`,
  )
}

/** A browser sends forms and plain text anywhere without asking; JSON and YAML it does not. */
function checkMediaType(c: Context<ApiEnv>): void {
  const type = c.req.header('content-type')
  if (type !== undefined && readable.test(type)) return
  const length = c.req.header('content-length')
  const hasBody = c.req.header('transfer-encoding') !== undefined || (length !== undefined && length !== '0')
  if (type === undefined && !hasBody) return
  throw new OrchestryError(
    'ORC_API_MEDIA_TYPE',
    `The Content-Type is ${type === undefined ? 'missing' : JSON.stringify(type)}; send application/json (or, for an app spec, application/yaml). Nothing was changed.`,
  )
}

function refuseSize(): never {
  throw new OrchestryError(
    'ORC_API_BODY_TOO_LARGE',
    `The body is larger than ${limits.apiBodyBytes} bytes. Nothing was changed.`,
  )
}
