/** What the reconciler holds of one app in memory, and the plain facts of it that plans are made from. */
import type { App, AppRecord } from '../apps/app.ts'
import type { Instance } from '../drivers/driver.ts'
import type { Health } from '../health/health.ts'
import { limits, startupBudgetMs } from '../limits.ts'
import { type Backoff, calm } from './backoff.ts'
import type { Facts, Goal, ReplicaFacts, Routing } from './facts.ts'
import type { Rotation } from './reconcile.ts'
import { type Memory, specOfVersion, wantedVersion } from './target.ts'

/** All times are monotonic: a clock that is set must not end a drain or a startup budget. */
export interface Replica {
  readonly id: string
  readonly driver: string
  readonly version: string
  readonly isAdopted: boolean
  /** Absent while its start is under way. */
  instance?: Instance
  startedAtMs: number
  rotation: Rotation
  sinceMs: number
  hasServed: boolean
  isOpen: boolean
  /** Why it leaves. */
  reason?: string
  /** Number of the newest upstream that had it as an endpoint; 0 for none of ours. */
  lastRoutedSeq: number
  unroutedAtMs?: number
  activeConnections?: number
}

export interface Loop {
  readonly name: string
  /** The newest record; kept when the app is deleted, for its route and its drain time. */
  record?: AppRecord
  isDeleted: boolean
  readonly replicas: Map<string, Replica>
  seq: number
  published?: { readonly seq: number; readonly routing: Routing }
  taken?: { readonly seq: number; readonly endpoints: ReadonlySet<string> }
  refusals: number
  republishAtMs?: number
  backoff: Backoff
  /** What failed last, for people; cleared when the app has recovered. */
  failure?: string
  holdUntilMs: number
  memory: Memory
  startsUnderWay: number
  isCounting: boolean
  countedAtMs: number
  /** The version being rolled out, while replicas of another one are there. */
  rollout?: string
  isDegraded: boolean
}

export function createLoop(name: string, memory: Memory): Loop {
  return {
    name,
    isDeleted: false,
    replicas: new Map(),
    seq: 0,
    refusals: 0,
    backoff: calm,
    holdUntilMs: 0,
    memory,
    startsUnderWay: 0,
    isCounting: false,
    countedAtMs: Number.NEGATIVE_INFINITY,
    isDegraded: false,
  }
}

/** A replica that was found, not started. One of an app that does not exist serves nobody. */
export function adoptedReplica(
  loop: Loop,
  instance: Instance,
  driver: string,
  found: { readonly ageMs: number; readonly nowMs: number; readonly isOrphan: boolean },
): Replica {
  const check = appOf(loop, instance.version)?.healthCheck
  return {
    id: instance.id,
    driver,
    version: instance.version,
    isAdopted: !found.isOrphan,
    instance,
    startedAtMs: found.nowMs - found.ageMs,
    rotation: 'starting',
    sinceMs: found.nowMs,
    hasServed: check === undefined || found.ageMs >= startupBudgetMs(check),
    isOpen: false,
    lastRoutedSeq: 0,
  }
}

const nothingSurges = { maxSurge: 1, maxUnavailable: 0, drainSeconds: 0, stopGraceSeconds: 10 }

/** @param shutdown why all replicas of all apps end, when they do. */
export function goalOf(loop: Loop, shutdown?: string): Goal {
  const { record } = loop
  const rollout = record?.app.rollout ?? nothingSurges
  const gone = loop.isDeleted ? 'the app was deleted' : 'no app of this name exists'
  const stopped = record === undefined || loop.isDeleted ? gone : record.isRunning ? undefined : 'the app was stopped'
  const ending = stopped ?? shutdown
  const check = record === undefined ? undefined : wantedVersion(record, loop.memory).app.healthCheck
  return {
    replicas: ending === undefined && record !== undefined ? record.desired : 0,
    rollout,
    startupBudgetMs: check === undefined ? limits.startupMs : startupBudgetMs(check),
    ...(ending === undefined ? {} : { ending }),
  }
}

export function isCurrent(loop: Loop, replica: Replica): boolean {
  if (loop.record === undefined) return false
  const wanted = wantedVersion(loop.record, loop.memory)
  return replica.version === wanted.version && replica.driver === wanted.app.driver
}

/** The spec a replica was started from, or the present one where that is not known. */
export function appOf(loop: Loop, version: string): App | undefined {
  return specOfVersion(version, loop.record, loop.memory) ?? loop.record?.app
}

export function factsOf(loop: Loop, health: Pick<Health, 'stateOf'>): Facts {
  return {
    replicas: [...loop.replicas.values()].map((replica) => replicaFacts(loop, replica, health)),
    ...(loop.published === undefined ? {} : { published: loop.published.routing }),
    ...(loop.republishAtMs === undefined ? {} : { republishAtMs: loop.republishAtMs }),
    backoff: loop.backoff,
    holdUntilMs: loop.holdUntilMs,
    countedAtMs: loop.countedAtMs,
  }
}

function replicaFacts(loop: Loop, replica: Replica, health: Pick<Health, 'stateOf'>): ReplicaFacts {
  const { instance, unroutedAtMs, activeConnections } = replica
  return {
    id: replica.id,
    isCurrent: isCurrent(loop, replica),
    state: instance === undefined ? 'pending' : instance.isRunning ? 'running' : 'dead',
    startedAtMs: replica.startedAtMs,
    rotation: replica.rotation,
    sinceMs: replica.sinceMs,
    hasHealthCheck: appOf(loop, replica.version)?.healthCheck !== undefined,
    health: health.stateOf(replica.id)?.status ?? 'unknown',
    isAdopted: replica.isAdopted,
    isOpen: replica.isOpen,
    hasServed: replica.hasServed,
    isReceiving: loop.taken?.endpoints.has(replica.id) ?? false,
    // What was found running may be in the upstream that our predecessor handed out.
    wasRouted: replica.isAdopted || replica.lastRoutedSeq > 0,
    ...(unroutedAtMs === undefined ? {} : { unroutedAtMs }),
    ...(activeConnections === undefined ? {} : { activeConnections }),
  }
}

export function moveTo(replica: Replica, rotation: Rotation, nowMs: number): void {
  if (replica.rotation === rotation) return
  replica.rotation = rotation
  replica.sinceMs = nowMs
  if (rotation === 'serving') replica.hasServed = true
}
