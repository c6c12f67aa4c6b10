/** Asks once a second, whoever can tell, what the apps do now. Who does not answer leaves a gap, and waits alone. */
import type { Sample } from '@orchestry/sdk'
import type { Apps } from '../apps/app.ts'
import type { Clock } from '../clock.ts'
import type { Usage } from '../drivers/driver.ts'
import { messageOf } from '../errors.ts'
import type { Hooks } from '../hooks/hooks.ts'
import type { Log } from '../log.ts'
import type { InstanceView, Reconciler } from '../reconcile/reconcile.ts'
import type { Metrics } from './metrics.ts'
import { createSources } from './sources.ts'

export interface Collector {
  /** Asks every source now, except those that still owe an answer. Resolves when all have answered. */
  collectNow(): Promise<void>
  start(): void
  /** From now on nobody is asked, and what still comes in is thrown away. Idempotent, also without a start. */
  stop(): void
}

export interface CollectorDeps {
  apps: Pick<Apps, 'list' | 'get' | 'onChange'>
  reconciler: Pick<Reconciler, 'status' | 'instances'>
  /** Resource use of instances of one driver, by its name. */
  driverUsage: (driver: string, ids: readonly string[]) => Promise<ReadonlyMap<string, Usage>>
  hooks: Pick<Hooks, 'providers' | 'exclusive' | 'collect'>
  metrics: Pick<Metrics, 'record' | 'forget'>
  clock: Pick<Clock, 'now' | 'every'>
  log: Pick<Log, 'warn' | 'info'>
  everyMs?: number
}

/** What only the host may say of an app. */
const ownMetrics: ReadonlySet<string> = new Set(['cpuPercent', 'memoryPercent', 'replicas', 'healthyReplicas'])

export function createCollector(deps: CollectorDeps): Collector {
  const { apps, reconciler, metrics, clock, log, everyMs = 1_000 } = deps
  /** Sources that owe an answer, by name: nobody is asked twice at once. */
  const asked = new Map<string, Promise<void>>()
  const failing = new Set<string>()
  const sources = createSources(deps)
  let endings: (() => void)[] = []
  let isStopped = false

  /** An app that was deleted while its numbers were under way must not come back. */
  const record = (samples: readonly Sample[]) => {
    if (!isStopped) metrics.record(samples.filter(({ app }) => apps.get(app) !== undefined))
  }

  function ask(source: string, question: () => Promise<void>): void {
    if (asked.has(source)) return
    const answer = question()
      .then(
        () => {
          if (failing.delete(source)) log.info({ source }, 'metrics come again')
        },
        (error) => {
          if (!failing.has(source) && !isStopped) log.warn({ source, error: messageOf(error) }, 'no metrics from here')
          failing.add(source)
        },
      )
      .finally(() => asked.delete(source))
    asked.set(source, answer)
  }

  function askAll(): void {
    const running = apps.list().filter(({ isRunning }) => isRunning)
    const instances = new Map(running.map(({ app }) => [app.name, reconciler.instances(app.name)]))
    record(running.flatMap(({ app }) => countsOf(app.name, reconciler, clock.now())))
    for (const driver of new Set(running.map(({ app }) => app.driver))) {
      const own = running.flatMap(({ app }) => (app.driver === driver ? [app.name] : []))
      const live = new Map(own.map((app) => [app, (instances.get(app) ?? []).filter(({ isRunning }) => isRunning)]))
      const ids = [...live.values()].flat().map(({ id }) => id)
      if (ids.length === 0) continue
      ask(`driver ${driver}`, async () => record(loadOf(live, await deps.driverUsage(driver, ids), clock.now())))
    }
    for (const { name, collect } of sources(instances)) {
      ask(name, async () => record((await collect()).filter(({ metric }) => !ownMetrics.has(metric))))
    }
  }

  /** Whatever goes wrong in one beat, there is a next one. */
  function beat(): void {
    try {
      askAll()
    } catch (error) {
      log.warn({ error: messageOf(error) }, 'metrics could not be collected')
    }
  }

  return {
    async collectNow() {
      askAll()
      await Promise.all(asked.values())
    },
    start() {
      if (endings.length > 0) return
      isStopped = false
      const forget = apps.onChange(({ name, record: present }) => {
        if (present === undefined) metrics.forget(name)
      })
      endings = [forget, clock.every(everyMs, beat)]
    },
    stop() {
      isStopped = true
      for (const end of endings) end()
      endings = []
    },
  }
}

function countsOf(app: string, reconciler: Pick<Reconciler, 'status'>, atMs: number): Sample[] {
  const { running, serving } = reconciler.status(app)
  return [
    { app, metric: 'replicas', value: running, atMs },
    { app, metric: 'healthyReplicas', value: serving, atMs },
  ]
}

/** The mean over those replicas that the driver could tell of. */
function loadOf(
  live: ReadonlyMap<string, readonly InstanceView[]>,
  usage: ReadonlyMap<string, Usage>,
  atMs: number,
): Sample[] {
  return [...live].flatMap(([app, instances]) => {
    const known = instances.flatMap(({ id }) => usage.get(id) ?? [])
    return (['cpuPercent', 'memoryPercent'] as const).flatMap((metric) => {
      const values = known.map((one) => one[metric]).filter(Number.isFinite)
      if (values.length === 0) return []
      return { app, metric, value: values.reduce((sum, value) => sum + value, 0) / values.length, atMs }
    })
  })
}
