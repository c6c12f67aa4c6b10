/** A replica together with where it stands after the plan that is being made. Pure. */
import type { Goal, ReplicaFacts } from './facts.ts'
import type { Rotation } from './reconcile.ts'

export interface Seat {
  readonly facts: ReplicaFacts
  readonly rotation: Rotation
}

export function isLeaving(rotation: Rotation): boolean {
  return rotation === 'draining' || rotation === 'stopping'
}

/** Of the wanted version, and not one that lost its health. */
export function isFresh(seat: Seat): boolean {
  return seat.facts.isCurrent && seat.rotation !== 'unhealthy'
}

/** With neither surge nor unavailability allowed nothing could ever be replaced. */
export function surgeOf(goal: Goal): number {
  return goal.rollout.maxSurge === 0 && goal.rollout.maxUnavailable === 0 ? 1 : goal.rollout.maxSurge
}
