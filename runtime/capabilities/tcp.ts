/** Lets a plugin connect to what its record names, by TCP, under the rules about addresses that HTTP requests have. */
import type { LookupFunction, Socket } from 'node:net'
import { OrchestryError } from '../errors.ts'
import { limits } from '../limits.ts'
import { canonicalAddress } from './addresses.ts'
import type { Capability } from './capability.ts'
import { connectedSocket } from './connection.ts'
import { allowedBy, allowedForInstances, type Outside } from './outside.ts'
import { type Address, blocked, resolveAllowed } from './resolve.ts'
import { keyOf, matchSocket, readSocketRule, readTarget, type SocketTarget } from './socket-rule.ts'
import { createStreamUse } from './stream.ts'

const what = 'ctx.tcp'
const shownInstances = 'instances:*'

export function createTcpCapability(deps: Outside): Capability<'tcp'> {
  return {
    kind: 'tcp',
    check(grant) {
      const problems: string[] = []
      readSocketRule(grant, problems)
      return problems
    },
    narrow(grant, shown) {
      const used = new Set(shown.map((target) => target.replace(/^CONNECT /, '')))
      const targets = (grant.targets ?? []).filter((target) => {
        const read = readTarget(target)
        return read !== undefined && used.has(keyOf(read))
      })
      const hasInstances = grant.addresses?.includes('instances') === true && used.has(shownInstances)
      if (targets.length === 0 && !hasInstances) return undefined
      const { targets: _targets, addresses = ['public'], ...kept } = grant
      const ofTargets = targets.length === 0 ? [] : addresses.filter((entry) => entry !== 'instances')
      return {
        ...kept,
        ...(targets.length === 0 ? {} : { targets }),
        addresses: [...ofTargets, ...(hasInstances ? ['instances'] : [])],
      }
    },
    use(grant, caller) {
      const rule = readSocketRule(grant, [])
      const [allowed, forInstances] = [allowedBy(rule.addresses, deps), allowedForInstances(deps)]
      return createStreamUse({
        kind: 'tcp',
        maxReadKb: grant.maxReadKb,
        ...(rule.hasInstances ? { atOnce: limits.probesInFlight } : {}),
        clock: deps.clock,
        caller,
        aim(text, invocation) {
          const target = matchSocket(rule, text, invocation.endpoints)
          if (typeof target === 'string') throw new OrchestryError('ORC_CAPABILITY_DENIED', `${what}: ${target}`)
          const { port, isInstance } = target
          const isAllowed = isInstance ? forInstances : allowed
          return {
            shown: isInstance ? shownInstances : keyOf(target),
            connect: async (signal) =>
              connected(target, await resolveAllowed(what, target, isAllowed, deps.resolve), signal),
            refusal({ remoteAddress = '' }) {
              const remote = canonicalAddress(remoteAddress)
              return isAllowed(remote, port) ? undefined : blocked(what, remote)
            },
          }
        },
      })
    },
  }
}

/** Connects to the first of these that takes the connection. They were checked; nothing is asked for again. */
async function connected(
  { host, port }: SocketTarget,
  found: readonly Address[],
  signal: AbortSignal,
): Promise<Socket> {
  const lookup: LookupFunction = (_host, _options, callback) => callback(null, [...found])
  return await connectedSocket({ host, port, autoSelectFamily: true, lookup }, signal)
}
