/** Which version replicas should be of: the one that was applied, or the last good one when that has failed. Pure. */
import type { App, AppRecord } from '../apps/app.ts'

export interface Version {
  readonly version: string
  readonly app: App
}

/** What is remembered of an app over restarts of Orchestry. */
export interface Memory {
  /** The load balancer has been told of it: it must also be told when the app is gone. */
  readonly isRouted?: boolean
  /** The newest version that was once fully in rotation. */
  readonly good?: Version
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

/** Undefined when nothing changes. There is nothing to roll back to until some version has been good. */
export function afterFailures(
  record: AppRecord,
  memory: Memory,
  failures: number,
  because: string,
): (Memory & { readonly good: Version }) | undefined {
  const { good } = memory
  if (failures < roundsAllowed || good === undefined || good.version === record.version) return undefined
  return isRefused(record, memory) ? undefined : { ...memory, good, refused: { version: record.version, because } }
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

/** An operator's new spec, or a start by hand, is a new chance. */
export function afterChange(record: AppRecord, previous: AppRecord | undefined, memory: Memory): Memory | undefined {
  if (memory.refused === undefined) return undefined
  const isNewChance = !isRefused(record, memory) || (record.isRunning && previous?.isRunning === false)
  return isNewChance ? withoutRefusal(memory) : undefined
}

function withoutRefusal(memory: Memory): Memory {
  const { refused: _forgiven, ...kept } = memory
  return kept
}
