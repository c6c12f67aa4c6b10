/** What a plan is made from and what it says: plain data, so that every case can be written down in a table. */
import type { Rollout } from '../apps/app.ts'
import type { HealthStatus } from '../health/health.ts'
import type { Backoff } from './backoff.ts'
import type { Rotation } from './reconcile.ts'

/** What is wanted of one app now. */
export interface Goal {
  /** 0 when the app is stopped, deleted, or Orchestry is shutting down. */
  readonly replicas: number
  readonly rollout: Rollout
  /** The spec names its ports, so it is no worker: a replica that accepts no connection is not taken for one that serves. */
  readonly mustListen?: boolean
  /** How long a replica may take until it is healthy. */
  readonly startupBudgetMs: number
  /** The driver cannot be reached: nothing is started, and nothing that fails is anybody's fault. */
  readonly isStalled?: boolean
  /** All replicas go, even when the load balancer cannot be told. Says why, for the events. */
  readonly ending?: string
}

export interface ReplicaFacts {
  readonly id: string
  /** Of the version (and driver) that is wanted. */
  readonly isCurrent: boolean
  /** `pending`: its start is under way, it has no address yet. */
  readonly state: 'pending' | 'running' | 'dead'
  readonly startedAtMs: number
  readonly rotation: Rotation
  /** When it came to that rotation. */
  readonly sinceMs: number
  /** Without one it is healthy as long as it runs, once it accepts connections. */
  readonly hasHealthCheck: boolean
  /** It has accepted a connection; asked only of those without a health check. */
  readonly isOpen: boolean
  /** It has been open, and no longer accepts connections. */
  readonly isShut?: boolean
  readonly health: HealthStatus
  /** What the last probe said, for people. */
  readonly healthMessage?: string
  /** Its driver cannot be reached: it can be neither judged nor stopped. */
  readonly isOutOfReach?: boolean
  /** It ran before we did. */
  readonly isAdopted: boolean
  /** It has been in rotation, perhaps before we were. Until then an unhealthy replica is one that still starts. */
  readonly hasServed: boolean
  /** The load balancer has taken an upstream in which it takes new requests. */
  readonly isReceiving: boolean
  /** It was in some upstream that was handed out. */
  readonly wasRouted: boolean
  /** Since when the load balancer is known to send it nothing new. */
  readonly unroutedAtMs?: number
  /** Requests it still works on, counted after it was unrouted. */
  readonly activeConnections?: number
}

/** Ids of the replicas in an upstream. */
export interface Routing {
  readonly endpoints: readonly string[]
  readonly draining: readonly string[]
}

export interface Facts {
  readonly replicas: readonly ReplicaFacts[]
  /** What was handed out last; absent before the first time. */
  readonly published?: Routing
  /** The app has another route, or another load balancer, than when it was handed out. */
  readonly isRouteStale: boolean
  /** The load balancer did not take it: hand it out again from then on. */
  readonly republishAtMs?: number
  readonly backoff: Backoff
  /** Adopted replicas are given until then to be probed before anything is decided. */
  readonly holdUntilMs: number
  /** When the connections of draining replicas were last asked for. */
  readonly countedAtMs: number
}

export type Step =
  /** A dead replica: nothing is left to stop. */
  | { readonly do: 'discard'; readonly id: string }
  | { readonly do: 'rotate'; readonly id: string; readonly to: 'serving' | 'unhealthy' | 'starting' }
  /** No new requests from the next publish on; stopped once it is drained. */
  | { readonly do: 'retire'; readonly id: string; readonly reason: string; readonly isFailure: boolean }
  | { readonly do: 'publish'; readonly endpoints: readonly string[]; readonly draining: readonly string[] }
  /** Asks the load balancer how many requests the draining ones still work on. */
  | { readonly do: 'count' }
  | { readonly do: 'stop'; readonly id: string }
  | { readonly do: 'start'; readonly count: number }

export interface Plan {
  /** In the order in which they are to be begun. */
  readonly steps: readonly Step[]
  /** When time alone would change the plan. */
  readonly wakeAtMs?: number
}
