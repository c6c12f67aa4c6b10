/**
 * What to do next for one app, from what is wanted and what is there. Pure. Out: start → await healthy → publish.
 * In: publish without it → drain → stop. A plan never waits: what must happen later is planned again when it is time.
 */
import { needsTrial } from './backoff.ts'
import type { Facts, Goal, Plan, ReplicaFacts, Routing, Step } from './facts.ts'
import type { Rotation } from './reconcile.ts'
import { chooseRetirements } from './retire.ts'
import { isFresh, isLeaving, type Seat, surgeOf } from './seat.ts'

/** How long a load balancer that does not answer may hold up replicas that must end. */
export const cutAfterMs = 10_000
/** Not every app listens: one without a health check that accepts no connection for so long counts as a worker. */
export const muteAfterMs = 10_000
/** How often draining replicas are counted. */
const countEveryMs = 200

export function plan(goal: Goal, facts: Facts, nowMs: number): Plan {
  const wakes: number[] = []
  if (isHeld(facts, nowMs)) return { steps: [], wakeAtMs: facts.holdUntilMs }

  const dead = facts.replicas.filter((replica) => replica.state === 'dead')
  const alive = facts.replicas.filter((replica) => replica.state !== 'dead')
  const listens = goal.mustListen === true || alive.some((replica) => replica.isOpen)
  const seats = alive.map((replica) => ({ facts: replica, rotation: rotationOf(replica, listens, nowMs, wakes) }))
  const retirements = chooseRetirements(goal, seats, nowMs, wakes)
  const after = seats.map((seat) =>
    retirements.has(seat.facts.id) ? { ...seat, rotation: 'draining' as const } : seat,
  )

  const steps: Step[] = dead.map((replica) => ({ do: 'discard', id: replica.id }))
  for (const { facts: replica, rotation } of seats) {
    const hasMoved = rotation !== replica.rotation && !retirements.has(replica.id)
    if (hasMoved && rotation !== 'draining' && rotation !== 'stopping') {
      steps.push({ do: 'rotate', id: replica.id, to: rotation })
    }
  }
  for (const [id, retirement] of retirements) steps.push({ do: 'retire', id, ...retirement })
  steps.push(...publishing(facts, after, nowMs, wakes))
  steps.push(...stopping(goal, facts, after, nowMs, wakes))
  steps.push(...starting(goal, facts, after, nowMs, wakes))
  return wakes.length === 0 ? { steps } : { steps, wakeAtMs: Math.min(...wakes) }
}

/** Nothing is decided about replicas that were found running until they have been probed. A death ends the wait. */
function isHeld(facts: Facts, nowMs: number): boolean {
  if (nowMs >= facts.holdUntilMs) return false
  const adopted = facts.replicas.filter((replica) => replica.isAdopted)
  return (
    adopted.some((replica) => replica.hasHealthCheck && replica.health === 'unknown') &&
    adopted.every((replica) => replica.state !== 'dead')
  )
}

/** @param listens whether the app is known to be one that accepts connections. */
function rotationOf(replica: ReplicaFacts, listens: boolean, nowMs: number, wakes: number[]): Rotation {
  if (isLeaving(replica.rotation)) return replica.rotation
  if (replica.state === 'pending') return 'starting'
  if (!replica.hasHealthCheck) {
    if (replica.isShut) return 'unhealthy'
    if (replica.isOpen || replica.hasServed) return 'serving'
    const mutedAtMs = replica.startedAtMs + muteAfterMs
    if (!listens && nowMs >= mutedAtMs) return 'serving'
    if (!listens) wakes.push(mutedAtMs)
    return 'starting'
  }
  const isTrusted = replica.health === 'unknown' && replica.hasServed
  if (replica.health === 'healthy' || isTrusted) return 'serving'
  return replica.hasServed ? 'unhealthy' : 'starting'
}

/**
 * The unhealthy take requests all the same while no other replica does: what all of them lack (a database, say) is mended by no
 * replacement, and some answer is better than none. Not those that are shut: nobody would answer there.
 */
function isLastResort({ facts, rotation }: Seat): boolean {
  return rotation === 'unhealthy' && facts.state === 'running' && facts.hasHealthCheck
}

function publishing(facts: Facts, seats: readonly Seat[], nowMs: number, wakes: number[]): Step[] {
  const serving = seats.filter((seat) => seat.rotation === 'serving')
  const receiving = new Set(serving.length > 0 ? serving : seats.filter(isLastResort))
  // The unhealthy are let finish what they have, too: a failing probe does not mean that no request gets an answer.
  const isFinishing = (seat: Seat) => isLeaving(seat.rotation) || seat.rotation === 'unhealthy'
  const routing: Routing = {
    endpoints: [...receiving].map(({ facts: { id } }) => id),
    draining: seats
      .filter((seat) => seat.facts.wasRouted && !receiving.has(seat) && isFinishing(seat))
      .map((seat) => seat.facts.id),
  }
  const isSame = facts.published !== undefined && !facts.isRouteStale && sameRouting(facts.published, routing)
  if (isSame && facts.republishAtMs === undefined) return []
  if (isSame && facts.republishAtMs !== undefined && nowMs < facts.republishAtMs) {
    wakes.push(facts.republishAtMs)
    return []
  }
  return [{ do: 'publish', ...routing }]
}

function sameRouting(a: Routing, b: Routing): boolean {
  return sameIds(a.endpoints, b.endpoints) && sameIds(a.draining, b.draining)
}

function sameIds(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false
  const known = new Set(a)
  return b.every((id) => known.has(id))
}

function stopping(goal: Goal, facts: Facts, seats: readonly Seat[], nowMs: number, wakes: number[]): Step[] {
  const steps: Step[] = []
  const drainMs = goal.rollout.drainSeconds * 1000
  let isCounting = false
  for (const { facts: replica, rotation } of seats) {
    if (rotation !== 'draining' || replica.state === 'pending' || replica.isOutOfReach) continue
    const retiredAtMs = replica.rotation === 'draining' ? replica.sinceMs : nowMs
    const cutAtMs = goal.ending === undefined ? Number.POSITIVE_INFINITY : retiredAtMs + drainMs + cutAfterMs
    const drainedAtMs = replica.unroutedAtMs === undefined ? Number.POSITIVE_INFINITY : replica.unroutedAtMs + drainMs
    const endsAtMs = Math.min(cutAtMs, drainedAtMs)
    const isIdle = replica.unroutedAtMs !== undefined && replica.activeConnections === 0
    if (!replica.wasRouted || isIdle || nowMs >= endsAtMs) {
      steps.push({ do: 'stop', id: replica.id })
      continue
    }
    if (replica.unroutedAtMs !== undefined) isCounting = true
    if (Number.isFinite(endsAtMs)) wakes.push(endsAtMs)
  }
  if (isCounting) {
    const isDue = nowMs >= facts.countedAtMs + countEveryMs
    if (isDue) steps.unshift({ do: 'count' })
    wakes.push((isDue ? nowMs : facts.countedAtMs) + countEveryMs)
  }
  return steps
}

function starting(goal: Goal, facts: Facts, seats: readonly Seat[], nowMs: number, wakes: number[]): Step[] {
  if (goal.isStalled) return []
  const staying = seats.filter((seat) => !isLeaving(seat.rotation))
  const fresh = staying.filter(isFresh)
  const room = goal.replicas + surgeOf(goal) - staying.length
  const missing = Math.min(goal.replicas - fresh.length, room)
  if (missing <= 0) return []
  if (nowMs < facts.backoff.retryAtMs) {
    wakes.push(facts.backoff.retryAtMs)
    return []
  }
  // So that a broken image costs one start a round and not fifty.
  const isTrial = needsTrial(facts.backoff) && !fresh.some((seat) => seat.rotation === 'serving')
  const count = isTrial ? Math.min(missing, 1 - fresh.length) : missing
  return count > 0 ? [{ do: 'start', count }] : []
}
