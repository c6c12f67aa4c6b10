/** The port of the loop that closes the gap between desired and actual, app by app, one pass at a time for each. */
import type { App, AppRecord } from '../apps/app.ts'
import type { Instance } from '../drivers/driver.ts'
import type { HealthState } from '../health/health.ts'

/** Where a replica stands on its way: only `serving` ones take new requests. */
export type Rotation = 'starting' | 'serving' | 'unhealthy' | 'draining' | 'stopping'

export interface InstanceView extends Instance {
  readonly rotation: Rotation
  readonly health?: HealthState
  readonly isCurrentVersion: boolean
}

export interface AppStatus {
  readonly app: string
  readonly phase: 'running' | 'progressing' | 'degraded' | 'stopped' | 'stopping'
  readonly desired: number
  readonly running: number
  readonly serving: number
  readonly generation: number
  /** What keeps the app from its desired state, for people. Empty when nothing does. */
  readonly problems: readonly string[]
  /** What starts wait for, as their drivers say it: how far an image has been fetched. Absent when they wait for nothing. */
  readonly progress?: readonly string[]
  /** How a rollout fares, in one line; absent when none is under way and none was rolled back. */
  readonly rollout?: string
}

/** How the replacing of an app's replicas fares. */
export interface RolloutView {
  readonly app: string
  /** `done`: the applied version is the one that runs, and was once as wanted; what happens since is no rollout. */
  readonly state: 'progressing' | 'rollingBack' | 'rolledBack' | 'done' | 'stopped'
  /** The version that was applied, and the one that replicas are to be of: another one after a rollback. */
  readonly version: string
  readonly target: string
  readonly wanted: number
  /** Replicas of the target that are there, those of them that count as successors, and those of other versions. */
  readonly updated: number
  readonly ready: number
  readonly old: number
  /** The app is as it should be, with no rollout under way. */
  readonly isSettled: boolean
  readonly startedAtMs?: number
  /** What the next step waits for; absent when nothing is awaited. */
  readonly waitsFor?: string
  readonly progress: readonly string[]
  /** Why the applied version was rolled back; while it is rolled out, what failed last. */
  readonly because?: string
  /** All of it in one line. */
  readonly line: string
}

/** One spec that was applied; of several of the same version the newest. */
export interface RolloutEntry {
  /** Counts from 1 for each app. */
  readonly number: number
  readonly version: string
  /** The text as submitted. */
  readonly source: string
  readonly appliedAtMs: number
  readonly outcome: 'underWay' | 'done' | 'rolledBack' | 'superseded'
  readonly endedAtMs?: number
  /** Why it was rolled back. */
  readonly because?: string
}

/** What an operator does with rollouts. */
export interface Rollouts {
  /**
   * Applies an earlier spec as a new change; the scaling section stays as it is. Without a number: the newest that was done
   * and is of another version. Throws ORC_ROLLOUT_UNKNOWN, ORC_ROLLOUT_NOTHING_EARLIER.
   */
  undo(app: string, to?: number): Promise<{ record: AppRecord; entry: RolloutEntry }>
  /** Replaces every replica by one of the same spec. */
  restart(app: string): Promise<AppRecord>
}

export interface Reconciler {
  markDirty(app: string): void
  status(app: string): AppStatus
  instances(app: string): InstanceView[]
  rollout(app: string): RolloutView
  /** Newest first. */
  history(app: string): Promise<RolloutEntry[]>
  /** Why drivers that apps need cannot be worked with; empty when all can. */
  driverProblems(): string[]
  /** The spec that replicas of this version were started from, as far as it is remembered; an old version keeps its own checks. */
  specOf(app: string, version: string): App | undefined
  /** Called with the app whose instances have come or gone. */
  onInstancesChanged(listener: (app: string) => void): () => void
  /**
   * Somebody saw requests to the replica fail. One without a health check is asked at once whether it still accepts connections;
   * when it does not, it is taken out of rotation and replaced.
   */
  suspect(app: string, instance: string): void
  /** Resolves when the app is as it should be, with no rollout under way; false when that took longer than `timeoutMs`. */
  settled(app: string, timeoutMs: number): Promise<boolean>
  start(): Promise<void>
  /** `keep` leaves replicas running for adoption; otherwise all are drained and stopped, and what was desired stays stored. */
  stop(options: { keep: boolean }): Promise<void>
}
