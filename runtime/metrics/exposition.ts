/** What `/metrics` shows: made anew from the rooms at every scrape, so that what is gone has no series any more. */
import { Counter, Gauge, Registry } from 'prom-client'
import type { Apps } from '../apps/app.ts'
import type { Health } from '../health/health.ts'
import type { Plugins } from '../plugins/plugins.ts'
import type { Scaling } from '../scaling/decision.ts'
import { type AppSeriesDeps, describeApps } from './expose-apps.ts'
import { countHealthChecks } from './expose-health.ts'
import { describePlugins } from './expose-plugins.ts'

export interface Exposition {
  /** In the Prometheus text format. */
  text(): Promise<string>
  readonly contentType: string
  stop(): void
}

export interface ExpositionDeps extends AppSeriesDeps {
  apps: Pick<Apps, 'list' | 'get' | 'onChange'>
  plugins: Pick<Plugins, 'list'>
  scaling: Pick<Scaling, 'onDecision' | 'ticks'>
  /** Without it health checks are not counted. */
  health?: Pick<Health, 'onChecked'>
}

export function createExposition(deps: ExpositionDeps): Exposition {
  const registry = new Registry()
  const setApps = describeApps(registry)
  const setPlugins = describePlugins(registry)
  const setProcess = describeProcess(registry)
  const setTicks = describeTicks(registry, deps.scaling)
  const { apps, health } = deps
  const stops = [countDecisions(registry, deps), ...(health ? [countHealthChecks(registry, { apps, health })] : [])]
  return {
    text() {
      setApps(deps)
      setPlugins(deps.plugins.list())
      setProcess()
      setTicks()
      return registry.metrics()
    },
    contentType: registry.contentType,
    stop() {
      for (const stop of stops) stop()
    },
  }
}

/** Decisions are counted as they are made; an app that is deleted takes its counts with it. */
function countDecisions(registry: Registry, { apps, scaling }: Pick<ExpositionDeps, 'apps' | 'scaling'>): () => void {
  const decisions = new Counter({
    name: 'orchestry_scaling_decisions_total',
    help: 'Decisions made about an app since the start',
    labelNames: ['app', 'action'],
    registers: [registry],
  })
  const endCounting = scaling.onDecision(({ app, action }) => {
    if (apps.get(app) !== undefined) decisions.inc({ app, action })
  })
  const endForgetting = apps.onChange(({ name, record }) => {
    if (record !== undefined) return
    for (const action of ['out', 'in', 'hold']) decisions.remove({ app: name, action })
  })
  return () => {
    endCounting()
    endForgetting()
  }
}

function describeTicks(registry: Registry, scaling: ExpositionDeps['scaling']): () => void {
  const registers = [registry]
  const run = new Counter({ name: 'orchestry_ticks_total', help: 'Scaling ticks since the start', registers })
  const missed = new Counter({
    name: 'orchestry_ticks_missed_total',
    help: 'Scaling ticks that came due while the one before was still under way',
    registers,
  })
  return () => {
    const ticks = scaling.ticks()
    run.reset()
    run.inc(ticks.run)
    missed.reset()
    missed.inc(ticks.missed)
  }
}

function describeProcess(registry: Registry): () => void {
  const registers = [registry]
  const memory = new Gauge({ name: 'process_resident_memory_bytes', help: 'Memory of this process', registers })
  const cpu = new Counter({ name: 'process_cpu_seconds_total', help: 'CPU time of this process', registers })
  const start = new Gauge({ name: 'process_start_time_seconds', help: 'When this process began', registers })
  start.set(Math.round(performance.timeOrigin / 1000))
  return () => {
    memory.set(process.memoryUsage.rss())
    const { user, system } = process.cpuUsage()
    cpu.reset()
    cpu.inc((user + system) / 1e6)
  }
}
