/** Lets a plugin send HTTP requests to what its record names. Everything is decided here, for every request, in the host. */
import type { NetOutcome, NetResponse } from '@orchestry/sdk'
import * as Type from 'typebox'
import type { Clock } from '../clock.ts'
import { codeOf, messageOf, OrchestryError } from '../errors.ts'
import type { Invocation } from '../sandbox/sandbox.ts'
import { isGranted, kindOf } from './addresses.ts'
import { argumentsOf } from './arguments.ts'
import type { Capability } from './capability.ts'
import { createHttpClient, type HttpClient } from './net-http.ts'
import { matchTarget, type NetRule, readNetRule } from './net-rule.ts'
import { isOwnListener, type Listener } from './own-listeners.ts'
import type { Resolve } from './resolve.ts'
import { createInFlight, type InFlight } from './slots-in-flight.ts'

const atOnce = 64
const waitingMost = 2_000
const longestMs = 15_000
const usualMs = 5_000
/** So that the guest still gets the error of a request that took all its time. */
const slackMs = 15

const NetRequest = Type.Object(
  {
    url: Type.String({ maxLength: 8_192 }),
    method: Type.Optional(Type.String({ maxLength: 16 })),
    headers: Type.Optional(Type.Record(Type.String(), Type.String())),
    body: Type.Optional(Type.String()),
    timeoutMs: Type.Optional(Type.Number({ exclusiveMinimum: 0 })),
  },
  { additionalProperties: false },
)
type NetRequest = Type.Static<typeof NetRequest>
const readFetch = argumentsOf('net.fetch', Type.Union([Type.String(), NetRequest]))
const readFetchAll = argumentsOf('net.fetchAll', Type.Array(NetRequest, { maxItems: 2_000 }))

export function createNetCapability(deps: {
  clock: Clock
  /** What this Orchestry listens on: no plugin ever connects there, whatever it was granted. */
  ownListeners: () => readonly Listener[]
  resolve?: Resolve
}): Capability<'net'> {
  return {
    kind: 'net',
    check(grant) {
      const problems: string[] = []
      readNetRule(grant, problems)
      return problems
    },
    use(grant, caller) {
      const rule = readNetRule(grant, [])
      const isOwn = (address: string, port: number) => isOwnListener(deps.ownListeners(), address, port)
      const resolve = deps.resolve === undefined ? {} : { resolve: deps.resolve }
      const clients = {
        named: createHttpClient({
          isAllowed: (address, port) => isGranted(address, rule.addresses) && !isOwn(address, port),
          ...resolve,
        }),
        // Which address it may be was decided by the endpoint itself; only what nobody may reach is left to refuse.
        instances: createHttpClient({
          isAllowed: (address, port) => kindOf(address) !== 'never' && !isOwn(address, port),
          ...resolve,
        }),
      }
      const inFlight = createInFlight(atOnce, waitingMost, 'ctx.net')
      const send = (request: NetRequest, invocation: Invocation) =>
        fetchOne(request, invocation, rule, clients, inFlight, deps.clock)

      return {
        operations: {
          fetch(args, invocation) {
            const [given] = readFetch(args)
            return send(typeof given === 'string' ? { url: given } : given, invocation)
          },
          async fetchAll(args, invocation) {
            const [requests] = readFetchAll(args)
            return await Promise.all(
              requests.map(async (request): Promise<NetOutcome> => {
                try {
                  return { ok: true, response: await send(request, invocation) }
                } catch (thrown) {
                  const [code, message] = [codeOf(thrown), messageOf(thrown)]
                  if (code === 'ORC_CAPABILITY_DENIED' || code === 'ORC_NET_BLOCKED_ADDRESS')
                    caller.onDenied?.('fetchAll', message)
                  return { ok: false, code, message }
                }
              }),
            )
          },
        },
        dispose() {
          clients.named.close()
          clients.instances.close()
        },
      }
    },
  }
}

async function fetchOne(
  request: NetRequest,
  invocation: Invocation,
  rule: NetRule,
  clients: { named: HttpClient; instances: HttpClient },
  inFlight: InFlight,
  clock: Clock,
): Promise<NetResponse> {
  const method = (request.method ?? 'GET').toUpperCase()
  const headers = checkHeaders(request.headers ?? {})
  const target = matchTarget(rule, request.url, method, invocation.endpoints)
  if (typeof target === 'string') throw new OrchestryError('ORC_CAPABILITY_DENIED', `ctx.net: ${target}`)
  const bodyBytes = target.isInstance ? rule.instanceBodyBytes : rule.bodyBytes
  if (request.body !== undefined && Buffer.byteLength(request.body) > Math.max(bodyBytes, 1024))
    throw new OrchestryError(
      'ORC_CAPABILITY_LIMIT',
      `ctx.net: the request's body is larger than ${bodyBytes / 1024} KB`,
    )
  return await inFlight.run(async () => {
    const leftMs = invocation.deadlineMs - clock.monotonic() - slackMs
    const timeoutMs = Math.min(request.timeoutMs ?? usualMs, longestMs, leftMs)
    if (timeoutMs <= 0)
      throw new OrchestryError(
        'ORC_HOOK_OVERLOADED',
        'ctx.net: the time of the hook call was over before the request was sent',
      )
    return await (target.isInstance ? clients.instances : clients.named).send({
      url: target.url,
      method,
      headers,
      body: request.body,
      timeoutMs,
      bodyBytes,
      isProbe: target.isInstance,
    })
  })
}

/** Headers that say where a message ends, where it goes or who sent it are the client's business. */
const ownHeaders =
  /^(host|connection|keep-alive|te|trailer|transfer-encoding|content-length|upgrade|expect|forwarded|via|accept-encoding|x-forwarded-.*|x-real-ip|proxy-.*|sec-.*)$/
const mostHeaders = 64
const headersBytes = 8 * 1024

function checkHeaders(given: Readonly<Record<string, string>>): Record<string, string> {
  const refuse = (why: string) => new OrchestryError('ORC_CAPABILITY_ARGUMENT', `ctx.net: ${why}`)
  const entries = Object.entries(given)
  if (entries.length > mostHeaders) throw refuse(`more than ${mostHeaders} headers`)
  let bytes = 0
  const headers = entries.map(([name, value]) => {
    const lower = name.toLowerCase()
    bytes += name.length + value.length + 4
    if (!/^[a-z0-9!#$%&'*+.^_`|~-]{1,128}$/.test(lower)) throw refuse(`"${name.slice(0, 64)}" is no header name`)
    if (ownHeaders.test(lower)) throw refuse(`the header ${lower} is not the plugin's to set`)
    if (!/^[\x20-\x7e]*$/.test(value)) throw refuse(`the header ${lower} has characters that are not printable ASCII`)
    return [lower, value] as const
  })
  if (bytes > headersBytes) throw refuse(`the headers are larger than ${headersBytes / 1024} KB`)
  return Object.fromEntries(headers)
}
