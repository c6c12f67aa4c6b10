/**
 * What others saw of a replica makes us look at once, and eagerly until it has shown how it stands. Pure, times are monotonic.
 * Bounded: so many looks for one suspicion, and no new one for a while after the replica has shown that it is well.
 */
import type { HealthCheck } from '@orchestry/sdk'
import type { HealthStatus } from './health.ts'

const eagerMs = 500
/** Beyond what it takes to fall: answers that decide nothing do not count towards that. */
const moreLooks = 5
const longestTrustMs = 5_000

export interface Suspicion {
  /** Looks made for it. */
  readonly looks: number
  /** The probe under way was begun before anybody complained: that it went well says nothing. */
  readonly isOlderUnderWay: boolean
}

export function nextLookMs(check: HealthCheck): number {
  return Math.min(eagerMs, check.periodSeconds * 1000)
}

/** How long one that is well is not suspected again: however many complain, it is probed about twice as often, no more. */
export function trustMs(check: HealthCheck): number {
  return Math.min(longestTrustMs, check.periodSeconds * 1000)
}

/** What is left of it after a look: undefined when it is over. `status` is where the replica stands after that look. */
export function afterLook(
  suspicion: Suspicion,
  look: { readonly found: HealthStatus; readonly status: HealthStatus },
  check: HealthCheck,
): Suspicion | undefined {
  if (suspicion.isOlderUnderWay) return { ...suspicion, isOlderUnderWay: false }
  const looks = suspicion.looks + 1
  const isOver = look.found === 'healthy' || look.status === 'unhealthy' || looks >= check.failureThreshold + moreLooks
  return isOver ? undefined : { ...suspicion, looks }
}
