/** One pass for one app: take in what is there, plan, act, and say what has changed by it. Never waits. */
import type { Apps } from '../apps/app.ts'
import type { Clock } from '../clock.ts'
import type { Events } from '../events/events.ts'
import type { Health } from '../health/health.ts'
import type { Apply } from './apply.ts'
import { calm, provenAtMs } from './backoff.ts'
import { factsOf, goalOf, isCurrent, type Loop } from './loop.ts'
import { plan } from './plan.ts'
import type { AppStatus } from './reconcile.ts'
import { isLeaving } from './seat.ts'
import { isSettled } from './status.ts'
import { afterFailures, afterSettled, type Memory, wantedVersion } from './target.ts'

export interface PassParts {
  readonly apps: Pick<Apps, 'get'>
  readonly health: Pick<Health, 'stateOf'>
  readonly apply: Apply
  readonly events: Pick<Events, 'emit'>
  readonly clock: Clock
  shutdown(): string | undefined
  /** Nothing may be decided about replicas that have not been found yet. */
  isKnown(driver: string): boolean
  status(loop: Loop): AppStatus
  remember(loop: Loop, memory: Memory): void
}

/** @returns when time alone calls for the next pass, on the monotonic clock. */
export function createPass(parts: PassParts): (loop: Loop) => number | undefined {
  const { clock, events } = parts

  function judgeRollout(loop: Loop): void {
    const { record } = loop
    if (!record || goalOf(loop, parts.shutdown()).ending !== undefined) {
      delete loop.rollout
      return
    }
    const refused = afterFailures(record, loop.memory, loop.backoff.failures, loop.failure ?? '')
    if (refused) {
      parts.remember(loop, refused)
      loop.backoff = calm
      delete loop.failure
      delete loop.rollout
      const data = { version: record.version, outcome: 'rolledBack', to: refused.good.version }
      events.emit({ type: 'rollout.finished', app: loop.name, data })
    }
    const { version } = wantedVersion(record, loop.memory)
    const old = [...loop.replicas.values()].find(
      (replica) => replica.version !== version && !isLeaving(replica.rotation),
    )
    if (old && loop.rollout !== version) {
      loop.rollout = version
      events.emit({ type: 'rollout.started', app: loop.name, data: { version, from: old.version } })
    }
  }

  /** A replica that has proven itself ends the waits; until one has, the plan is made again when one will have. */
  function recover(loop: Loop): number | undefined {
    if (loop.backoff.failures === 0) {
      if (isSettled(loop)) delete loop.failure
      return undefined
    }
    let firstMs: number | undefined
    for (const replica of loop.replicas.values()) {
      if (replica.rotation !== 'serving' || !isCurrent(loop, replica)) continue
      const atMs = provenAtMs(loop.backoff, replica)
      if (atMs !== undefined && (firstMs === undefined || atMs < firstMs)) firstMs = atMs
    }
    if (firstMs === undefined || firstMs > clock.monotonic()) return firstMs
    loop.backoff = calm
    delete loop.failure
    return undefined
  }

  function settle(loop: Loop): void {
    const { record } = loop
    if (!record || goalOf(loop, parts.shutdown()).ending !== undefined || !isSettled(loop)) return
    if (loop.rollout !== undefined) {
      events.emit({ type: 'rollout.finished', app: loop.name, data: { version: loop.rollout, outcome: 'done' } })
      delete loop.rollout
    }
    const memory = record.desired > 0 ? afterSettled(record, loop.memory) : undefined
    if (memory) parts.remember(loop, memory)
  }

  function report(loop: Loop): void {
    const { phase, problems } = parts.status(loop)
    const isDegraded = phase === 'degraded'
    if (isDegraded === loop.isDegraded) return
    loop.isDegraded = isDegraded
    if (isDegraded) events.emit({ type: 'app.degraded', app: loop.name, data: { problems: [...problems] } })
    else if (phase === 'running' || phase === 'progressing') {
      events.emit({ type: 'app.recovered', app: loop.name, data: {} })
    }
  }

  return (loop) => {
    const record = parts.apps.get(loop.name)
    if (record) loop.record = record
    loop.isDeleted = loop.record !== undefined && record === undefined
    const wanted = loop.record && wantedVersion(loop.record, loop.memory)
    if (wanted && !parts.isKnown(wanted.app.driver)) {
      report(loop)
      return undefined
    }
    judgeRollout(loop)
    const provenMs = recover(loop)
    const goal = goalOf(loop, parts.shutdown())
    const { steps, wakeAtMs } = plan(goal, factsOf(loop, parts.health), clock.monotonic())
    parts.apply.run(loop, goal, steps)
    if (loop.published && !loop.memory.isRouted) parts.remember(loop, { ...loop.memory, isRouted: true })
    settle(loop)
    report(loop)
    if (provenMs === undefined || wakeAtMs === undefined) return wakeAtMs ?? provenMs
    return Math.min(wakeAtMs, provenMs)
  }
}
