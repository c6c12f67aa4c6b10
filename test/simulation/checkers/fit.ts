/**
 * Nobody hands out as an endpoint what is dead, unhealthy, starting or on its way out, as far as the controller knows. Only
 * when nobody serves do the unhealthy take requests all the same.
 */
import type { Instance } from '../../../runtime/drivers/driver.ts'
import type { Checker } from '../checker.ts'

/** One without a health check that accepts nothing for so long counts as a worker. */
const mutedMs = 10_000

export const fit: Checker = ({ cluster, controller, breach }) => {
  /** Workers: a check that comes later does not take back that they served. */
  const served = new Set<string>()
  const isNotReady = ({ id, app, version }: Instance) => {
    const one = cluster.inside.get(id)
    const nowMs = cluster.clock.monotonic()
    if (one === undefined || nowMs >= one.readyAtMs || served.has(id)) return false
    const { apps, reconciler } = controller()
    const spec = reconciler.specOf(app, version) ?? apps.get(app)?.app
    if (spec?.healthCheck !== undefined || nowMs < one.startedAtMs + mutedMs) return true
    served.add(id)
    return false
  }
  const look = (app: string, ids: readonly string[]) => {
    const { reconciler, health } = controller()
    const views = new Map(reconciler.instances(app).map((view) => [view.id, view]))
    const isLastResort = ids.every((id) => views.get(id)?.rotation === 'unhealthy')
    for (const id of ids) {
      const view = views.get(id)
      if (!view?.isRunning) breach(`${id} is an endpoint of ${app} but does not run`)
      else if (isLastResort) continue
      else if (view.rotation !== 'serving') breach(`${id} is an endpoint of ${app} but ${view.rotation}`)
      else if (health.stateOf(id)?.status === 'unhealthy') breach(`${id} is an endpoint of ${app} but unhealthy`)
      else if (isNotReady(view)) breach(`${id} is an endpoint of ${app} and has never answered`)
    }
    if (new Set(ids).size !== ids.length) breach(`${app} has an endpoint twice`)
  }
  return {
    published: (app, endpoints) => look(app, endpoints),
    /** At rest what the load balancer has is what was handed out last. */
    looked() {
      for (const { app } of controller().apps.list()) {
        if (controller().reconciler.status(app.name).phase !== 'running') continue
        look(app.name, cluster.routes.get(app.name)?.endpoints.map(({ id }) => id) ?? [])
      }
    },
  }
}
