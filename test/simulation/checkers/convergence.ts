/** When faults have ended and time has passed, the world holds exactly what is wanted: nothing lost, nothing left over. */
import type { Checker } from '../checker.ts'

export const convergence: Checker = ({ cluster, controller, breach }) => ({
  ended() {
    const { apps, reconciler } = controller()
    const names = new Set([
      ...apps.list().map(({ app }) => app.name),
      ...[...cluster.world.instances.values()].map(({ app }) => app),
      ...cluster.routes.keys(),
    ])
    for (const name of names) {
      const record = apps.get(name)
      const wanted = record?.isRunning ? record.desired : 0
      const running = cluster.running(name)
      if (running.length !== wanted) breach(`${name} has ${running.length} replicas, ${wanted} are wanted`)
      const old = running.filter(({ version }) => record && version !== record.version)
      if (old.length > 0 && !reconciler.status(name).problems.some((problem) => problem.includes('rolled back')))
        breach(`${name} still runs an old version: ${old.map(({ id }) => id).join()}`)
      const routed = (cluster.routes.get(name)?.endpoints ?? []).map(({ id }) => id).sort()
      const there = running.map(({ id }) => id).sort()
      if (routed.join() !== there.join()) breach(`${name} routes to ${routed.join()}, but ${there.join()} run`)
      if (!record && cluster.routes.has(name)) breach(`${name} is deleted but routed`)
    }
    const dead = [...cluster.world.instances.values()].filter(({ isRunning }) => !isRunning)
    if (dead.length > 0) breach(`dead replicas are left: ${dead.map(({ id }) => id).join()}`)
  },
})
