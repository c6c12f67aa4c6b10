/** Which version replicas should be of: the one that was applied, or the last good one when that has failed. Pure. */
import { isDeepStrictEqual } from 'node:util'
import type { App, AppRecord } from '../apps/app.ts'
import type { RolloutEntry } from './reconcile.ts'

export interface Version {
  readonly version: string
  readonly app: App
}

/** What is remembered of an app over restarts of Orchestry. */
export interface Memory {
  /** The load balancer has been told of it: it must also be told when the app is gone. */
  readonly isRouted?: boolean
  /** Ids of the replicas that the load balancer may send requests to: the next controller goes on with these. */
  readonly serving?: readonly string[]
  /** What is left to know of an app that was deleted, until all of it is gone. */
  readonly last?: Pick<App, 'ingress' | 'rollout' | 'driver'>
  /** The newest version that was once fully in rotation. */
  readonly good?: Version
  /** The rollout that is under way. */
  readonly rollout?: {
    readonly version: string
    /** The version that is replaced. */
    readonly from: string
    readonly startedAtMs: number
    /** Rounds that have failed: a restart of Orchestry does not forgive them. */
    readonly failures: number
    /** The version that is given up by it. */
    readonly refused?: string
  }
  /** The newest entry of the history. */
  readonly entry?: { readonly number: number; readonly version: string; readonly outcome: RolloutEntry['outcome'] }
  /** The version that was rolled back, and what had failed. */
  readonly refused?: { readonly version: string; readonly because: string }
}

/** Rounds of failed starts after which a version is rolled back. */
const roundsAllowed = 3

export function wantedVersion(record: AppRecord, memory: Memory): Version {
  if (isRefused(record, memory) && memory.good !== undefined) return memory.good
  return { version: record.version, app: record.app }
}

/** The spec that replicas of a version were started from. */
export function specOfVersion(version: string, record: AppRecord | undefined, memory: Memory): App | undefined {
  if (record !== undefined && record.version === version) return record.app
  return memory.good?.version === version ? memory.good.app : undefined
}

/** What a version that fails would be rolled back to. There is nothing until some other version has been good. */
export function wayBack(record: AppRecord, { good, refused }: Memory): Version | undefined {
  return refused?.version === record.version || good?.version === record.version ? undefined : good
}

/** Another app may get the name: what was good of this one means nothing to it. */
export function afterDeletion(app: Memory['last'], { isRouted, serving }: Memory): Memory {
  if (isRouted === undefined) return {}
  const last = app && { last: { ingress: app.ingress, rollout: app.rollout, driver: app.driver } }
  return { isRouted, ...(serving && { serving }), ...last }
}

/** Where its traffic comes in and how it leaves, also of an app that was deleted before we started. */
export function waysOf(record: AppRecord | undefined, { last, good }: Memory): Memory['last'] {
  return record?.app ?? last ?? good?.app
}

/** While no replica of any version serves, nobody waits for a second try of what has failed: one round is enough. */
export const hasFailedTooOften = (failures: number, isAnyServing: boolean): boolean =>
  failures >= (isAnyServing ? roundsAllowed : 1)

/** From now on the last good version is wanted again. */
export function afterRefusal(record: AppRecord, memory: Memory, because: string, nowMs: number): Memory {
  const { good } = memory
  if (good === undefined) return memory
  const { version } = record
  const rollout = { version: good.version, from: version, startedAtMs: nowMs, failures: 0, refused: version }
  return { ...memory, refused: { version, because }, rollout }
}

export function isRefused(record: AppRecord, memory: Memory): boolean {
  return memory.refused?.version === record.version
}

/** The app is as wanted: from now on this is what a failing rollout goes back to. */
export function afterSettled(record: AppRecord, memory: Memory): Memory | undefined {
  const { good } = memory
  if (isRefused(record, memory)) return undefined
  const isKnown = good?.version === record.version && (good.app === record.app || isEqual(good.app, record.app))
  return isKnown ? undefined : { ...withoutRefusal(memory), good: { version: record.version, app: record.app } }
}

/** Both come from the same schema, so their fields are in the same order. */
function isEqual(a: App, b: App): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

/** An operator's new spec, also one that is only checked or rolled out otherwise, or a start by hand, is a new chance. */
export function afterChange(record: AppRecord, previous: AppRecord | undefined, memory: Memory): Memory | undefined {
  if (memory.refused === undefined) return undefined
  const isStarted = record.isRunning && previous?.isRunning === false
  const isNewChance = !isRefused(record, memory) || isStarted || isTriedOtherwise(record, previous)
  return isNewChance ? withoutRefusal(memory) : undefined
}

/** The version is the same, but whether its replicas become healthy may come out otherwise. */
export function isTriedOtherwise(record: AppRecord, previous: AppRecord | undefined): boolean {
  if (previous === undefined || previous.app === record.app) return false
  const { healthCheck, rollout } = previous.app
  return !isDeepStrictEqual([healthCheck, rollout], [record.app.healthCheck, record.app.rollout])
}

function withoutRefusal(memory: Memory): Memory {
  const { refused: _forgiven, ...kept } = memory
  return kept
}
