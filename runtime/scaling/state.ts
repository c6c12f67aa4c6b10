/** What scaling remembers of one app between two ticks. Plain data: stored with decisions, so that a restart keeps it. */
import type { Vote } from '@orchestry/sdk'

export interface Recommendation {
  readonly atMs: number
  readonly replicas: number
}

/** A change that the scalers brought about: growth is positive. */
export interface SizeChange {
  readonly atMs: number
  readonly by: number
}

export interface KeptVote {
  readonly vote: Vote
  readonly untilMs: number
}

export interface ScalingState {
  /** Desired size after the last pass; another one now means that somebody else changed it. */
  readonly size: number
  /** The size we met at the start, after a silence, or after somebody else's change. */
  readonly anchor: Recommendation
  /** What was recommended and could still be the largest of a window: oldest first, strictly falling. */
  readonly highs: readonly Recommendation[]
  /** … and the smallest: oldest first, strictly rising. */
  readonly lows: readonly Recommendation[]
  /** Oldest first. */
  readonly changes: readonly SizeChange[]
  readonly lastOutMs?: number
  readonly lastInMs?: number
  /** Since when no vote could be acted on. */
  readonly silentSinceMs?: number
  /** Scaler → since when it fails without a break. */
  readonly failingSinceMs: Readonly<Record<string, number>>
  /** Scaler → its newest vote with a `ttlSeconds`. */
  readonly keptVotes: Readonly<Record<string, KeptVote>>
}

export const emptyRecord: Readonly<Record<string, never>> = Object.freeze({})
const noChanges: readonly never[] = Object.freeze([])

/** State of an app that scaling meets for the first time. */
export function freshState(size: number, now: number): ScalingState {
  return {
    size,
    anchor: { atMs: now, replicas: size },
    highs: noChanges,
    lows: noChanges,
    changes: noChanges,
    failingSinceMs: emptyRecord,
    keptVotes: emptyRecord,
  }
}

/**
 * The size that somebody else set (an operator, a bound, another controller) is a new base: it counts as recommended now, and
 * what the scalers did before it no longer limits them. Cooldowns go on.
 */
export function rebase(state: ScalingState, size: number, now: number): ScalingState {
  return { ...state, size, anchor: { atMs: now, replicas: size }, changes: noChanges }
}

/** After a restart the size we find counts as recommended, because metrics may cover only part of a window yet. */
export function resume(stored: ScalingState, size: number, now: number): ScalingState {
  return { ...(stored.size === size ? stored : rebase(stored, size, now)), anchor: { atMs: now, replicas: size } }
}

/** A clock that was set back must not make a cooldown last longer than it is long. */
export function notAfter(state: ScalingState, now: number): ScalingState {
  const { lastOutMs, lastInMs, anchor } = state
  if ((lastOutMs ?? 0) <= now && (lastInMs ?? 0) <= now && anchor.atMs <= now) return state
  return {
    ...state,
    anchor: { ...anchor, atMs: Math.min(anchor.atMs, now) },
    ...(lastOutMs !== undefined && { lastOutMs: Math.min(lastOutMs, now) }),
    ...(lastInMs !== undefined && { lastInMs: Math.min(lastInMs, now) }),
  }
}
