/** A circuit breaker as plain data: a plugin that fails again and again is left alone for a while, then tried once. */

export interface Breaker {
  readonly state: 'closed' | 'open' | 'halfOpen'
  readonly failures: number
  /** Times it has opened without a success in between; each doubles the rest. */
  readonly openings: number
  readonly retryAtMs: number
}

const failuresToOpen = 5
const firstRestMs = 1_000
const maxRestMs = 60_000

export const closedBreaker: Breaker = { state: 'closed', failures: 0, openings: 0, retryAtMs: 0 }

/** Whether a call may be made now. An open breaker whose rest is over lets exactly one through, as its probe. */
export function admit(breaker: Breaker, nowMs: number): { isAdmitted: boolean; next: Breaker } {
  if (breaker.state === 'closed') return { isAdmitted: true, next: breaker }
  if (breaker.state === 'open' && nowMs >= breaker.retryAtMs) {
    return { isAdmitted: true, next: { ...breaker, state: 'halfOpen' } }
  }
  return { isAdmitted: false, next: breaker }
}

export function afterSuccess(breaker: Breaker): Breaker {
  return breaker.state === 'closed' && breaker.failures === 0 ? breaker : closedBreaker
}

export function afterFailure(breaker: Breaker, nowMs: number): Breaker {
  const failures = breaker.failures + 1
  if (breaker.state === 'closed' && failures < failuresToOpen) return { ...breaker, failures }
  // Calls that were under way when it opened say nothing new.
  if (breaker.state === 'open') return breaker
  const openings = breaker.openings + 1
  const restMs = Math.min(maxRestMs, firstRestMs * 2 ** (openings - 1))
  return { state: 'open', failures, openings, retryAtMs: nowMs + restMs }
}
