/**
 * Every stop of a running replica comes after the load balancer has let go of it, and after what it still worked on was done
 * or the drain time was over. Not of one that is known to be dead; and where everything of an app ends, not for longer than
 * a load balancer that does not answer may hold that up.
 */
import type { Checker } from '../checker.ts'

const cutAfterMs = 10_000

export const drain: Checker = ({ cluster, controller, breach }) => {
  const { clock, routes, connections } = cluster
  /** When the load balancer let go of a replica. */
  const unroutedAtMs = new Map<string, number>()
  /** When the controller first left it out of what it hands out. */
  const leftAtMs = new Map<string, number>()
  const handedOut = new Map<string, readonly string[]>()
  /** Of apps that are gone by now. */
  const lastDrainMs = new Map<string, number>()
  let held = new Map<string, readonly string[]>()
  return {
    taken({ app, endpoints }) {
      const now = new Set(endpoints.map(({ id }) => id))
      for (const id of held.get(app) ?? []) if (!now.has(id)) unroutedAtMs.set(id, clock.monotonic())
      for (const id of now) unroutedAtMs.delete(id)
      held.set(app, [...now])
    },
    recordChanged({ name, record }) {
      if (record) lastDrainMs.set(name, record.app.rollout.drainSeconds * 1000)
    },
    published(app, endpoints) {
      for (const id of [...(handedOut.get(app) ?? []), ...(held.get(app) ?? [])])
        if (!leftAtMs.has(id) && !endpoints.includes(id)) leftAtMs.set(id, clock.monotonic())
      for (const id of endpoints) leftAtMs.delete(id)
      handedOut.set(app, endpoints)
    },
    born() {
      leftAtMs.clear()
      handedOut.clear()
      held = new Map([...routes.values()].map(({ app, endpoints }) => [app, endpoints.map(({ id }) => id)]))
    },
    stopAsked(id) {
      const instance = cluster.world.instances.get(id)
      if (!instance?.isRunning) return
      const { app } = instance
      const view = controller()
        .reconciler.instances(app)
        .find((one) => one.id === id)
      // It was told dead, or nobody knows it: what is left of it is cleared away.
      if (view && !view.isRunning) return
      const nowMs = clock.monotonic()
      const record = controller().apps.get(app)
      const drainMs = record ? record.app.rollout.drainSeconds * 1000 : (lastDrainMs.get(app) ?? 0)
      const isEnding = record?.isRunning !== true
      const isCut = isEnding && nowMs - (leftAtMs.get(id) ?? nowMs) >= drainMs + cutAfterMs
      const isRouted = routes.get(app)?.endpoints.some((one) => one.id === id)
      if (isRouted && !isCut) return breach(`${id} is stopped while ${app} is routed to it`)
      const drainedMs = nowMs - (unroutedAtMs.get(id) ?? Number.NEGATIVE_INFINITY)
      const isBusy = (connections.get(id) ?? 0) > 0
      if (isBusy && drainedMs < drainMs - 1 && !isCut)
        breach(`${id} is stopped ${drainedMs} ms after it was let go, with requests in it`)
    },
  }
}
