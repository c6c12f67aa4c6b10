/** A replica together with where it stands after the plan that is being made. Pure. */
import { allowanceOf } from './allowance.ts'
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

export function surgeOf(goal: Goal): number {
  return allowanceOf(goal.rollout, goal.replicas).surge
}

/**
 * When it counts as a successor: new requests reach it, and it has served for as long as the spec asks for. Undefined while
 * time alone will not bring that about.
 */
export function readyAtMs(goal: Goal, { facts, rotation }: Seat): number | undefined {
  const isServing = rotation === 'serving' && facts.rotation === 'serving' && facts.isReceiving
  return isServing ? facts.sinceMs + (goal.rollout.minReadySeconds ?? 0) * 1000 : undefined
}
