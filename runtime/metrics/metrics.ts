/** The port of what was measured: samples in, windows out. A metric without a fresh sample is a gap, never a zero. */
import type { Sample, Metrics as Windows } from '@orchestry/sdk'

export interface Metrics {
  record(samples: readonly Sample[]): void
  /** The frozen view of one app at `nowMs`: every metric with a sample in the last `windowSeconds`. */
  snapshot(app: string, windowSeconds: number, nowMs: number): Windows
  /** Points of one metric, oldest first. */
  series(app: string, metric: string, sinceMs: number): { atMs: number; value: number }[]
  metricNames(app: string): string[]
  forget(app: string): void
}

/** What the runtime measures itself for every app; no plugin may write these names through `ctx.metrics`. */
export const coreMetrics = [
  'cpuPercent',
  'memoryPercent',
  'rps',
  'latencyP50Ms',
  'latencyP95Ms',
  'latencyP99Ms',
  'activeConnections',
  'errorPercent',
  'healthyReplicas',
  'replicas',
] as const
