/** How long an app waits before its next start after replicas failed. Pure. */

const firstMs = 500
const longestMs = 60_000
/** A replica that has served this long has shown that it works: its end is an accident and is mended at once. */
export const provenMs = 10_000
const jitterShare = 0.2

export interface Backoff {
  readonly failures: number
  readonly lastFailureAtMs: number
  readonly retryAtMs: number
}

export const calm: Backoff = { failures: 0, lastFailureAtMs: Number.NEGATIVE_INFINITY, retryAtMs: 0 }

export interface Failure {
  readonly startedAtMs: number
  /** Absent when it was never in rotation. */
  readonly servedMs?: number
}

/** @param chance in [0, 1): spreads the waits. */
export function afterFailure(backoff: Backoff, failure: Failure, nowMs: number, chance: number): Backoff {
  if (failure.servedMs !== undefined && failure.servedMs >= provenMs) return backoff
  // Replicas that were started together fail together: that is one failure, not one for each. One that was started after it, and be
  // it in the same moment, is another.
  if (failure.startedAtMs <= backoff.lastFailureAtMs && failure.startedAtMs < backoff.retryAtMs) return backoff
  const failures = backoff.failures + 1
  const isFirstAccident = failures === 1 && failure.servedMs !== undefined
  const delayMs = isFirstAccident ? 0 : Math.min(longestMs, firstMs * 2 ** (failures - 1))
  const spread = 1 - jitterShare * chance
  return { failures, lastFailureAtMs: nowMs, retryAtMs: nowMs + delayMs * spread }
}

/** Whether what comes next must first show with one replica that it works: an accident that is mended at once need not. */
export function needsTrial(backoff: Backoff): boolean {
  return backoff.failures > 0 && backoff.retryAtMs > backoff.lastFailureAtMs
}

/** When the app may count as recovered, given one of its serving replicas; undefined while that proves nothing. */
export function provenAtMs(
  backoff: Backoff,
  serving: { readonly startedAtMs: number; readonly sinceMs: number },
): number | undefined {
  return serving.startedAtMs > backoff.lastFailureAtMs ? serving.sinceMs + provenMs : undefined
}
