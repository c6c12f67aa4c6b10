/** One pass for one app: take in what is there, plan, act, and say what has changed by it. Never waits. */
import type { Apps } from '../apps/app.ts'
import type { Clock } from '../clock.ts'
import type { Events } from '../events/events.ts'
import type { Apply } from './apply.ts'
import { calm, provenAtMs } from './backoff.ts'
import type { Judge } from './judge.ts'
import { factsOf, goalOf, isCurrent, type Loop, type Sight } from './loop.ts'
import { plan } from './plan.ts'
import type { AppStatus } from './reconcile.ts'
import { isSettled } from './status.ts'
import { type Memory, wantedVersion } from './target.ts'

export interface PassParts {
  readonly apps: Pick<Apps, 'get'>
  readonly sight: Sight
  readonly apply: Apply
  readonly judge: Judge
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
    const ending = goalOf(loop, parts.shutdown()).ending !== undefined
    const stuckMs = parts.judge.failing(loop, ending)
    const provenMs = recover(loop)
    const wished = goalOf(loop, parts.shutdown())
    const isStalled = wanted !== undefined && !parts.sight.isReachable(wanted.app.driver)
    const goal = isStalled ? { ...wished, isStalled } : wished
    const { steps, wakeAtMs } = plan(goal, factsOf(loop, parts.sight), clock.monotonic())
    parts.apply.run(loop, goal, steps)
    if (loop.published && !loop.memory.isRouted) parts.remember(loop, { ...loop.memory, isRouted: true })
    const readyMs = parts.judge.done(loop, ending)
    report(loop)
    return earliest(stuckMs, provenMs, wakeAtMs, readyMs)
  }
}

function earliest(...times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter((time) => time !== undefined)
  return known.length === 0 ? undefined : Math.min(...known)
}
