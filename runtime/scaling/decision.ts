/** What was decided for one app in one tick, and everything it was made of. Plain data: it can be replayed. */
import type { Metrics, Vote } from '@orchestry/sdk'

export type VoteRecord =
  | { readonly scaler: string; readonly vote: Vote }
  | {
      readonly scaler: string
      readonly error: { readonly code: string; readonly message: string }
      readonly fallback?: number
    }

/** One thing that changed or held back what the votes asked for, in the order in which it was applied. */
export interface Limit {
  readonly kind:
    | 'veto'
    | 'paused'
    | 'manual'
    | 'stabilization'
    | 'rate'
    | 'cooldown'
    | 'unhealthy'
    | 'bounds'
    | 'ceiling'
    | 'floor'
  readonly from: number
  readonly to: number
  readonly reason: string
}

export interface Decision {
  readonly id: string
  readonly app: string
  readonly atMs: number
  readonly action: 'out' | 'in' | 'hold'
  readonly from: number
  readonly to: number
  /** One sentence: the winning vote's reason, or what held it back. */
  readonly reason: string
  /** Instance name of the scaler whose vote won. */
  readonly winner?: string
  readonly votes: readonly VoteRecord[]
  readonly limits: readonly Limit[]
  readonly metrics: Metrics
  /** `scaler` for a tick's decision, `operator` for `scale` by hand, `bounds` for a jump into min or max. */
  readonly by: 'scaler' | 'operator' | 'bounds'
}

/** Append-only, in order, with retention. */
export interface DecisionLog {
  /** Resolves with the decisions and their ids when they are on disk, all in one write. */
  append(decisions: readonly Omit<Decision, 'id'>[]): Promise<Decision[]>
  /** The newest, or those before an id; newest first. */
  list(query: { app?: string; limit?: number; before?: string }): Promise<Decision[]>
}

export interface Scaling {
  /** The newest decision of an app, also when it was to hold (a hold like the one before keeps its id and is not stored). */
  latest(app: string): Decision | undefined
  list(query: { app?: string; limit?: number; before?: string }): Promise<Decision[]>
  /** By hand: checked against the bounds, recorded as a decision, starts the cooldown. */
  scaleByHand(app: string, replicas: number, reason: string): Promise<Decision>
  /** Makes the app due in the next tick. */
  markDirty(app: string): void
  /** Ticks that were run since the start, and those that came due while the one before was still under way. */
  ticks(): { readonly run: number; readonly missed: number }
  onDecision(listener: (decision: Decision) => void): () => void
  start(): void
  /** Resolves when no tick is under way. */
  stop(): Promise<void>
}
