/** What was measured, in memory: one bounded ring per app and metric. */
import type { MetricWindow, Sample } from '@orchestry/sdk'
import type { Clock } from '../clock.ts'
import { limits } from '../limits.ts'
import type { Metrics } from './metrics.ts'
import { createSeries, type Series } from './series.ts'
import { windowOf } from './window.ts'

const metricName = /^[a-zA-Z][a-zA-Z0-9]{0,63}$/

export interface MetricsBounds {
  readonly metricPoints: number
  readonly metricPointsTotal: number
  readonly metricSeriesPerApp: number
  readonly metricApps: number
}

export interface MetricsRegistry extends Metrics {
  /** Samples that were not taken: not finite, out of order, ill named, or beyond a bound. */
  readonly refused: number
}

/** Labels of a sample are not looked at: a metric is one series per app. */
export function createMetrics(deps: { clock: Pick<Clock, 'now'>; bounds?: MetricsBounds }): MetricsRegistry {
  const bounds = deps.bounds ?? limits
  const apps = new Map<string, Map<string, Series>>()
  let points = 0
  let refused = 0

  const mayGrow = (added: number): boolean => {
    if (points + added > bounds.metricPointsTotal) return false
    points += added
    return true
  }

  function seriesOf(app: string, metric: string): Series | undefined {
    const known = apps.get(app)
    const present = known?.get(metric)
    if (present !== undefined) return present
    const hasRoom = known === undefined ? apps.size < bounds.metricApps : known.size < bounds.metricSeriesPerApp
    if (!hasRoom || !metricName.test(metric)) return undefined
    const added = createSeries(bounds.metricPoints, mayGrow)
    if (!mayGrow(added.points)) return undefined
    if (known === undefined) apps.set(app, new Map([[metric, added]]))
    else known.set(metric, added)
    return added
  }

  /** A sample from the future would stay fresh for ever; after the clock was set back, every old one is from the future. */
  function addTo(app: string, metric: string, series: Series, atMs: number, value: number, nowMs: number): boolean {
    const { run } = series
    const newest = run.count === 0 ? 0 : (run.atMs[(run.start + run.count - 1) % run.atMs.length] ?? 0)
    if (newest <= nowMs) return series.add(Math.min(atMs, nowMs), value)
    points -= series.points
    apps.get(app)?.delete(metric)
    return seriesOf(app, metric)?.add(Math.min(atMs, nowMs), value) ?? false
  }

  function record(samples: readonly Sample[]): void {
    const nowMs = deps.clock.now()
    for (const { app, metric, value, atMs = nowMs } of samples) {
      const isSound = Number.isFinite(value) && Number.isFinite(atMs)
      const series = isSound ? seriesOf(app, metric) : undefined
      if (series === undefined || !addTo(app, metric, series, atMs, value, nowMs)) refused += 1
    }
  }

  return {
    record,
    snapshot(app, windowSeconds, nowMs) {
      const windows: Record<string, MetricWindow> = {}
      for (const [metric, series] of apps.get(app) ?? []) {
        const window = windowOf(series.run, nowMs - windowSeconds * 1000, nowMs)
        if (window !== undefined) windows[metric] = Object.freeze(window)
      }
      return Object.freeze(windows)
    },
    series: (app, metric, sinceMs) => apps.get(app)?.get(metric)?.since(sinceMs) ?? [],
    metricNames: (app) => [...(apps.get(app)?.keys() ?? [])],
    forget(app) {
      for (const series of apps.get(app)?.values() ?? []) points -= series.points
      apps.delete(app)
    },
    get refused() {
      return refused
    },
  }
}
