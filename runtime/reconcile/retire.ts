/** Which replicas of an app leave. Pure. Old and unhealthy ones leave only as new ones serve in their place. */
import { allowanceOf } from './allowance.ts'
import type { Goal } from './facts.ts'
import { isFresh, isLeaving, readyAtMs, type Seat, surgeOf } from './seat.ts'

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
      retire(seat, `it did not ${missed} within ${goal.startupBudgetMs / 1000} s${sayHealth(seat)}`, true)
    }
  }

  const fresh = staying().filter(isFresh)
  for (const seat of byDispensability(fresh).slice(0, Math.max(0, fresh.length - goal.replicas))) {
    retire(seat, 'fewer replicas are wanted')
  }
  for (const seat of surplusOfStale(goal, staying(), nowMs, wakes)) {
    if (seat.facts.isCurrent) retire(seat, illness(seat), true)
    else retire(seat, 'its successor serves')
  }
  const over = staying().length - goal.replicas - surgeOf(goal)
  const startingFresh = byDispensability(staying().filter((seat) => isFresh(seat) && seat.rotation === 'starting'))
  for (const seat of startingFresh.slice(0, Math.max(0, over))) retire(seat, 'fewer replicas are wanted')
  return leaving
}

const illness = (seat: Seat): string =>
  seat.facts.isShut ? 'it no longer accepts connections' : `it is unhealthy${sayHealth(seat)}`

const sayHealth = ({ facts }: Seat): string => (facts.healthMessage === undefined ? '' : `: ${facts.healthMessage}`)

/** Only a decisive answer condemns: while the check itself cannot be made, the replica is not at fault. */
function hasFailedToStart(goal: Goal, seat: Seat, nowMs: number, wakes: number[]): boolean {
  if (seat.facts.state === 'pending' || seat.facts.isOutOfReach) return false
  const deadlineMs = seat.facts.startedAtMs + goal.startupBudgetMs
  if (nowMs >= deadlineMs) return seat.facts.health === 'unhealthy' || !seat.facts.hasHealthCheck
  wakes.push(deadlineMs)
  return false
}

/** Stale replicas (old version, or unhealthy) beyond what must stay while fresh ones do not yet take requests. */
function surplusOfStale(goal: Goal, staying: readonly Seat[], nowMs: number, wakes: number[]): Seat[] {
  const stale = staying.filter((seat) => !isFresh(seat))
  if (stale.length === 0) return []
  const { surge, unavailable } = allowanceOf(goal.rollout, goal.replicas)
  let ready = 0
  for (const seat of staying) {
    const atMs = isFresh(seat) ? readyAtMs(goal, seat) : undefined
    if (atMs === undefined) continue
    if (atMs <= nowMs) ready += 1
    else wakes.push(atMs)
  }
  // Without surge room has to be made first; otherwise nothing leaves before the new version has shown that it serves.
  const slack = ready > 0 || surge === 0 ? unavailable : 0
  const keep = Math.max(0, goal.replicas - ready - slack)
  return byDispensability(stale).slice(0, Math.max(0, stale.length - keep))
}

/** First the unhealthy, then those that start, then other versions, then the youngest; the id settles a tie. */
function byDispensability(seats: readonly Seat[]): Seat[] {
  const worth = ({ rotation }: Seat) => (rotation === 'serving' ? 2 : rotation === 'starting' ? 1 : 0)
  return seats.toSorted(
    (a, b) =>
      worth(a) - worth(b) ||
      Number(a.facts.isCurrent) - Number(b.facts.isCurrent) ||
      b.facts.startedAtMs - a.facts.startedAtMs ||
      (a.facts.id < b.facts.id ? 1 : -1),
  )
}
