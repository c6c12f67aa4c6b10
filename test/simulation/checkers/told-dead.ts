/** No replica that the driver has told dead is routed to for longer than a bound, as long as the load balancer can be told. */
import type { Checker } from '../checker.ts'

/** The longest rest of a plugin that failed, the longest backoff after it, a listing that tells of an end, and the ways there. */
const boundMs = 60_000 + 10_000 + 10_000 + 6_000

export const toldDead: Checker = ({ cluster, breach }) => {
  let bornAtMs = 0
  return {
    began() {
      bornAtMs = cluster.clock.monotonic()
    },
    looked() {
      const nowMs = cluster.clock.monotonic()
      for (const { app, endpoints } of cluster.routes.values()) {
        for (const { id } of endpoints) {
          const endedAtMs = cluster.inside.get(id)?.endedAtMs
          if (endedAtMs === undefined || cluster.world.instances.get(id)?.isRunning) continue
          const sinceMs = Math.max(endedAtMs, bornAtMs, cluster.soundSinceMs())
          if (nowMs - sinceMs > boundMs) breach(`${app} has routed to ${id} for ${nowMs - sinceMs} ms after its end`)
        }
      }
    },
  }
}
