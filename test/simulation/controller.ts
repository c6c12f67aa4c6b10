/** One life of the whole core: every room as the host builds it, on a cluster that is simulated. */
import type { Apps } from '../../runtime/apps/app.ts'
import { createApps } from '../../runtime/apps/registry.ts'
import type { Balancing } from '../../runtime/balancing/balancing.ts'
import { createBalancing } from '../../runtime/balancing/publish.ts'
import type { Clock } from '../../runtime/clock.ts'
import type { Driver } from '../../runtime/drivers/driver.ts'
import { OrchestryError } from '../../runtime/errors.ts'
import type { Events } from '../../runtime/events/events.ts'
import { createEvents } from '../../runtime/events/log.ts'
import type { Health } from '../../runtime/health/health.ts'
import { createHealth } from '../../runtime/health/prober.ts'
import { createCaller } from '../../runtime/hooks/caller.ts'
import { createHooks } from '../../runtime/hooks/disciplines.ts'
import { createLog } from '../../runtime/log.ts'
import { createCollector } from '../../runtime/metrics/collector.ts'
import { createMetrics } from '../../runtime/metrics/registry.ts'
import type { Reconciler } from '../../runtime/reconcile/reconcile.ts'
import { createReconciler } from '../../runtime/reconcile/reconciler.ts'
import { decide } from '../../runtime/scaling/decide.ts'
import type { Scaling } from '../../runtime/scaling/decision.ts'
import { createDecisionLog } from '../../runtime/scaling/decision-log.ts'
import { createScaling } from '../../runtime/scaling/scaling.ts'
import type { Store, Write } from '../../runtime/store/store.ts'
import type { Cluster } from './cluster.ts'
import { clockWithin, type Life, step, within } from './life.ts'
import { createMachine, driverName } from './machine.ts'
import type { Tell } from './observer.ts'
import { createPlugins, type SimulatedPlugins } from './plugins.ts'

export interface Controller {
  readonly life: Life
  readonly apps: Apps
  readonly scaling: Scaling
  readonly reconciler: Reconciler
  readonly health: Health
  readonly balancing: Balancing
  readonly plugins: SimulatedPlugins
  /** As by kill -9: nothing is told, nothing ends in order. */
  kill(): void
}

/** The ports between rooms, as they are handed over: where a test breaks one of them on purpose. */
export interface Wiring {
  readonly clock: Clock
  readonly store: Store
  readonly driver: Driver
  readonly events: Events
  readonly decide: typeof decide
  /** For the reconciler. */
  readonly apps: Apps
  readonly health: Health
  readonly balancing: Balancing
}
export type Breaking = { readonly [K in keyof Wiring]?: (port: Wiring[K], cluster: Cluster) => Wiring[K] }

/** Room enough for a night of ticks, in a simulation of some minutes. */
const kept = 1_000_000
const tickMs = 4_000
const collectMs = 4_000
const log = createLog({ level: 'silent' })

/** @param built hears of it when all rooms are there and before any of them does something. */
export async function startController(
  cluster: Cluster,
  life: Life,
  tell: Tell,
  built: (controller: Controller) => void,
  breaking: Breaking = {},
): Promise<void> {
  const { chance } = cluster
  const broken = <K extends keyof Wiring>(what: K, port: Wiring[K]): Wiring[K] =>
    breaking[what]?.(port, cluster) ?? port
  const clock = broken('clock', clockWithin(life, cluster.clock))
  const store = broken('store', storeWithin(life, cluster))
  const machine = createMachine(cluster, life, tell)
  const driver = broken('driver', machine)
  const kill = () => {
    life.isOver = true
    machine.leave()
  }
  const events = broken('events', createEvents({ store, clock, log, kept }))
  events.subscribe((event) => tell('eventStored', event))
  const metrics = createMetrics({ clock })
  const apps = await createApps({ store, clock, events, drivers: [driverName] })
  apps.onChange((change) => tell('recordChanged', change))
  const plugins = createPlugins(cluster, life, tell)
  const caller = createCaller({ clock, onIncident: () => undefined })
  const { liveInstances, onChange } = plugins
  const hooks = createHooks({ caller, liveInstances, onInstancesChanged: onChange })
  const balancing = createBalancing({ hooks, apps, events, clock, log })
  const health = createHealth({
    apps,
    instances: (app) => reconciler.instances(app),
    onInstancesChanged: (listener) => reconciler.onInstancesChanged(listener),
    specOf: ({ app, version }) => reconciler.specOf(app, version),
    hooks,
    clock,
    log,
    events,
    chance,
  })
  const told: Balancing = {
    ...balancing,
    publish(app, upstream) {
      const ids = (list: readonly { id: string }[]) => list.map(({ id }) => id)
      tell('published', app, ids(upstream.endpoints), ids(upstream.draining))
      return balancing.publish(app, upstream)
    },
  }
  const reconciler = createReconciler({
    apps: broken('apps', apps),
    drivers: new Map([[driver.name, driver]]),
    health: broken('health', health),
    balancing: broken('balancing', told),
    events,
    store,
    clock,
    log,
    chance,
    newSuffix: () =>
      Math.floor(chance() * 2 ** 32)
        .toString(16)
        .padStart(8, '0'),
    accepts: (host, port) => within(life, () => listens(cluster, host, port)),
  })
  const decisionLog = createDecisionLog({ store, clock, kept })
  const scaling = createScaling({
    apps,
    metrics,
    hooks,
    reconciler,
    decisionLog,
    events,
    store,
    clock,
    log,
    tickMs,
    decide: (input) => {
      const decided = broken('decide', decide)(input)
      tell('decided', input, decided)
      return decided
    },
  })
  scaling.onDecision((decision) => tell('decisionStored', decision))
  const collector = createCollector({
    apps,
    reconciler,
    driverUsage: async () => new Map(),
    hooks,
    metrics,
    clock,
    log,
    everyMs: collectMs,
  })
  built({ life, apps, scaling, reconciler, health, balancing, plugins, kill })
  health.start()
  await reconciler.start()
  scaling.start()
  collector.start()
}

function storeWithin(life: Life, { store, clock, chance, faults }: Cluster): Store {
  /** Answers come in the order in which they were asked for, as from a real store. */
  let last: Promise<unknown> = Promise.resolve()
  const commit = async (writes: readonly Write[]) => {
    if (chance() < 0.3) await clock.sleep(10 * chance())
    if (chance() * 100 < faults.storeFailsPercent) throw new OrchestryError('ORC_STORE_FAILED', 'The disk is full.')
    return store.write(writes)
  }
  const nameOf = ([first]: readonly Write[]) => String(first && ('put' in first ? first.put[0] : first.delete[0]))
  return {
    get: (key) => within(life, () => store.get(key)),
    list: (range) => within(life, () => store.list(range)),
    write(writes) {
      const written = last.then(() => step(life, `store.write ${nameOf(writes)}`, () => commit(writes)))
      last = written.catch(() => undefined)
      return written
    },
    watch: store.watch,
    acquireLease: store.acquireLease,
    close: async () => undefined,
  }
}

async function listens(cluster: Cluster, _host: string, port: number): Promise<boolean> {
  await cluster.clock.sleep(1)
  for (const instance of cluster.world.instances.values()) {
    if (instance.port === port) return cluster.isHealthy(instance.id)
  }
  return false
}
