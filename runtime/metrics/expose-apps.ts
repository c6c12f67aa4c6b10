/** The series of apps. A metric without a fresh sample has none: a gap stays a gap. */
import type { Metrics as Windows } from '@orchestry/sdk'
import { Gauge, type Registry } from 'prom-client'
import type { Apps } from '../apps/app.ts'
import type { Clock } from '../clock.ts'
import type { Reconciler } from '../reconcile/reconcile.ts'
import type { Metrics } from './metrics.ts'

/** A sample older than this is not shown as what an app does now. */
const freshSeconds = 15

/** Metric of an app → its series. Times are in seconds there, as everywhere in Prometheus. */
const shown: readonly { metric: string; name: string; help: string; factor?: number; percentile?: string }[] = [
  { metric: 'rps', name: 'orchestry_app_rps', help: 'Requests per second of an app' },
  { metric: 'cpuPercent', name: 'orchestry_app_cpu_percent', help: 'CPU use of its replicas, of their own limit' },
  {
    metric: 'memoryPercent',
    name: 'orchestry_app_memory_percent',
    help: 'Memory use of its replicas, of their own limit',
  },
  { metric: 'activeConnections', name: 'orchestry_app_active_connections', help: 'Connections under way' },
  { metric: 'errorPercent', name: 'orchestry_app_error_percent', help: 'Share of requests that failed' },
]
const latencies: Readonly<Record<string, string>> = { latencyP50Ms: 'p50', latencyP95Ms: 'p95', latencyP99Ms: 'p99' }

/** Where the series of apps come from. */
export interface AppSeriesDeps {
  apps: Pick<Apps, 'list'>
  reconciler: Pick<Reconciler, 'status'>
  metrics: Pick<Metrics, 'snapshot'>
  clock: Pick<Clock, 'now'>
}

export function describeApps(registry: Registry): (parts: AppSeriesDeps) => void {
  const gauge = (name: string, help: string, labelNames: string[]) =>
    new Gauge({ name, help, labelNames, registers: [registry] })
  const known = gauge('orchestry_apps', 'Apps that are registered', [])
  const running = gauge('orchestry_apps_running', 'Apps that are meant to run', [])
  const desired = gauge('orchestry_app_replicas_desired', 'Replicas wanted of an app', ['app'])
  const replicas = gauge('orchestry_app_replicas', 'Replicas of an app; healthy ones take requests', ['app', 'status'])
  const latency = gauge('orchestry_app_latency_seconds', 'Response time of an app', ['app', 'percentile'])
  const others = shown.map(({ metric, name, help }) => ({ metric, series: gauge(name, help, ['app']) }))

  function setLoad(app: string, windows: Windows): void {
    for (const { metric, series } of others) {
      const last = windows[metric]?.last
      if (last !== undefined) series.set({ app }, last)
    }
    for (const [metric, percentile] of Object.entries(latencies)) {
      const last = windows[metric]?.last
      if (last !== undefined) latency.set({ app, percentile }, last / 1000)
    }
  }

  return ({ apps, reconciler, metrics, clock }) => {
    for (const series of [desired, replicas, latency, ...others.map((one) => one.series)]) series.reset()
    const records = apps.list()
    known.set(records.length)
    running.set(records.filter(({ isRunning }) => isRunning).length)
    for (const { app } of records) {
      const status = reconciler.status(app.name)
      desired.set({ app: app.name }, status.desired)
      replicas.set({ app: app.name, status: 'healthy' }, status.serving)
      replicas.set({ app: app.name, status: 'unhealthy' }, Math.max(0, status.running - status.serving))
      setLoad(app.name, metrics.snapshot(app.name, freshSeconds, clock.now()))
    }
  }
}
