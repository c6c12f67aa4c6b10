/** Everything around a reconciler, in memory and on a clock of its own. The controller can die and come back. */
import { type ContainerPolicy, defaultContainerPolicy } from '../../runtime/container-policy.ts'
import type { EventQuery, NewEvent } from '../../runtime/events/events.ts'
import { createLog } from '../../runtime/log.ts'
import type { InstanceView, Reconciler } from '../../runtime/reconcile/reconcile.ts'
import { createReconciler } from '../../runtime/reconcile/reconciler.ts'
import { startsWith } from '../../runtime/store/key.ts'
import type { Key, Range, Store, Write } from '../../runtime/store/store.ts'
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
  /** For apps that name it. */
  const other = createFakeDriver(clock, 'other')
  const balancing = createFakeBalancing(clock)
  const events: NewEvent[] = []
  const store = createSmallStore()
  const log = createLog({ level: 'silent' })

  const settings: { containerPolicy: ContainerPolicy } = { containerPolicy: defaultContainerPolicy }
  let suffix = 0
  let life = { isOver: false }
  const make = (health: FakeHealth): Reconciler => {
    life = { isOver: false }
    const reconciler = createReconciler({
      apps: mortal(apps, life),
      drivers: new Map([driver, other].map((one) => [one.name, mortal(one, life)])),
      health: mortal(health, life),
      balancing: mortal(balancing, life),
      events: mortal(
        {
          emit: (event: NewEvent) => void events.push(event),
          list: async ({ app, type }: EventQuery) =>
            events
              .filter((event) => event.app === app && event.type === type)
              .map((event, index) => ({ source: 'runtime', ...event, id: String(index), atMs: 0 })),
        },
        life,
      ),
      store: mortal(store, life),
      clock: mortal(clock, life),
      log,
      chance,
      accepts: async (_host, port) => {
        world.knocks += 1
        return world.isListening && !world.shut.has(port)
      },
      secretOf: (name) => world.secrets.get(name),
      containerPolicy: settings.containerPolicy,
      newSuffix: () => {
        suffix += 1
        return suffix.toString(16).padStart(8, '0')
      },
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
    other,
    balancing,
    events,
    store,
    health: firstHealth,
    /** Whether replicas accept connections. */
    isListening: true,
    /** Ports of those that accept none, although others do. */
    shut: new Set<number>(),
    /** How often somebody was asked whether it accepts connections. */
    knocks: 0,
    secrets: new Map<string, string>(),
    /** Read when the controller starts. */
    settings,
    reconciler: make(firstHealth),
    /** Starts the controller; a listing takes its time. */
    async start() {
      let isStarted = false
      world.reconciler.start().then(() => {
        isStarted = true
      })
      await clock.advanceUntil(() => isStarted, 5000, 5)
    },
    /** The controller is gone between two steps, as by kill -9. Replicas and traffic go on. */
    kill() {
      life.isOver = true
    },
    /** Another controller starts. */
    async restart() {
      world.kill()
      const rule = world.health.rule
      world.health = createFakeHealth(clock)
      world.health.rule = rule
      world.reconciler = make(world.health)
      await world.start()
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

/** A port as a process holds it: once its life is over, its calls do nothing and its callbacks are heard no more. */
function mortal<T extends object>(port: T, life: { isOver: boolean }): T {
  const never = new Promise<never>(() => {})
  const heed = (value: unknown) =>
    typeof value === 'function' ? (...args: unknown[]) => (life.isOver ? undefined : value(...args)) : value
  return new Proxy(port, {
    get(target, key) {
      const member: unknown = Reflect.get(target, key)
      if (typeof member !== 'function') return member
      return (...args: unknown[]) => {
        if (life.isOver) return never
        const result: unknown = member.apply(target, args.map(heed))
        if (!(result instanceof Promise)) return result
        return result.then(
          (value: unknown) => (life.isOver ? never : value),
          (thrown: unknown) => (life.isOver ? never : Promise.reject(thrown)),
        )
      }
    },
  })
}

/** Enough of a store for what the reconciler remembers. */
function createSmallStore(): Pick<Store, 'get' | 'list' | 'write'> {
  const values = new Map<string, { key: Key; value: unknown }>()
  return {
    async get<V>(key: Key) {
      const found = values.get(JSON.stringify(key))
      return found && { key, value: found.value as V, revision: 1 }
    },
    async list<V>({ prefix }: Range) {
      return [...values.values()]
        .filter(({ key }) => startsWith(key, prefix))
        .map(({ key, value }) => ({ key, value: value as V, revision: 1 }))
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
