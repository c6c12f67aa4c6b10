/**
 * What every request passes before a route sees it. Without authentication, the names of the loopback interface are what
 * keeps web pages out: a page of another origin can send requests here (and rebind its own name to 127.0.0.1).
 */
import { bodyLimit } from 'hono/body-limit'
import { OrchestryError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { Api, ApiEnv } from './deps.ts'
import { problemResponse } from './problem.ts'

const loopbackNames = ['127.0.0.1', 'localhost', '[::1]']
const mutations = new Set(['POST', 'PUT', 'PATCH', 'DELETE'])
const readable = /^(?:application|text)\/(?:[\w.-]+\+)?(?:json|yaml|x-yaml)\s*(?:;|$)/i

type Check = (request: Request, env: ApiEnv['Bindings'] | undefined) => void

/**
 * Puts host, origin and media type checks before everything that `api` answers, also where it has no route. They stand
 * around the router and not in it: as a layer of every route they would cost a small GET a tenth of its throughput.
 */
export function guard(api: Api): void {
  const check = createCheck()
  const answer = api.fetch
  api.fetch = (request, env, execution) => {
    try {
      check(request, env)
    } catch (thrown) {
      if (thrown instanceof OrchestryError) return problemResponse(thrown, new URL(request.url).pathname)
      throw thrown
    }
    return answer(request, env, execution)
  }
  // Counts while the body comes in, for those who do not say how long it is.
  const count = bodyLimit({ maxSize: limits.apiBodyBytes, onError: refuseSize })
  api.on([...mutations], '*', (c, next) => {
    if (c.req.header('transfer-encoding') !== undefined) return count(c, next)
    // Node holds a client to its Content-Length. A body nobody touched is discarded; one turned into a stream is not.
    if (Number(c.req.header('content-length') ?? 0) > limits.apiBodyBytes) refuseSize()
    return next()
  })
}

function createCheck(): Check {
  const allowedByPort = new Map<number | undefined, ReadonlySet<string>>()
  const allowedOn = (port: number | undefined) => {
    const known = allowedByPort.get(port)
    if (known) return known
    const made = hostNames(port)
    allowedByPort.set(port, made)
    return made
  }
  return (request, env) => {
    const incoming = env?.incoming
    const port = incoming?.socket.localPort
    // Read from the socket's own request: the standard Headers object is made only for those who ask for it.
    const host = incoming ? incoming.headers.host : hostOf(request)
    const allowed = allowedOn(port)
    if (host === undefined || !(allowed.has(host) || allowed.has(host.toLowerCase()))) refuseHost(host, port)
    // An absolute request target carries a second host; the routes see that one.
    if (incoming?.url !== undefined && incoming.url.charCodeAt(0) !== 47) checkTarget(incoming.url, allowed)
    const origin = incoming ? incoming.headers.origin : request.headers.get('origin')
    if (typeof origin === 'string' && !isOwn(origin, allowed)) refuseOrigin(origin)
    if (!mutations.has(request.method)) return
    const site = request.headers.get('sec-fetch-site')
    if (site !== null && site !== 'same-origin' && site !== 'none') refuseOrigin(`a ${site} page`)
    checkMediaType(request.headers)
  }
}

function hostNames(port: number | undefined): ReadonlySet<string> {
  const bare = port === undefined || port === 80 ? loopbackNames : []
  return new Set([...bare, ...(port === undefined ? [] : loopbackNames.map((name) => `${name}:${port}`))])
}

/** Without a socket (an injected request) there is no bound port: only the name counts. */
function hostOf(request: Request): string {
  return request.headers.get('host')?.replace(/:\d+$/, '') ?? new URL(request.url).hostname
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
function checkMediaType(headers: Headers): void {
  const type = headers.get('content-type')
  if (type !== null && readable.test(type)) return
  const length = headers.get('content-length')
  const hasBody = headers.has('transfer-encoding') || (length !== null && length !== '0')
  if (type === null && !hasBody) return
  throw new OrchestryError(
    'ORC_API_MEDIA_TYPE',
    `The Content-Type is ${type === null ? 'missing' : JSON.stringify(type)}; send application/json (or, for an app spec, application/yaml). Nothing was changed.`,
  )
}

function refuseSize(): never {
  throw new OrchestryError(
    'ORC_API_BODY_TOO_LARGE',
    `The body is larger than ${limits.apiBodyBytes} bytes. Nothing was changed.`,
  )
}
