/** What the carrying out of steps needs of the rest of the house. */
import type { Balancing } from '../balancing/balancing.ts'
import type { Clock } from '../clock.ts'
import type { ContainerPolicy } from '../container-policy.ts'
import type { Driver } from '../drivers/driver.ts'
import type { Events } from '../events/events.ts'
import type { Log } from '../log.ts'
import type { Loop } from './loop.ts'
import type { SecretOf } from './start-request.ts'

export interface World {
  readonly drivers: ReadonlyMap<string, Driver>
  readonly balancing: Pick<Balancing, 'publish' | 'status'>
  readonly events: Pick<Events, 'emit'>
  readonly clock: Clock
  readonly log: Log
  readonly chance: () => number
  readonly secretOf: SecretOf
  readonly containerPolicy: ContainerPolicy
  /** What tells replicas of an app apart; never the same twice. */
  readonly newSuffix: () => string
  /** Whether something listens there. */
  accepts(host: string, port: number): Promise<boolean>
  /** Aborted when nothing is to be waited for any more. */
  readonly stopping: AbortSignal
  /** Plan this app again. */
  markDirty(app: string): void
  /** The app's instances have come or gone. */
  instancesChanged(app: string): void
  /** A replica is gone for good. */
  forgotten(replica: { readonly id: string; readonly driver: string }): void
  /** These may take requests from now on. Resolves when the next controller would know it, or cannot be made to. */
  announced(loop: Loop, ids: readonly string[]): Promise<void>
  /** A replica runs. */
  started(id: string, loop: Loop): void
  /** What was asked of the driver failed through no fault of the app: nothing more is asked of it until it lists again. */
  unreachable(driver: string, thrown: unknown): void
  isReachable(driver: string): boolean
}

/** Lets work go on beside the pass; when it is over the app is planned again. */
export type Beside = (loop: Loop, what: string, work: Promise<void>) => void
