/** `proxy`: drives the embedded reverse proxy. What the built-in load balancer uses, and any other may that is granted it. */
import { type Endpoint, Upstream } from '@orchestry/sdk'
import * as Type from 'typebox'
import { Compile } from 'typebox/compile'
import type { Dataplane } from '../dataplane/dataplane.ts'
import { OrchestryError } from '../errors.ts'
import type { Capability } from './capability.ts'

const upstreamArguments = Compile(Type.Tuple([Upstream]))
const appArguments = Compile(Type.Tuple([Type.String({ minLength: 1, maxLength: 128 })]))
const routePath = /^\/(?:[^\s?#]+\/)?$/

export function createProxyCapability(
  dataplane: Pick<Dataplane, 'apply' | 'remove' | 'status' | 'traffic'>,
): Capability<'proxy'> {
  return {
    kind: 'proxy',
    use: () => ({
      operations: {
        apply: async (args, { endpoints }) => {
          const [upstream] = parse('apply', 'one upstream', upstreamArguments, args)
          if (!routePath.test(upstream.route.path))
            refuse(
              'apply',
              `a route path that begins and ends with a slash, not ${JSON.stringify(upstream.route.path)}`,
            )
          for (const endpoint of [...upstream.endpoints, ...upstream.draining]) requireHandedOut(endpoint, endpoints)
          await dataplane.apply(upstream)
        },
        remove: (args) => dataplane.remove(parse('remove', 'the name of an app', appArguments, args)[0]),
        status: (args) => dataplane.status(parse('status', 'the name of an app', appArguments, args)[0]),
        traffic: () => dataplane.traffic(),
      },
    }),
  }
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

interface Check<T> {
  Check(value: unknown): value is T
  Errors(value: unknown): { instancePath: string; message: string }[]
}

function parse<T>(operation: string, wanted: string, schema: Check<T>, args: readonly unknown[]): T {
  const given: unknown = [...args]
  if (schema.Check(given)) return given
  const [first] = schema.Errors(given)
  return refuse(
    operation,
    `${wanted}${first ? `: ${first.instancePath.replace(/^\/0/, '') || 'it'} ${first.message}` : ''}`,
  )
}

function refuse(operation: string, wanted: string): never {
  throw new OrchestryError('ORC_CAPABILITY_ARGUMENT', `ctx.proxy.${operation} takes ${wanted}. Nothing was changed.`)
}
