/** Which replicas of an app leave. Pure. Old and unhealthy ones leave only as new ones serve in their place. */
import type { Goal } from './facts.ts'
import { isFresh, isLeaving, type Seat, surgeOf } from './seat.ts'

export interface Retirement {
  readonly reason: string
  /** The replica itself is at fault: the next start waits longer. */
  readonly isFailure: boolean
}

/** @param wakes takes the times at which time alone would add a retirement. */
export function chooseRetirements(
  goal: Goal,
  seats: readonly Seat[],
  nowMs: number,
  wakes: number[],
): Map<string, Retirement> {
  const leaving = new Map<string, Retirement>()
  const retire = (seat: Seat, reason: string, isFailure = false) => leaving.set(seat.facts.id, { reason, isFailure })
  const staying = () => seats.filter((seat) => !isLeaving(seat.rotation) && !leaving.has(seat.facts.id))

  if (goal.ending !== undefined) {
    for (const seat of staying()) retire(seat, goal.ending)
    return leaving
  }
  for (const seat of staying()) {
    if (seat.rotation !== 'starting') continue
    if (!seat.facts.isCurrent) retire(seat, 'it is of a version that is no longer wanted')
    else if (hasFailedToStart(goal, seat, nowMs, wakes)) {
      const missed = seat.facts.hasHealthCheck ? 'become healthy' : 'accept a connection on its port'
      retire(seat, `it did not ${missed} within ${goal.startupBudgetMs / 1000} s`, true)
    }
  }

  const fresh = staying().filter(isFresh)
  for (const seat of byDispensability(fresh).slice(0, Math.max(0, fresh.length - goal.replicas))) {
    retire(seat, 'fewer replicas are wanted')
  }
  for (const seat of surplusOfStale(goal, staying())) {
    if (seat.facts.isCurrent) retire(seat, 'it is unhealthy', true)
    else retire(seat, 'its successor serves')
  }
  const over = staying().length - goal.replicas - surgeOf(goal)
  const startingFresh = byDispensability(staying().filter((seat) => isFresh(seat) && seat.rotation === 'starting'))
  for (const seat of startingFresh.slice(0, Math.max(0, over))) retire(seat, 'fewer replicas are wanted')
  return leaving
}

/** Only a decisive answer condemns: while the check itself cannot be made, the replica is not at fault. */
function hasFailedToStart(goal: Goal, seat: Seat, nowMs: number, wakes: number[]): boolean {
  if (seat.facts.state === 'pending') return false
  const deadlineMs = seat.facts.startedAtMs + goal.startupBudgetMs
  if (nowMs >= deadlineMs) return seat.facts.health === 'unhealthy' || !seat.facts.hasHealthCheck
  wakes.push(deadlineMs)
  return false
}

/** Stale replicas (old version, or unhealthy) beyond what must stay while fresh ones do not yet take requests. */
function surplusOfStale(goal: Goal, staying: readonly Seat[]): Seat[] {
  const stale = staying.filter((seat) => !isFresh(seat))
  const receiving = staying.filter((seat) => isFresh(seat) && seat.rotation === 'serving' && seat.facts.isReceiving)
  // Without surge room has to be made first; otherwise nothing leaves before the new version has shown that it serves.
  const mayMissSome = receiving.length > 0 || surgeOf(goal) === 0
  const slack = mayMissSome ? goal.rollout.maxUnavailable : 0
  const keep = Math.max(0, goal.replicas - receiving.length - slack)
  return byDispensability(stale).slice(0, Math.max(0, stale.length - keep))
}

/** First those that do not serve, then other versions, then the youngest; the id settles a tie. */
function byDispensability(seats: readonly Seat[]): Seat[] {
  const isServing = (seat: Seat) => Number(seat.rotation === 'serving')
  return seats.toSorted(
    (a, b) =>
      isServing(a) - isServing(b) ||
      Number(a.facts.isCurrent) - Number(b.facts.isCurrent) ||
      b.facts.startedAtMs - a.facts.startedAtMs ||
      (a.facts.id < b.facts.id ? 1 : -1),
  )
}
