/** A restart changes nothing by itself: no start while a replica runs that it has not found, no stop of one that is wanted. */
import type { Checker } from '../checker.ts'

export const restart: Checker = ({ cluster, controller, breach }) => {
  const { clock, world, inside } = cluster
  /** Running when this life began, and of no fault. */
  let found = new Set<string>()
  /** Apps of which something was said in this life. */
  let changed = new Set<string>()
  let stopped = new Set<string>()
  /** What was wanted when the life before ended: nothing was on its way out then. */
  let calm = new Set<string>()
  return {
    dying() {
      const { apps, reconciler } = controller()
      calm = new Set(
        apps
          .list()
          .filter(({ app }) => reconciler.status(app.name).phase === 'running')
          .map(({ app }) => app.name),
      )
    },
    born() {
      found = new Set([...world.instances.values()].filter(({ isRunning }) => isRunning).map(({ id }) => id))
      changed = new Set()
      stopped = new Set()
    },
    recordChanged({ name }) {
      changed.add(name)
      calm.delete(name)
    },
    startAsked({ app }) {
      const known = new Set(
        controller()
          .reconciler.instances(app)
          .map(({ id }) => id),
      )
      for (const { id } of cluster.running(app))
        if (found.has(id) && !known.has(id) && !stopped.has(id))
          breach(`${app} is given one more while ${id} runs, which was not found`)
    },
    stopAsked(id) {
      stopped.add(id)
      const instance = world.instances.get(id)
      const one = inside.get(id)
      if (!instance?.isRunning || !found.has(id) || !one?.isBlameless || clock.monotonic() < one.readyAtMs) return
      const record = controller().apps.get(instance.app)
      if (
        !record?.isRunning ||
        changed.has(instance.app) ||
        !calm.has(instance.app) ||
        instance.version !== record.version
      )
        return
      const left = cluster
        .running(instance.app)
        .filter((other) => other.version === record.version && !stopped.has(other.id))
      if (left.length < record.desired)
        breach(`${id} is stopped after a restart, ${left.length} are left of ${record.desired}`)
    },
  }
}
