/** From factors to a size. Pure, but for the trials it is handed. */
import type { AppView, Metrics } from '@orchestry/sdk'
import { type Factor, factorsOf, inWords, type WatchedMetric } from './factors.ts'
import type { Trials } from './trials.ts'

export interface Settings {
  readonly maxGrowthFactor?: number
  readonly scaleInMarginPct: number
  readonly scaleInIgnores: readonly WatchedMetric[]
  readonly latencySamples: number
}

export interface Proposal {
  /** Absent: nothing can be said. */
  readonly replicas?: number
  readonly reason: string
}

/** Memory and latency do not follow the number of replicas closely: one vote grows no further for them than to the double. */
const stubbornGrowth = 2
const mostReplicas = 100_000

export function propose(app: AppView, metrics: Metrics, settings: Settings, trials: Trials): Proposal {
  if (app.replicas === 0) return { reason: 'there are no replicas to measure' }
  if (app.healthyReplicas === 0) return { reason: 'no replica is healthy: nothing can be said of the load' }
  const { present, missing } = factorsOf(app, metrics, settings.latencySamples)
  if (present.length === 0) {
    if (missing.length === 0) return { reason: 'the app has no targets that this scaler watches' }
    return { reason: `no fresh metrics: ${missing.join(', ')}` }
  }
  const into = app.scaleInThresholdPct / 100
  for (const { metric, nature, falling } of present) {
    if (nature === 'stubborn' && falling < into) trials.forget(keyOf(app, metric))
  }
  const isOver = present.some(({ rising }) => rising > app.scaleOutThresholdPct / 100)
  return isOver ? grow(app, present, metrics.rps?.mean, settings, trials) : stayOrShrink(app, present, settings)
}

/** The largest claim of the metrics above the threshold wins; what bears no more replicas claims the present size. */
function grow(
  app: AppView,
  present: readonly Factor[],
  work: number | undefined,
  settings: Settings,
  trials: Trials,
): Proposal {
  const { replicas, healthyReplicas } = app
  const out = app.scaleOutThresholdPct / 100
  const sizeOf = ({ rising }: Factor) => sizeFor(healthyReplicas, rising, out)
  const neededOtherwise = Math.max(app.minReplicas, 1, ...present.filter(isEven).map(sizeOf))
  const claims = present
    .filter(({ rising }) => rising > out)
    .map((factor) => {
      const { metric, rising: level } = factor
      if (isEven(factor)) return { factor, size: Math.max(replicas, sizeOf(factor)) }
      const areAllHealthy = healthyReplicas >= replicas
      const look = { key: keyOf(app, metric), size: replicas, areAllHealthy, level, neededOtherwise }
      const mayGrow = trials.mayGrow(work === undefined ? look : { ...look, work })
      return { factor, size: mayGrow ? Math.min(sizeOf(factor), replicas * stubbornGrowth) : replicas }
    })
  const { factor, size } = claims.reduce((best, claim) =>
    claim.size > best.size || (claim.size === best.size && claim.factor.rising > best.factor.rising) ? claim : best,
  )
  const words = inWords(factor, factor.rising)
  const capped = cap(size, replicas, settings.maxGrowthFactor)
  if (capped > replicas) return { replicas: capped, reason: words }
  const starting = replicas - healthyReplicas
  if (starting > 0) return { replicas, reason: `${words}, but ${starting} of ${replicas} replicas are not healthy yet` }
  return { replicas, reason: `${words}, but nothing shows that more replicas would lower it` }
}

/**
 * In only when every metric is below its threshold, and never further than to the size at which the largest would lie the
 * margin below the scale-out threshold: what is taken away is not asked for again.
 */
function stayOrShrink(app: AppView, present: readonly Factor[], settings: Settings): Proposal {
  const { replicas, healthyReplicas, scaleInThresholdPct, scaleOutThresholdPct } = app
  const counted = present.filter(({ metric }) => !settings.scaleInIgnores.includes(metric))
  const deciding = counted.length > 0 ? counted : present
  const largest = deciding.reduce((most, factor) => (factor.falling > most.falling ? factor : most))
  const words = inWords(largest, largest.falling)
  if (largest.falling >= scaleInThresholdPct / 100) {
    return { replicas, reason: `${words}, within ${scaleInThresholdPct} % to ${scaleOutThresholdPct} %` }
  }
  const aim = (scaleOutThresholdPct / 100) * (1 - settings.scaleInMarginPct / 100)
  const enough = Math.max(1, ...deciding.map(({ falling }) => sizeFor(healthyReplicas, falling, aim)))
  if (enough >= replicas) return { replicas, reason: words }
  return { replicas: enough, reason: `${words}: ${enough} of ${replicas} replicas are enough` }
}

function isEven({ nature }: Factor): boolean {
  return nature !== 'stubborn'
}

/** How many replicas bring a factor, measured over `healthy` ones, down to `aim`. The tiny allowance is for rounding errors. */
function sizeFor(healthy: number, factor: number, aim: number): number {
  return Math.min(mostReplicas, Math.ceil((healthy * factor) / aim - 1e-9))
}

function cap(size: number, present: number, factor: number | undefined): number {
  return factor === undefined ? size : Math.min(size, Math.max(present + 1, Math.floor(present * factor)))
}

function keyOf(app: AppView, metric: WatchedMetric): string {
  return `${app.name} ${metric}`
}
