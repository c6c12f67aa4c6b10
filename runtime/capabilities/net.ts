/** Lets a plugin send HTTP requests to what its record names. Everything is decided here, for every request, in the host. */
import type { NetOutcome } from '@orchestry/sdk'
import * as Type from 'typebox'
import type { Clock } from '../clock.ts'
import { codeOf, type ErrorCode, messageOf } from '../errors.ts'
import { isGranted, kindOf } from './addresses.ts'
import { createAnswerBudget } from './answer-budget.ts'
import { argumentsOf } from './arguments.ts'
import type { Capability } from './capability.ts'
import { authProblems, type SecretOf } from './net-auth.ts'
import { createHttpClient } from './net-http.ts'
import { narrowNet } from './net-narrow.ts'
import { readNetRule } from './net-rule.ts'
import { createSend, type Lane } from './net-send.ts'
import { isOwnListener, type Listener } from './own-listeners.ts'
import { createBucket } from './rate.ts'
import type { IsAllowed, Resolve } from './resolve.ts'
import { createInFlight } from './slots-in-flight.ts'

/** Probes of instances come in batches, so many more of them wait. */
const inFlight = { named: { atOnce: 4, waitingMost: 60 }, instances: { atOnce: 64, waitingMost: 2_000 } }
const usualPerMinute = 600
const minuteMs = 60_000

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
const readFetch = argumentsOf('net.fetch', Type.Union([Type.String(), NetRequest]))
const readFetchAll = argumentsOf('net.fetchAll', Type.Array(NetRequest, { maxItems: 2_000 }))
const refusals: ReadonlySet<ErrorCode> = new Set([
  'ORC_CAPABILITY_DENIED',
  'ORC_NET_BLOCKED_ADDRESS',
  'ORC_NET_REDIRECT_DENIED',
])

export function createNetCapability(deps: {
  clock: Clock
  /** What this Orchestry listens on: no plugin ever connects there, whatever it was granted. */
  ownListeners: () => readonly Listener[]
  /** For `auth` of a grant, and for headers that are `secret://name`. */
  secretOf?: SecretOf
  resolve?: Resolve
}): Capability<'net'> {
  const { clock, secretOf = () => undefined } = deps
  return {
    kind: 'net',
    check(grant) {
      const problems: string[] = []
      readNetRule(grant, problems)
      return [...problems, ...authProblems(grant)]
    },
    narrow: narrowNet,
    use(grant, caller) {
      const rule = readNetRule(grant, [])
      const isOwn: IsAllowed = (address, port) => isOwnListener(deps.ownListeners(), address, port)
      const clientOf = (isAllowed: IsAllowed) =>
        createHttpClient({
          isAllowed: (address, port) => isAllowed(address, port) && !isOwn(address, port),
          ...(deps.resolve === undefined ? {} : { resolve: deps.resolve }),
        })
      const rateOf = (perMinute: number) => ({ perMinute, bucket: createBucket(perMinute, minuteMs, clock) })
      const given = grant.perMinute === undefined ? undefined : rateOf(grant.perMinute)
      const named: Lane = {
        client: clientOf((address) => isGranted(address, rule.addresses)),
        inFlight: createInFlight(inFlight.named.atOnce, inFlight.named.waitingMost, 'ctx.net', 'ORC_CAPABILITY_LIMIT'),
        bodyBytes: rule.bodyBytes,
        takesAuth: true,
        rate: given ?? rateOf(usualPerMinute),
      }
      const instances: Lane = {
        // Which address it may be was decided by the endpoint itself; only what nobody may reach is left to refuse.
        client: clientOf((address) => kindOf(address) !== 'never'),
        inFlight: createInFlight(inFlight.instances.atOnce, inFlight.instances.waitingMost, 'ctx.net'),
        bodyBytes: rule.instanceBodyBytes,
        // A secret is for the hosts that the operator agreed to; for apps only where there are no such hosts.
        takesAuth: rule.hosts.length === 0,
        rate: given,
      }
      const send = createSend({ rule, auth: grant.auth, named, instances, caller, secretOf, clock })

      return {
        operations: {
          fetch(args, invocation) {
            const [given] = readFetch(args)
            return send('fetch', typeof given === 'string' ? { url: given } : given, invocation)
          },
          async fetchAll(args, invocation) {
            const [requests] = readFetchAll(args)
            const budget = createAnswerBudget('ctx.net')
            return await Promise.all(
              requests.map(async (request): Promise<NetOutcome> => {
                try {
                  const response = await send('fetchAll', request, invocation)
                  budget.take(response.body.length)
                  return { ok: true, response }
                } catch (thrown) {
                  const [code, message] = [codeOf(thrown), messageOf(thrown)]
                  if (refusals.has(code)) caller.onDenied?.('fetchAll', message)
                  return { ok: false, code, message }
                }
              }),
            )
          },
        },
        dispose() {
          named.client.close()
          instances.client.close()
        },
      }
    },
  }
}
