/** Lets a plugin send HTTP requests to what its record names. Everything is decided here, for every request, in the host. */
import * as Type from 'typebox'
import { limits } from '../limits.ts'
import { createPace } from '../pace.ts'
import { argumentsOf } from './arguments.ts'
import { answerEach } from './batch.ts'
import type { Capability } from './capability.ts'
import { authProblems, type SecretOf } from './net-auth.ts'
import { createHttpClient } from './net-http.ts'
import { narrowNet } from './net-narrow.ts'
import { readNetRule } from './net-rule.ts'
import { createSend, type Lane } from './net-send.ts'
import { allowedBy, allowedForInstances, type Outside } from './outside.ts'
import type { IsAllowed } from './resolve.ts'
import { createInFlight } from './slots-in-flight.ts'

/** Probes of instances come in batches, so many more of them are under way, and wait. */
const inFlight = {
  named: { atOnce: 4, waitingMost: 60 },
  instances: { atOnce: limits.probesInFlight, waitingMost: 2_000 },
}
const usualPerMinute = 600
const minuteMs = 60_000

const NetRequest = Type.Object(
  {
    url: Type.String({ maxLength: 8_192 }),
    method: Type.Optional(Type.String({ maxLength: 16 })),
    headers: Type.Optional(Type.Record(Type.String(), Type.String())),
    body: Type.Optional(Type.String()),
    timeoutMs: Type.Optional(Type.Number({ exclusiveMinimum: 0 })),
    skipBody: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false },
)
const readFetch = argumentsOf('net.fetch', Type.Union([Type.String(), NetRequest]))
const readFetchAll = argumentsOf('net.fetchAll', Type.Array(NetRequest, { maxItems: 2_000 }))

interface Deps extends Outside {
  /** For `auth` of a grant, and for headers that are `secret://name`. */
  readonly secretOf?: SecretOf
}

export function createNetCapability(deps: Deps): Capability<'net'> {
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
      const clientOf = (isAllowed: IsAllowed) =>
        createHttpClient({ isAllowed, ...(deps.resolve === undefined ? {} : { resolve: deps.resolve }) })
      const rateOf = (perMinute: number) => ({
        perMinute,
        pace: createPace({ most: perMinute, perMs: minuteMs }, clock.monotonic()),
      })
      const given = grant.perMinute === undefined ? undefined : rateOf(grant.perMinute)
      const named: Lane = {
        client: clientOf(allowedBy(rule.addresses, deps)),
        inFlight: createInFlight(inFlight.named.atOnce, inFlight.named.waitingMost, 'ctx.net', 'ORC_CAPABILITY_LIMIT'),
        bodyBytes: rule.bodyBytes,
        takesAuth: true,
        rate: given ?? rateOf(usualPerMinute),
      }
      const instances: Lane = {
        client: clientOf(allowedForInstances(deps)),
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
            return await answerEach(requests, (request) => send('fetchAll', request, invocation), {
              what: 'ctx.net',
              operation: 'fetchAll',
              caller,
              charactersOf: ({ body }) => body.length,
            })
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
