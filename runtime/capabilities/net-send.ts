/** One request of a plugin from its arguments to its answer, over every redirect that may be followed. */
import type { NetRequest, NetResponse } from '@orchestry/sdk'
import type { Clock } from '../clock.ts'
import { codeOf, messageOf, OrchestryError } from '../errors.ts'
import type { Pace } from '../pace.ts'
import type { Invocation } from '../sandbox/sandbox.ts'
import { timeLeft } from './call-time.ts'
import type { Caller, GrantOf } from './capability.ts'
import { injectSecrets, type SecretOf } from './net-auth.ts'
import { checkHeaders } from './net-headers.ts'
import type { HttpClient } from './net-http.ts'
import { isRedirect, nextHop, type Sent } from './net-redirects.ts'
import { matchTarget, type NetRule, type NetTarget, shownTarget } from './net-rule.ts'
import { isRefusal } from './refusals.ts'
import type { InFlight } from './slots-in-flight.ts'

const longestAddress = 8_192
const longestMs = 15_000
const usualMs = 5_000

/** How requests of one kind (to named hosts, to instances) travel. */
export interface Lane {
  readonly client: HttpClient
  readonly inFlight: InFlight
  readonly bodyBytes: number
  /** Whether the secret of the grant is for it. */
  readonly takesAuth: boolean
  /** Undefined: bounded by `inFlight` alone. */
  readonly rate: { readonly perMinute: number; readonly pace: Pace } | undefined
}

/** `operation` is what the trace tells it under. */
export type Send = (operation: string, request: NetRequest, invocation: Invocation) => Promise<NetResponse>

export function createSend(deps: {
  rule: NetRule
  auth: GrantOf<'net'>['auth']
  named: Lane
  instances: Lane
  caller: Pick<Caller, 'onUse' | 'injectable'>
  secretOf: SecretOf
  clock: Clock
}): Send {
  const { rule, auth, caller, clock, secretOf } = deps
  const laneOf = (target: NetTarget) => (target.isInstance ? deps.instances : deps.named)

  return async (operation, request, invocation) => {
    const tell = (shown: string, isAllowed: boolean) => caller.onUse?.(operation, shown, isAllowed)
    const method = (request.method ?? 'GET').toUpperCase()
    const given = checkHeaders(request.headers ?? {})
    const first = aim(request.url, method)
    const { inFlight, bodyBytes, takesAuth } = laneOf(first)
    if (request.body !== undefined && Buffer.byteLength(request.body) > Math.max(bodyBytes, 1024))
      throw limitReached(`the request's body is larger than ${bodyBytes / 1024} KB`)
    const injected = injectSecrets(given, { auth, takesAuth, injectable: caller.injectable, secretOf })
    const { headers, secretHeaders, hide } = injected

    return await inFlight.run(async () => {
      const mostMs = Math.min(request.timeoutMs ?? usualMs, longestMs)
      const untilMs = clock.monotonic() + timeLeft('ctx.net', invocation, clock, mostMs)
      const sent = { url: first.url, method, headers, body: request.body }
      const response = await follow(first, sent, await sendTo(first, sent, untilMs), untilMs)
      return secretHeaders.size === 0 ? response : hidden(response, hide)
    })

    async function follow(from: NetTarget, before: Sent, redirect: NetResponse, untilMs: number): Promise<NetResponse> {
      let [target, sent, response] = [from, before, redirect]
      for (let hop = 1; rule.redirects > 0; hop += 1) {
        const { location } = response.headers
        if (!isRedirect(response.status, location)) break
        const next = nextHop(sent, response.status, location, secretHeaders)
        try {
          target = aimFrom(target, next.address, next.method, hop)
          sent = { ...next, url: target.url }
          response = await sendTo(target, sent, untilMs)
        } catch (thrown) {
          if (!isRefusal(codeOf(thrown))) throw thrown
          throw redirectDenied(hop, hide(next.address), hide(messageOf(thrown)))
        }
      }
      return response
    }

    async function sendTo(target: NetTarget, sent: Sent, untilMs: number): Promise<NetResponse> {
      const { client, rate, bodyBytes } = laneOf(target)
      if (rate !== undefined && rate.pace.take(clock.monotonic()) > 0)
        throw limitReached(`more than ${rate.perMinute} requests a minute (perMinute)`)
      const shown = hide(shownTarget(sent.method, target.url, target.isInstance))
      try {
        const response = await client.send({
          ...sent,
          timeoutMs: untilMs - clock.monotonic(),
          bodyBytes: request.skipBody ? 0 : bodyBytes,
          isProbe: target.isInstance,
          skipsRedirectBody: rule.redirects > 0,
        })
        tell(shown, true)
        return response
      } catch (thrown) {
        tell(shown, !isRefusal(codeOf(thrown)))
        throw thrown
      }
    }

    function aim(address: string, wanted: string, concealed = (text: string) => text): NetTarget {
      const target = matchTarget(rule, address, wanted, invocation.endpoints)
      if (typeof target === 'object') return target
      const url = URL.parse(address.slice(0, longestAddress))
      tell(url === null ? `${wanted} (no URL)` : concealed(shownTarget(wanted, url)), false)
      throw denied(target)
    }

    /** An instance is an app, and no app decides where a plugin goes; nor does anybody send a plugin to an app. */
    function aimFrom(from: NetTarget, address: string, wanted: string, hop: number): NetTarget {
      const to = aim(address, wanted, hide)
      const isCrossing = (from.isInstance || to.isInstance) && from.url.origin !== to.url.origin
      if (hop <= rule.redirects && !isCrossing) return to
      tell(hide(shownTarget(wanted, to.url, to.isInstance)), false)
      throw denied(isCrossing ? 'it leads to or away from an instance' : `more than ${rule.redirects} (redirects)`)
    }
  }
}

function hidden(response: NetResponse, hide: (text: string) => string): NetResponse {
  const headers = Object.entries(response.headers).map(([name, value]) => [name, hide(value)] as const)
  return { ...response, headers: Object.fromEntries(headers), body: hide(response.body) }
}

const denied = (why: string) => new OrchestryError('ORC_CAPABILITY_DENIED', `ctx.net: ${why}`)
const limitReached = (why: string) => new OrchestryError('ORC_CAPABILITY_LIMIT', `ctx.net: ${why}`)

/** The address is the other side's text: without its query, cut, and in letters that can be shown. */
function redirectDenied(hop: number, address: string, why: string): OrchestryError {
  const shown = address
    .replace(/[?#].*$/s, '')
    .replace(/[^\x20-\x7e]/g, '?')
    .slice(0, 100)
  return new OrchestryError(
    'ORC_NET_REDIRECT_DENIED',
    `ctx.net: redirect ${hop}, to ${shown}, was not followed: ${why.replace(/^ctx\.net: /, '')}`,
  )
}
