/** What the reconciler holds of one app in memory, and the plain facts of it that plans are made from. */
import { isDeepStrictEqual } from 'node:util'
import type { App, AppRecord } from '../apps/app.ts'
import type { Instance } from '../drivers/driver.ts'
import type { Health } from '../health/health.ts'
import { limits, startupBudgetMs } from '../limits.ts'
import { type Backoff, calm } from './backoff.ts'
import type { Facts, Goal, ReplicaFacts, Routing } from './facts.ts'
import type { Rotation } from './reconcile.ts'
import { type Memory, specOfVersion, wantedVersion, waysOf } from './target.ts'

/** All times are monotonic: a clock that is set must not end a drain or a startup budget. */
export interface Replica {
  readonly id: string
  readonly driver: string
  readonly version: string
  readonly isAdopted: boolean
  /** Aborted when it is to be neither fetched for nor started any more. */
  readonly unwanted: AbortController
  /** It may be in an upstream that our predecessor handed out. */
  readonly mayBeRouted: boolean
  /** Absent while its start is under way. */
  instance?: Instance
  startedAtMs: number
  rotation: Rotation
  sinceMs: number
  hasServed: boolean
  isOpen: boolean
  /** It no longer accepts connections; asked only of those without a health check that have accepted one. */
  isShut: boolean
  /** Somebody is at its door to see whether it is shut. */
  isKnockedAt: boolean
  /** What its start waits for, as its driver says it. */
  progress?: string
  /** The reading of its last output. */
  explaining?: Promise<void>
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
  published?: { readonly seq: number; readonly routing: Routing; readonly ingress: App['ingress'] | undefined }
  taken?: { readonly seq: number; readonly endpoints: ReadonlySet<string> }
  refusals: number
  republishAtMs?: number
  backoff: Backoff
  /** What failed last, for people; cleared when the app has recovered. */
  failure?: string
  holdUntilMs: number
  memory: Memory
  startsUnderWay: number
  /** Outputs of failed replicas that are being read: nothing is decided on a failure before that. */
  explanations: number
  isCounting: boolean
  countedAtMs: number
  /** How far the wanted version has come, and when it last came farther. */
  advance?: Advance
  isDegraded: boolean
}

export interface Advance {
  readonly version: string
  readonly ready: number
  readonly old: number
  readonly atMs: number
}

/** A rollout goes on where it was when we were killed: the failures it has had are not forgiven by that. */
function resumed({ rollout }: Memory): Backoff {
  return rollout === undefined ? calm : { ...calm, failures: rollout.failures }
}

export function createLoop(name: string, memory: Memory): Loop {
  return {
    name,
    isDeleted: false,
    replicas: new Map(),
    seq: 0,
    refusals: 0,
    backoff: resumed(memory),
    holdUntilMs: 0,
    memory,
    startsUnderWay: 0,
    explanations: 0,
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
  return {
    id: instance.id,
    driver,
    version: instance.version,
    isAdopted: !found.isOrphan,
    unwanted: new AbortController(),
    mayBeRouted: !found.isOrphan || loop.memory.isRouted === true,
    instance,
    startedAtMs: found.nowMs - found.ageMs,
    rotation: 'starting',
    sinceMs: found.nowMs,
    hasServed: loop.memory.serving?.includes(instance.id) ?? true,
    isOpen: false,
    isShut: false,
    isKnockedAt: false,
    lastRoutedSeq: 0,
  }
}

/** For replicas of an app of which nothing is known any more. */
const nothingSurges = { maxSurge: 1, maxUnavailable: 0, drainSeconds: 10, stopGraceSeconds: 10 }

/** @param shutdown why all replicas of all apps end, when they do. */
export function goalOf(loop: Loop, shutdown?: string): Goal {
  const { record } = loop
  // An app that was deleted just before we were killed is still let finish what it has.
  const rollout = waysOf(record, loop.memory)?.rollout ?? nothingSurges
  const gone = loop.isDeleted ? 'the app was deleted' : 'no app of this name exists'
  const stopped = record === undefined || loop.isDeleted ? gone : record.isRunning ? undefined : 'the app was stopped'
  const ending = stopped ?? shutdown
  const wanted = record === undefined ? undefined : wantedVersion(record, loop.memory).app
  const check = wanted?.healthCheck
  return {
    replicas: ending === undefined && record !== undefined ? record.desired : 0,
    rollout,
    mustListen: (wanted?.ports.length ?? 0) > 0,
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

export interface Sight {
  readonly health: Pick<Health, 'stateOf'>
  isReachable(driver: string): boolean
}

export function factsOf(loop: Loop, sight: Sight): Facts {
  return {
    replicas: [...loop.replicas.values()].map((replica) => replicaFacts(loop, replica, sight)),
    ...(loop.published === undefined ? {} : { published: loop.published.routing }),
    isRouteStale: loop.published !== undefined && !isDeepStrictEqual(loop.published.ingress, loop.record?.app.ingress),
    ...(loop.republishAtMs === undefined ? {} : { republishAtMs: loop.republishAtMs }),
    backoff: loop.backoff,
    holdUntilMs: loop.holdUntilMs,
    countedAtMs: loop.countedAtMs,
  }
}

function replicaFacts(loop: Loop, replica: Replica, { health, isReachable }: Sight): ReplicaFacts {
  const { instance, unroutedAtMs, activeConnections } = replica
  const state = health.stateOf(replica.id)
  const message = state?.last?.message
  return {
    id: replica.id,
    isCurrent: isCurrent(loop, replica),
    state: instance === undefined ? 'pending' : instance.isRunning ? 'running' : 'dead',
    startedAtMs: replica.startedAtMs,
    rotation: replica.rotation,
    sinceMs: replica.sinceMs,
    hasHealthCheck: appOf(loop, replica.version)?.healthCheck !== undefined,
    isShut: replica.isShut,
    health: state?.status ?? 'unknown',
    ...(message === undefined ? {} : { healthMessage: message }),
    ...(isReachable(replica.driver) ? {} : { isOutOfReach: true }),
    isAdopted: replica.isAdopted,
    isOpen: replica.isOpen,
    hasServed: replica.hasServed,
    isReceiving: loop.taken?.endpoints.has(replica.id) ?? false,
    wasRouted: replica.mayBeRouted || replica.lastRoutedSeq > 0,
    ...(unroutedAtMs === undefined ? {} : { unroutedAtMs }),
    ...(activeConnections === undefined ? {} : { activeConnections }),
  }
}

/** Something was heard of a start that takes long: the rollout is not stuck. */
export function noteProgress(loop: Loop, nowMs: number): void {
  if (loop.advance) loop.advance = { ...loop.advance, atMs: nowMs }
}

export function moveTo(replica: Replica, rotation: Rotation, nowMs: number): void {
  if (replica.rotation === rotation) return
  replica.rotation = rotation
  replica.sinceMs = nowMs
  if (rotation === 'serving') replica.hasServed = true
}
