/** How far the replacing of an app's replicas has come, what it waits for, and whether it is stuck. Pure. */
import type { AppRecord } from '../apps/app.ts'
import type { HealthState } from '../health/health.ts'
import { type Advance, isCurrent, type Loop, type Replica } from './loop.ts'
import type { RolloutView } from './reconcile.ts'
import { isLeaving } from './seat.ts'
import { isRefused, wantedVersion, wayBack } from './target.ts'

/** What others know of the app. */
export interface RolloutSight {
  readonly nowMs: number
  readonly stateOf: (instanceId: string) => HealthState | undefined
  /** Why the driver of the app cannot be worked with. */
  readonly driverProblem?: string | undefined
}

interface Counts {
  readonly updated: number
  readonly ready: number
  readonly old: number
}

/** When it counts as a successor; undefined while time alone will not bring that about. */
export function readyAtMs(loop: Loop, replica: Replica): number | undefined {
  const isTaking = replica.rotation === 'serving' && loop.taken?.endpoints.has(replica.id) === true
  const minReadyMs = (loop.record?.app.rollout.minReadySeconds ?? 0) * 1000
  return isTaking && isCurrent(loop, replica) ? replica.sinceMs + minReadyMs : undefined
}

export function countsOf(loop: Loop, nowMs: number): Counts {
  let [updated, ready, old] = [0, 0, 0]
  for (const replica of loop.replicas.values()) {
    if (!isCurrent(loop, replica)) old += 1
    else if (!isLeaving(replica.rotation)) {
      updated += 1
      if ((readyAtMs(loop, replica) ?? Number.POSITIVE_INFINITY) <= nowMs) ready += 1
    }
  }
  return { updated, ready, old }
}

/** More of the new ones than ever are ready, or fewer of the old ones are left than ever. */
export function advanced(loop: Loop, version: string, nowMs: number): Advance {
  const { ready, old } = countsOf(loop, nowMs)
  const before = loop.advance?.version === version ? loop.advance : undefined
  if (before && ready <= before.ready && old >= before.old) return before
  return { version, ready: Math.max(ready, before?.ready ?? 0), old: Math.min(old, before?.old ?? old), atMs: nowMs }
}

/** When a rollout that does not advance is given up; undefined where it is not, or where others hold it up. */
export function givenUpAtMs(loop: Loop, record: AppRecord, sight: RolloutSight): number | undefined {
  const { progressDeadlineSeconds } = record.app.rollout
  if (progressDeadlineSeconds === undefined || !loop.advance || !wayBack(record, loop.memory)) return undefined
  const isHeldUp = sight.driverProblem !== undefined || loop.refusals > 0
  const { ready, old } = countsOf(loop, sight.nowMs)
  const isComplete = ready >= record.desired && old === 0
  return isHeldUp || isComplete ? undefined : loop.advance.atMs + progressDeadlineSeconds * 1000
}

const some = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`

/** What the next step of the app waits for; undefined when nothing is awaited. */
export function waitsFor(loop: Loop, sight: RolloutSight): string | undefined {
  if (sight.driverProblem !== undefined) return `its driver: ${sight.driverProblem}`
  if (loop.refusals > 0) return 'the load balancer to take the new replicas'
  const replicas = [...loop.replicas.values()]
  const current = replicas.filter((replica) => isCurrent(loop, replica) && !isLeaving(replica.rotation))
  const pending = current.filter((replica) => replica.instance === undefined)
  const fetching = pending.find((replica) => replica.progress !== undefined)
  if (fetching) return fetching.progress
  if (pending.length > 0) return `${some(pending.length, 'new replica')} to start`
  const starting = current.filter(({ rotation }) => rotation === 'starting' || rotation === 'unhealthy')
  if (starting.length > 0) {
    const said = starting.map(({ id }) => sight.stateOf(id)?.last?.message).find((message) => message !== undefined)
    return `${some(starting.length, 'new replica')} to become healthy${said === undefined ? '' : ` (${said})`}`
  }
  const waitS = Math.ceil((loop.backoff.retryAtMs - sight.nowMs) / 1000)
  if (loop.backoff.failures > 0 && waitS > 0) return `the next attempt in ${waitS} s`
  const proving = current.filter((replica) => (readyAtMs(loop, replica) ?? Number.POSITIVE_INFINITY) > sight.nowMs)
  if (proving.length > 0) return `${some(proving.length, 'new replica')} to have served long enough`
  const leaving = replicas.filter(({ rotation }) => isLeaving(rotation))
  return leaving.length > 0 ? `${some(leaving.length, 'replica')} to end` : undefined
}

/** @param record as it is stored now, which the loop may not have seen yet */
export function rolloutView(loop: Loop, record: AppRecord, sight: RolloutSight): Omit<RolloutView, 'isSettled'> {
  const { memory } = loop
  const target = wantedVersion(record, memory).version
  const state = stateOf(loop, record)
  const isUnderWay = state === 'progressing' || state === 'rollingBack'
  const counts = countsOf(loop, sight.nowMs)
  const wanted = record.isRunning ? record.desired : 0
  const awaited = isUnderWay ? waitsFor(loop, sight) : undefined
  const lastFailure = isUnderWay ? loop.failure : undefined
  const because = isRefused(record, memory) ? memory.refused?.because : lastFailure
  const view = { app: loop.name, state, version: record.version, target, wanted, ...counts }
  return {
    ...view,
    ...(memory.rollout === undefined ? {} : { startedAtMs: memory.rollout.startedAtMs }),
    ...(awaited === undefined ? {} : { waitsFor: awaited }),
    progress: progressOf(loop),
    ...(because === undefined ? {} : { because }),
    line: lineOf(view, awaited),
  }
}

export function progressOf(loop: Loop): string[] {
  const lines = [...loop.replicas.values()].flatMap(({ progress }) => progress ?? [])
  return [...new Set(lines)]
}

function stateOf(loop: Loop, record: AppRecord): RolloutView['state'] {
  const { memory, replicas } = loop
  if (!record.isRunning) return 'stopped'
  const target = wantedVersion(record, memory).version
  const hasOld = replicas.values().some((replica) => replica.version !== target)
  const isProven = memory.good?.version === target || record.desired === 0
  const isOver = memory.rollout === undefined && !hasOld && isProven
  if (memory.good && isRefused(record, memory)) return isOver ? 'rolledBack' : 'rollingBack'
  return isOver ? 'done' : 'progressing'
}

type Stand = Pick<RolloutView, 'state' | 'version' | 'target' | 'wanted' | 'ready' | 'old'>

function lineOf({ state, version, target, wanted, ready, old }: Stand, awaited: string | undefined): string {
  if (state === 'stopped') return 'the app is stopped'
  if (state === 'done') return `version ${version} is rolled out`
  if (state === 'rolledBack') return `version ${version} was rolled back, version ${target} runs`
  const left = old === 0 ? '' : `, ${some(old, 'old replica')} left`
  const next = awaited === undefined ? '' : `; waits for ${awaited}`
  const what = state === 'rollingBack' ? `rolling back from version ${version} to ${target}` : `rolling out ${target}`
  return `${what}: ${ready} of ${wanted} ready${left}${next}`
}
