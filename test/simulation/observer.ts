/** What checkers are told of a run, as it happens. */
import type { Upstream } from '@orchestry/sdk'
import type { AppChange } from '../../runtime/apps/app.ts'
import type { StartRequest } from '../../runtime/drivers/driver.ts'
import type { StoredEvent } from '../../runtime/events/events.ts'
import type { Decided, DecideInput } from '../../runtime/scaling/decide.ts'
import type { Decision } from '../../runtime/scaling/decision.ts'

export interface Observer {
  /** A controller is about to be killed; what it knows can still be seen. */
  dying?(): void
  /** Another starts: nothing was asked by it yet. */
  born?(): void
  /** It has started, on what others may have left. */
  began?(): void
  recordChanged?(change: AppChange): void
  asked?(app: string, word: Word): void
  /** The operator was told that it was done. */
  acknowledged?(app: string, word: Word): void
  /** The operator was told that it was not done. */
  refused?(app: string): void
  scalerAsked?(scaler: string, apps: readonly string[]): void
  scalerAnswered?(scaler: string, apps: readonly string[]): void
  decided?(input: DecideInput, decided: Decided): void
  decisionStored?(decision: Decision): void
  startAsked?(request: StartRequest): void
  stopAsked?(id: string): void
  /** The reconciler hands out an upstream. */
  published?(app: string, endpoints: readonly string[], draining: readonly string[]): void
  /** The load balancer routes by it from now on. */
  taken?(upstream: Upstream): void
  eventStored?(event: StoredEvent): void
  /** Some time has passed since the last action. */
  looked?(): void
  /** Everything works again, and the time for everything to become as wanted has passed. */
  ended?(): void
}

/** What the operator said of an app. */
export type Word =
  | { readonly say: 'scale'; readonly replicas: number }
  | { readonly say: 'run'; readonly isRunning: boolean }
  | { readonly say: 'apply'; readonly version: string }
  | { readonly say: 'remove' }

export type Tell = <K extends keyof Observer>(what: K, ...args: Parameters<NonNullable<Observer[K]>>) => void
