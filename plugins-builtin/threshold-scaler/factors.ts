/** Pure: how much of its target each metric has used up. */
import type { AppView, Metrics, MetricWindow } from '@orchestry/sdk'

export const watchedMetrics = ['rps', 'activeConnections', 'cpuPercent', 'memoryPercent', 'latencyP95Ms'] as const
export type WatchedMetric = (typeof watchedMetrics)[number]

/**
 * How a metric answers to more replicas. `total`: it is shared out among them, so the size that is needed follows from it
 * alone. `share`: each replica's own, and it falls as their number grows. `stubborn`: it may fall, or may not.
 */
type Nature = 'total' | 'share' | 'stubborn'

const table = [
  { metric: 'rps', target: 'rpsPerReplica', nature: 'total' },
  { metric: 'activeConnections', target: 'connectionsPerReplica', nature: 'total' },
  { metric: 'cpuPercent', target: 'cpuPercent', nature: 'share' },
  { metric: 'memoryPercent', target: 'memoryPercent', nature: 'stubborn' },
  { metric: 'latencyP95Ms', target: 'latencyP95Ms', nature: 'stubborn' },
] as const satisfies { metric: WatchedMetric; target: keyof AppView['targets']; nature: Nature }[]

export interface Factor {
  readonly metric: WatchedMetric
  readonly nature: Nature
  readonly target: number
  /** Share of the target used, 1 = all of it: judged when growing, and (never smaller) when shrinking. */
  readonly rising: number
  readonly falling: number
}

export interface Factors {
  readonly present: readonly Factor[]
  /** Metrics that have a target but no fresh (or not enough) samples: they count as nothing, not as zero. */
  readonly missing: readonly WatchedMetric[]
}

/** `healthyReplicas` must be at least 1. */
export function factorsOf(app: AppView, metrics: Metrics, latencySamples: number): Factors {
  const present: Factor[] = []
  const missing: WatchedMetric[] = []
  for (const { metric, target: targetName, nature } of table) {
    const target = app.targets[targetName]
    if (target === undefined) continue
    const window = metrics[metric]
    if (window === undefined || (metric === 'latencyP95Ms' && window.samples < latencySamples)) missing.push(metric)
    else present.push(factorOf(metric, nature, target, window, app.healthyReplicas))
  }
  return { present, missing }
}

/** A sample this many times the mean of its window is a step of the load, not noise (the panic rule of Knative). */
const stepRatio = 2

function factorOf(
  metric: WatchedMetric,
  nature: Nature,
  target: number,
  window: MetricWindow,
  healthy: number,
): Factor {
  const { last, mean } = window
  const high = Math.max(last, mean)
  if (nature === 'total')
    return { metric, nature, target, rising: high / healthy / target, falling: high / healthy / target }
  // The mean still holds what was before the last growth: only what is high now, too, asks for more.
  const isStep = nature === 'share' && last >= stepRatio * mean
  return { metric, nature, target, rising: (isStep ? last : Math.min(last, mean)) / target, falling: high / target }
}

/** `rps 118/replica is 236 % of the target 50` */
export function inWords({ metric, nature, target }: Factor, factor: number): string {
  const per = nature === 'total' ? '/replica' : ''
  return `${metric} ${rounded(factor * target)}${per} is ${Math.round(factor * 100)} % of the target ${rounded(target)}`
}

function rounded(value: number): number {
  return Math.abs(value) >= 100 ? Math.round(value) : Math.round(value * 10) / 10
}
