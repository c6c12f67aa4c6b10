/** `proxy`: drives the embedded reverse proxy. What the built-in load balancer uses, and any other may that is granted it. */
import { type Endpoint, Upstream } from '@orchestry/sdk'
import * as Type from 'typebox'
import type { Dataplane } from '../dataplane/dataplane.ts'
import { OrchestryError } from '../errors.ts'
import { argumentsOf } from './arguments.ts'
import type { Capability } from './capability.ts'

const appName = Type.String({ minLength: 1, maxLength: 128 })
const readApply = argumentsOf('proxy.apply', Upstream)
const readRemove = argumentsOf('proxy.remove', appName)
const readStatus = argumentsOf('proxy.status', appName)
const routePath = /^\/(?:[^\s?#]+\/)?$/

export function createProxyCapability(
  dataplane: Pick<Dataplane, 'apply' | 'remove' | 'status' | 'traffic' | 'signals'>,
): Capability<'proxy'> {
  return {
    kind: 'proxy',
    use: () => ({
      operations: {
        apply: async (args, { endpoints }) => {
          const [upstream] = readApply(args)
          requireRoutePath(upstream.route.path)
          for (const endpoint of [...upstream.endpoints, ...upstream.draining]) requireHandedOut(endpoint, endpoints)
          await dataplane.apply(upstream)
        },
        remove: (args) => dataplane.remove(readRemove(args)[0]),
        status: (args) => dataplane.status(readStatus(args)[0]),
        traffic: () => dataplane.traffic(),
        signals: () => dataplane.signals(),
      },
    }),
  }
}

function requireRoutePath(path: string): void {
  if (routePath.test(path)) return
  throw new OrchestryError(
    'ORC_CAPABILITY_ARGUMENT',
    `ctx.proxy.apply takes a route path that begins and ends with a slash, not ${JSON.stringify(path)}.`,
  )
}

/** Without this a plugin could open a public route to anything that this machine can reach, such as our own API. */
function requireHandedOut({ id, host, port }: Endpoint, endpoints: ReadonlySet<string>): void {
  if (endpoints.has(`${host}:${port}`)) return
  throw new OrchestryError(
    'ORC_CAPABILITY_DENIED',
    `ctx.proxy.apply may only route to the app instances that were handed to this call; ${id} at ${host}:${port} is not ` +
      'one of them. Nothing was changed.',
  )
}
