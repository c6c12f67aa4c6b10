/** What an app's traffic looks like, over a short sliding window. Pure: times are monotonic milliseconds, given. */
import { DDSketch } from '@datadog/sketches-js'

const bucketMs = 250
const buckets = 8

interface Bucket {
  index: number
  requests: number
  responses: number
  errors: number
  latencies: DDSketch | undefined
}

/** Values by metric name. Latencies and errors only when something was answered: without it they are not zero but unknown. */
export interface TrafficValues {
  readonly activeConnections: number
  readonly rps?: number
  readonly errorPercent?: number
  readonly latencyP50Ms?: number
  readonly latencyP95Ms?: number
  readonly latencyP99Ms?: number
}

export interface AppTraffic {
  /** A request or WebSocket came in. */
  opened(nowMs: number): void
  /** Its answer began. Latency counts up to here, so that downloads by slow clients and event streams do not look slow. */
  answered(nowMs: number, latencyMs: number, status: number): void
  closed(): void
  values(nowMs: number): TrafficValues
}

export function createAppTraffic(sinceMs: number): AppTraffic {
  const ring: Bucket[] = []
  let active = 0

  const bucketAt = (nowMs: number): Bucket => {
    const index = Math.floor(nowMs / bucketMs)
    const kept = ring[index % buckets]
    if (kept?.index === index) return kept
    const fresh: Bucket = { index, requests: 0, responses: 0, errors: 0, latencies: undefined }
    ring[index % buckets] = fresh
    return fresh
  }

  return {
    opened(nowMs) {
      active += 1
      bucketAt(nowMs).requests += 1
    },
    answered(nowMs, latencyMs, status) {
      const bucket = bucketAt(nowMs)
      bucket.responses += 1
      if (status >= 500) bucket.errors += 1
      bucket.latencies ??= new DDSketch({ relativeAccuracy: 0.01 })
      bucket.latencies.accept(latencyMs)
    },
    closed() {
      active -= 1
    },
    values(nowMs) {
      const newest = Math.floor(nowMs / bucketMs)
      const oldest = newest - buckets + 1
      const live = ring.filter((bucket) => bucket !== undefined && bucket.index >= oldest && bucket.index <= newest)
      return summarize(live, active, nowMs - Math.max(oldest * bucketMs, sinceMs))
    },
  }
}

function summarize(live: readonly Bucket[], active: number, coveredMs: number): TrafficValues {
  const latencies = new DDSketch({ relativeAccuracy: 0.01 })
  let requests = 0
  let responses = 0
  let errors = 0
  for (const bucket of live) {
    requests += bucket.requests
    responses += bucket.responses
    errors += bucket.errors
    if (bucket.latencies) latencies.merge(bucket.latencies)
  }
  // The sketch rounds by up to one percent: nothing it says may lie outside what was seen.
  const quantile = (q: number) => Math.min(latencies.max, Math.max(latencies.min, latencies.getValueAtQuantile(q)))
  return {
    activeConnections: active,
    // Over less than a bucket a rate would be noise; from then on zero requests are a true zero.
    ...(coveredMs >= bucketMs ? { rps: (requests * 1000) / coveredMs } : {}),
    ...(responses > 0
      ? {
          errorPercent: (errors * 100) / responses,
          latencyP50Ms: quantile(0.5),
          latencyP95Ms: quantile(0.95),
          latencyP99Ms: quantile(0.99),
        }
      : {}),
  }
}
