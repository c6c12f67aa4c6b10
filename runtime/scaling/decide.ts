/**
 * Pure: the whole way from what the scalers answered to what is done about one app, and the state for the next pass.
 *
 * bounds jump → manual → gather → combine → guards (veto, unhealthy) → stabilize → rate → cooldown → pause → clamp.
 * The order is the host's: no vote can skip a step. The same input gives the same output, bit for bit.
 */
import type { Metrics } from '@orchestry/sdk'
import type { AppRecord, Scaling } from '../apps/app.ts'
import { type Combined, combine, replicas } from './combine.ts'
import { coolingMs } from './cooldown.ts'
import type { Decision, Limit, VoteRecord } from './decision.ts'
import { type Gathered, gather } from './gather.ts'
import { growthLimit, recordChange, shrinkLimit } from './rate.ts'
import { remember, stabilize } from './stabilize.ts'
import { freshState, notAfter, rebase, type ScalingState } from './state.ts'

export type NewDecision = Omit<Decision, 'id'>

export interface DecideInput {
  readonly now: number
  readonly app: string
  readonly scaling: Scaling
  readonly paused: AppRecord['paused']
  /** Replicas that are wanted now. */
  readonly current: number
  readonly healthyReplicas: number
  readonly isDegraded: boolean
  /** One per scaler that was asked; an error has no fallback yet. */
  readonly answers: readonly VoteRecord[]
  readonly metrics: Metrics
  /** Absent at the first pass ever. */
  readonly state?: ScalingState
}

export interface Decided {
  readonly decision: NewDecision
  readonly state: ScalingState
}

/** A size on its way through the limits: remembers what changed it. */
interface Course {
  size: number
  readonly limits: Limit[]
}

function limit(course: Course, kind: Limit['kind'], to: number, reason: string): void {
  if (to === course.size) return
  course.limits.push({ kind, from: course.size, to, reason })
  course.size = to
}

export function decide(input: DecideInput): Decided {
  const { now, current, scaling } = input
  const known = notAfter(input.state ?? freshState(current, now), now)
  const state = known.size === current ? known : rebase(known, current, now)
  const bound = clamp(current, scaling)
  if (bound !== current) return jumpToBound(input, state, bound)
  if (scaling.mode === 'manual') return holdByHand(input, state)

  const gathered = gather(input.answers, state, scaling.fallback, now)
  const combined = combine(gathered.votes, current)
  const course: Course = { size: combined.wanted ?? current, limits: [...combined.limits] }
  const asked = course.size
  guard(course, input, combined)
  const isSilent = combined.wanted === undefined || course.size !== asked
  const looked = isSilent ? state : lookBack(course, input, state)
  limitRate(course, input, looked)
  coolDown(course, input, looked)
  pause(course, input)
  limit(course, 'bounds', clamp(course.size, scaling), boundsOf(scaling))
  return {
    decision: toDecision(input, combined, gathered, course),
    state: nextState(input, looked, gathered, course.size, isSilent),
  }
}

/** Nothing is taken away on the word of a scaler while another cannot speak, or from an app that is not well. */
function guard(course: Course, input: DecideInput, { failure }: Combined): void {
  const { current, healthyReplicas, isDegraded } = input
  if (course.size >= current) return
  if (failure !== undefined) limit(course, 'veto', current, `nothing is scaled in while ${failure}`)
  else if (healthyReplicas === 0)
    limit(course, 'unhealthy', current, 'nothing is scaled in while no replica is healthy')
  else if (isDegraded) limit(course, 'unhealthy', current, 'nothing is scaled in while the app is degraded')
}

function lookBack(course: Course, input: DecideInput, state: ScalingState): ScalingState {
  const { now, current, scaling } = input
  const wanted = course.size
  const outMs = scaling.behavior.scaleOut.stabilizationWindowSeconds * 1000
  const inMs = scaling.behavior.scaleIn.stabilizationWindowSeconds * 1000
  const added = { atMs: now, replicas: wanted }
  const lows = remember(state.lows, added, 'lowest', outMs)
  const highs = remember(state.highs, added, 'highest', inMs)
  // Right after a start metrics cover less than their window: until they do, the size found stands.
  const anchorMs = Math.max(inMs, scaling.windowSeconds * 1000)
  const wasSilent = state.silentSinceMs !== undefined && now - state.silentSinceMs >= anchorMs
  const anchor = wasSilent ? { atMs: now, replicas: current } : state.anchor
  const ageMs = now - anchor.atMs
  const to = stabilize(current, ageMs < outMs ? [...lows, anchor] : lows, ageMs < anchorMs ? [...highs, anchor] : highs)
  const isAnchored = wanted < current && highs.every(({ replicas: high }) => high < to)
  const isIn = wanted < current
  const seconds = (isAnchored ? anchorMs : isIn ? inMs : outMs) / 1000
  const reason = isAnchored
    ? `scaling watches this app anew since ${Math.floor(ageMs / 1000)} s: nothing is scaled in before ${seconds} s`
    : `${isIn ? 'more' : 'less'} was recommended within the last ${seconds} s`
  limit(course, 'stabilization', to, reason)
  return { ...state, anchor, highs, lows }
}

function limitRate(course: Course, { current, scaling, now }: DecideInput, { changes }: ScalingState): void {
  const { scaleOut, scaleIn } = scaling.behavior
  if (course.size > current) {
    const most = growthLimit(scaleOut, current, changes, now)
    const why = scaleOut.isDisabled ? 'scale-out is switched off' : `scale-out may reach ${most} for now`
    limit(course, 'rate', Math.min(course.size, most), `${why} (behavior.scaleOut)`)
  } else if (course.size < current) {
    const least = shrinkLimit(scaleIn, current, changes, now)
    const why = scaleIn.isDisabled ? 'scale-in is switched off' : `scale-in may reach ${least} for now`
    limit(course, 'rate', Math.max(course.size, least), `${why} (behavior.scaleIn)`)
  }
}

function coolDown(course: Course, { current, scaling, now }: DecideInput, state: ScalingState): void {
  if (course.size === current) return
  const direction = course.size > current ? 'out' : 'in'
  const waitMs = coolingMs(direction, scaling.cooldownSeconds, state, now)
  if (waitMs === 0) return
  const total = scaling.cooldownSeconds[direction]
  limit(
    course,
    'cooldown',
    current,
    `scale-${direction} cools down for ${Math.ceil(waitMs / 1000)} s more (of ${total} s)`,
  )
}

function pause(course: Course, { current, paused }: DecideInput): void {
  const direction = course.size > current ? 'out' : 'in'
  if (course.size === current || (paused !== 'all' && paused !== direction)) return
  limit(course, 'paused', current, paused === 'all' ? 'scaling is paused' : `scale-${direction} is paused`)
}

function jumpToBound(input: DecideInput, state: ScalingState, to: number): Decided {
  const { app, now, current, metrics, scaling } = input
  const reason = `${replicas(current)} lie outside the bounds: ${boundsOf(scaling)}`
  const decision: NewDecision = {
    app,
    atMs: now,
    action: to > current ? 'out' : 'in',
    from: current,
    to,
    reason,
    votes: input.answers,
    limits: [{ kind: 'bounds', from: current, to, reason: boundsOf(scaling) }],
    metrics,
    by: 'bounds',
  }
  return { decision, state: rebase(state, to, now) }
}

function holdByHand(input: DecideInput, state: ScalingState): Decided {
  const { app, now, current, metrics } = input
  const reason = `scaling.mode is manual: ${replicas(current)} until somebody scales by hand`
  const limits: Limit[] = [{ kind: 'manual', from: current, to: current, reason }]
  const base = { app, atMs: now, action: 'hold', from: current, to: current, by: 'scaler' } as const
  return { decision: { ...base, reason, votes: [], limits, metrics }, state }
}

function toDecision(input: DecideInput, combined: Combined, gathered: Gathered, course: Course): NewDecision {
  const { app, now, current, metrics } = input
  const to = course.size
  // Floors and ceilings carry the winner's own reason; what came after them changed the outcome.
  const last = course.limits.length > combined.limits.length ? course.limits.at(-1) : undefined
  const reason =
    last === undefined ? combined.reason : to === current ? last.reason : `${combined.reason}; ${last.reason}`
  return {
    app,
    atMs: now,
    action: to > current ? 'out' : to < current ? 'in' : 'hold',
    from: current,
    to,
    reason,
    ...(combined.winner !== undefined && { winner: combined.winner }),
    votes: gathered.votes,
    limits: course.limits,
    metrics,
    by: 'scaler',
  }
}

function nextState(
  { now, current, scaling }: DecideInput,
  state: ScalingState,
  { failingSinceMs, keptVotes }: Gathered,
  size: number,
  isSilent: boolean,
): ScalingState {
  const { silentSinceMs, ...rest } = state
  const silence = isSilent ? { silentSinceMs: silentSinceMs ?? now } : {}
  const next: ScalingState = { ...rest, ...silence, failingSinceMs, keptVotes }
  if (size === current) return next
  const rules = [scaling.behavior.scaleOut, scaling.behavior.scaleIn]
  const changes = recordChange(state.changes, { atMs: now, by: size - current }, rules)
  return { ...next, size, changes, ...(size > current ? { lastOutMs: now } : { lastInMs: now }) }
}

export function clamp(size: number, { minReplicas, maxReplicas }: Scaling): number {
  return Math.max(minReplicas, Math.min(maxReplicas, size))
}

function boundsOf({ minReplicas, maxReplicas }: Scaling): string {
  return `minReplicas is ${minReplicas}, maxReplicas ${maxReplicas}`
}
