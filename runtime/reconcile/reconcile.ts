/** The port of the loop that closes the gap between desired and actual, app by app, one pass at a time for each. */
import type { App } from '../apps/app.ts'
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
}

export interface Reconciler {
  markDirty(app: string): void
  status(app: string): AppStatus
  instances(app: string): InstanceView[]
  /** The spec that replicas of this version were started from, as far as it is remembered; an old version keeps its own checks. */
  specOf(app: string, version: string): App | undefined
  /** Called with the app whose instances have come or gone. */
  onInstancesChanged(listener: (app: string) => void): () => void
  /** Resolves when the app is as it should be; false when that took longer than `timeoutMs`. */
  settled(app: string, timeoutMs: number): Promise<boolean>
  start(): Promise<void>
  /** `keep` leaves replicas running for adoption; otherwise all are drained and stopped, and what was desired stays stored. */
  stop(options: { keep: boolean }): Promise<void>
}
