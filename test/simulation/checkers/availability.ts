/**
 * Planned work keeps surge and unavailability. Unavailability: an upstream that leaves out a replica that runs and is not known
 * to be unhealthy has at least `desired - maxUnavailable` endpoints left. Surge: a start is asked for only while, with it, at most
 * `desired + maxSurge` replicas that stay are there. A replica that is on its way out counts for neither.
 */
import { type Checker, count } from '../checker.ts'

export const availability: Checker = ({ cluster, controller, breach }) => {
  const handedOut = new Map<string, readonly string[]>()
  /** What could not be written down is not known to the next controller. */
  let storeFailedAtMs = Number.NEGATIVE_INFINITY
  return {
    born() {
      handedOut.clear()
    },
    looked() {
      if (cluster.faults.storeFailsPercent > 0) storeFailedAtMs = cluster.clock.monotonic()
    },
    published(app, endpoints) {
      const { apps, reconciler, health } = controller()
      const isStoreSound = cluster.clock.monotonic() - storeFailedAtMs > 10_000
      const found = isStoreSound ? (cluster.routes.get(app)?.endpoints.map(({ id }) => id) ?? []) : []
      const before = handedOut.get(app) ?? found
      handedOut.set(app, endpoints)
      const record = apps.get(app)
      if (!record?.isRunning) return
      const views = new Map(reconciler.instances(app).map((view) => [view.id, view]))
      const givenUp = before.filter((id) => {
        const isWell = views.get(id)?.isRunning && health.stateOf(id)?.status !== 'unhealthy'
        return isWell && !endpoints.includes(id) && cluster.world.instances.get(id)?.isRunning
      })
      const least = record.desired - count(record.app.rollout.maxUnavailable, record.desired, 'down')
      if (givenUp.length > 0 && endpoints.length < least)
        breach(`${app} gave up ${givenUp.join()} with ${endpoints.length} left of ${record.desired}`)
    },
    startAsked({ app }) {
      const { apps, reconciler } = controller()
      const record = apps.get(app)
      if (!record?.isRunning) return breach(`${app} is not to run but is started`)
      const surge = count(record.app.rollout.maxSurge, record.desired, 'up')
      const staying = reconciler
        .instances(app)
        .filter(({ isRunning, rotation }) => isRunning && rotation !== 'draining' && rotation !== 'stopping')
      if (staying.length + 1 > record.desired + surge)
        breach(`${app} has ${staying.length} and is given one more, ${record.desired} are wanted`)
    },
  }
}
