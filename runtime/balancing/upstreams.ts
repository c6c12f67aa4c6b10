/** What an app's upstream should be, from where its replicas stand. Pure. */
import { isDeepStrictEqual } from 'node:util'
import type { Endpoint, Route, Upstream } from '@orchestry/sdk'
import type { InstanceView } from '../reconcile/reconcile.ts'

export interface Wanted {
  readonly route: Route
  readonly endpoints: readonly Endpoint[]
  readonly draining: readonly Endpoint[]
}

type Placed = Pick<InstanceView, 'id' | 'host' | 'port' | 'isRunning' | 'rotation'>

/** Serving replicas take requests, draining ones finish theirs; starting, unhealthy and stopping ones are not routed to. */
export function endpointsOf(instances: readonly Placed[]): Pick<Wanted, 'endpoints' | 'draining'> {
  const inRotation = (rotation: Placed['rotation']) =>
    instances
      .filter((instance) => instance.isRunning && instance.rotation === rotation)
      .map(({ id, host, port }) => ({ id, host, port }))
      .sort((a, b) => (a.id < b.id ? -1 : 1))
  return { endpoints: inRotation('serving'), draining: inRotation('draining') }
}

/**
 * The upstream that follows `previous`: the very same when nothing of it differs (order of endpoints means nothing), else one
 * with a higher generation. Generations start from the time in milliseconds: a controller that comes after this one starts
 * above everything this one gave out, without anything having been kept, because nobody publishes once per millisecond.
 */
export function nextUpstream(app: string, previous: Upstream | undefined, wanted: Wanted, nowMs: number): Upstream {
  const { host, path } = wanted.route
  const content = {
    app,
    route: host === undefined ? { path } : { host, path },
    endpoints: sorted(wanted.endpoints),
    draining: sorted(wanted.draining),
  }
  if (previous && isDeepStrictEqual(content, withoutGeneration(previous))) return previous
  return { ...content, generation: Math.max(Math.floor(nowMs), (previous?.generation ?? 0) + 1) }
}

function withoutGeneration({ app, route, endpoints, draining }: Upstream): Omit<Upstream, 'generation'> {
  return { app, route, endpoints, draining }
}

function sorted(endpoints: readonly Endpoint[]): Endpoint[] {
  return endpoints.map(({ id, host, port }) => ({ id, host, port })).sort((a, b) => (a.id < b.id ? -1 : 1))
}
