/** How many replicas there may be too many while some are replaced, and how many too few. Pure. */
import type { ReplicaShare, Rollout } from '../apps/app.ts'

export interface Allowance {
  readonly surge: number
  readonly unavailable: number
}

/**
 * Of a share the surge is rounded up and what may be unavailable down, so that a small app is never left with nothing. Where
 * that makes both 0, one may be unavailable: otherwise nothing could ever be replaced.
 * @param wanted replicas, at this moment
 */
export function allowanceOf(rollout: Pick<Rollout, 'maxSurge' | 'maxUnavailable'>, wanted: number): Allowance {
  const surge = Math.ceil(countOf(rollout.maxSurge, wanted))
  const unavailable = Math.floor(countOf(rollout.maxUnavailable, wanted))
  return { surge, unavailable: surge === 0 && unavailable === 0 ? 1 : unavailable }
}

function countOf(share: ReplicaShare, wanted: number): number {
  return typeof share === 'number' ? share : (wanted * Number.parseInt(share, 10)) / 100
}
