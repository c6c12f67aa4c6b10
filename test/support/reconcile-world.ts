/** Everything around a reconciler, in memory and on a clock of its own. The controller can die and come back. */
import type { NewEvent } from '../../runtime/events/events.ts'
import { createLog } from '../../runtime/log.ts'
import { createReconciler } from '../../runtime/reconcile/reconciler.ts'
import type { InstanceView, Reconciler } from '../../runtime/reconcile/reconcile.ts'
import type { Key, Store, Write } from '../../runtime/store/store.ts'
import { createFakeApps } from './fake-apps.ts'
import { createFakeBalancing } from './fake-balancing.ts'
import { createFakeClock } from './fake-clock.ts'
import { createFakeDriver } from './fake-driver.ts'
import { createFakeHealth, type FakeHealth } from './fake-health.ts'

export type ReconcileWorld = ReturnType<typeof createReconcileWorld>

export function createReconcileWorld(chance: () => number = () => 0.5) {
  const clock = createFakeClock()
  const apps = createFakeApps()
  const driver = createFakeDriver(clock)
  const balancing = createFakeBalancing(clock)
  const events: NewEvent[] = []
  const store = createSmallStore()
  const log = createLog({ level: 'silent' })

  const make = (health: FakeHealth): Reconciler => {
    const reconciler = createReconciler({
      apps,
      drivers: new Map([[driver.name, driver]]),
      health,
      balancing,
      events: { emit: (event) => void events.push(event) },
      store,
      clock,
      log,
      chance,
    })
    reconciler.onInstancesChanged((app) => {
      for (const instance of reconciler.instances(app)) if (instance.isRunning) health.sees(instance)
    })
    return reconciler
  }
  const firstHealth = createFakeHealth(clock)
  const world = {
    clock,
    apps,
    driver,
    balancing,
    events,
    store,
    health: firstHealth,
    reconciler: make(firstHealth),
    /** The controller is killed (its callbacks are heard no more), and another one starts. Replicas and traffic go on. */
    async restart() {
      const rule = world.health.rule
      await world.reconciler.stop({ keep: true })
      world.health = createFakeHealth(clock)
      world.health.rule = rule
      world.reconciler = make(world.health)
      await world.reconciler.start()
    },
    /** Moves time on until the app is as wanted. */
    async settle(app: string, ms = 60_000): Promise<boolean> {
      let answer: boolean | undefined
      world.reconciler.settled(app, ms).then((settled) => {
        answer = settled
      })
      await clock.advanceUntil(() => answer !== undefined, ms + 100)
      return answer === true
    },
    views: (app: string): InstanceView[] => world.reconciler.instances(app),
    serving: (app: string): string[] => [...(balancing.taken.get(app)?.endpoints ?? [])],
    running: (app: string) => [...driver.instances.values()].filter((one) => one.app === app && one.isRunning),
    eventsOf: (type: string) => events.filter((event) => event.type === type),
  }
  return world
}

/** Enough of a store for what the reconciler remembers. */
function createSmallStore(): Pick<Store, 'list' | 'write'> {
  const values = new Map<string, { key: Key; value: unknown }>()
  return {
    async list<V>() {
      return [...values.values()].map(({ key, value }) => ({ key, value: value as V, revision: 1 }))
    },
    async write(writes: readonly Write[]) {
      for (const write of writes) {
        if ('put' in write) values.set(JSON.stringify(write.put), { key: write.put, value: write.value })
        else values.delete(JSON.stringify(write.delete))
      }
      return writes.map(() => 1)
    },
  }
}
