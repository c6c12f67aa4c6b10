/** Tells the load balancer which replicas take requests, and asks it what those that leave still work on. */
import type { Endpoint } from '@orchestry/sdk'
import type { Routing } from './facts.ts'
import type { Loop } from './loop.ts'
import { waysOf } from './target.ts'
import type { Beside, World } from './world.ts'

const republishMs = 1_000
const longestRepublishMs = 30_000

export interface Router {
  publish(loop: Loop, routing: Routing): void
  count(loop: Loop): void
}

export function createRouter({ balancing, clock, log, announced }: World, beside: Beside): Router {
  function publish(loop: Loop, routing: Routing): void {
    loop.seq += 1
    const { seq } = loop
    for (const id of routing.endpoints) {
      const replica = loop.replicas.get(id)
      if (!replica) continue
      replica.lastRoutedSeq = seq
      delete replica.unroutedAtMs
      delete replica.activeConnections
    }
    loop.published = { seq, routing, ingress: loop.record?.app.ingress }
    delete loop.republishAtMs
    beside(loop, 'publishing an upstream', handOut(loop, seq, routing))
  }

  async function handOut(loop: Loop, seq: number, routing: Routing): Promise<void> {
    const endpoints = endpointsOf(loop, routing.endpoints)
    const draining = endpointsOf(loop, routing.draining)
    const ingress = waysOf(loop.record, loop.memory)?.ingress ?? { path: `/${loop.name}/` }
    const { loadBalancer, ...route } = 'loadBalancer' in ingress ? ingress : { ...ingress, loadBalancer: undefined }
    const upstream = { route, endpoints, draining, ...(loadBalancer === undefined ? {} : { loadBalancer }) }
    const known = new Set(loop.memory.serving?.filter((id) => loop.replicas.has(id)))
    // Who joins is written down before, who leaves when the load balancer has let go; that somebody leaves waits for nothing.
    if (routing.endpoints.some((id) => !known.has(id))) {
      await announced(loop, [...new Set([...known, ...routing.endpoints])])
      if (loop.published?.seq !== seq) return
    }
    const isTaken = await balancing.publish(loop.name, upstream).catch((thrown: unknown) => {
      log.warn({ err: thrown, app: loop.name }, 'the upstream could not be published')
      return false
    })
    if (isTaken) {
      if (loop.taken && loop.taken.seq >= seq) return
      loop.taken = { seq, endpoints: new Set(routing.endpoints) }
      void announced(loop, routing.endpoints)
      loop.refusals = 0
      for (const replica of loop.replicas.values()) {
        if (replica.lastRoutedSeq < seq && replica.unroutedAtMs === undefined) replica.unroutedAtMs = clock.monotonic()
      }
    } else if (loop.published?.seq === seq) {
      loop.refusals += 1
      loop.republishAtMs = clock.monotonic() + Math.min(longestRepublishMs, republishMs * 2 ** (loop.refusals - 1))
    }
  }

  /** One count at a time for each app; a load balancer that cannot tell leaves the drain to its deadline. */
  function count(loop: Loop): void {
    if (loop.isCounting) return
    loop.isCounting = true
    loop.countedAtMs = clock.monotonic()
    const seen = loop.taken?.seq
    const ask = async () => {
      const status = await balancing.status(loop.name).catch(() => null)
      loop.isCounting = false
      for (const endpoint of status?.endpoints ?? []) {
        const replica = loop.replicas.get(endpoint.id)
        const isCounted = replica?.unroutedAtMs !== undefined && seen !== undefined && replica.lastRoutedSeq < seen
        if (isCounted && endpoint.activeConnections !== undefined)
          replica.activeConnections = endpoint.activeConnections
      }
    }
    beside(loop, 'counting connections', ask())
  }

  return { publish, count }
}

function endpointsOf(loop: Loop, ids: readonly string[]): Endpoint[] {
  return ids.flatMap((id) => {
    const instance = loop.replicas.get(id)?.instance
    return instance ? [{ id, host: instance.host, port: instance.port }] : []
  })
}
