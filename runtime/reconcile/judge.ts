/** Begins rollouts, gives those up that fail, and says which version has shown that it works. */
import type { AppRecord } from '../apps/app.ts'
import type { Clock } from '../clock.ts'
import type { Events } from '../events/events.ts'
import { calm } from './backoff.ts'
import type { History } from './history.ts'
import type { Loop } from './loop.ts'
import type { RolloutEntry } from './reconcile.ts'
import { advanced, givenUpAtMs, type RolloutSight, readyAtMs, waitsFor } from './rollout.ts'
import { isLeaving } from './seat.ts'
import { isSettled } from './status.ts'
import {
  afterRefusal,
  afterSettled,
  hasFailedTooOften,
  isRefused,
  type Memory,
  wantedVersion,
  wayBack,
} from './target.ts'

export interface Judge {
  /** Before a plan is made. Returns when time alone would give the rollout up. */
  failing(loop: Loop, isEnding: boolean): number | undefined
  /** After its steps were begun. Returns when time alone would make it done. */
  done(loop: Loop, isEnding: boolean): number | undefined
}

export interface JudgeParts {
  readonly clock: Clock
  readonly events: Pick<Events, 'emit'>
  readonly history: Pick<History, 'concluded'>
  sight(loop: Loop): RolloutSight
  remember(loop: Loop, memory: Memory): void
}

export function createJudge(parts: JudgeParts): Judge {
  const { clock, events, remember } = parts

  function forget(loop: Loop): void {
    delete loop.advance
    if (loop.memory.rollout === undefined) return
    const { rollout: _ended, ...kept } = loop.memory
    remember(loop, kept)
  }

  function conclude(loop: Loop, memory: Memory, outcome: RolloutEntry['outcome'], because?: string): Memory {
    const { entry } = memory
    if (!entry || entry.version !== loop.record?.version || entry.outcome === outcome) return memory
    parts.history.concluded(loop.name, entry.number, outcome, because)
    return { ...memory, entry: { ...entry, outcome } }
  }

  /** Why it is to be given up. Not before the output of what failed has been read: it belongs to the reason. */
  function failure(loop: Loop, record: AppRecord, sight: RolloutSight): string | undefined {
    if (loop.explanations > 0 || !wayBack(record, loop.memory)) return undefined
    if (hasFailedTooOften(loop.backoff.failures, isAnyServing(loop)))
      return loop.failure ?? 'Its replicas failed again and again.'
    const stuckMs = givenUpAtMs(loop, record, sight)
    if (stuckMs === undefined || sight.nowMs < stuckMs) return undefined
    const awaited = waitsFor(loop, sight) ?? 'its replicas'
    const text = `There was no progress for ${record.app.rollout.progressDeadlineSeconds} s: it waited for ${awaited}.`
    return loop.failure === undefined ? text : `${text} ${loop.failure}`
  }

  function giveUp(loop: Loop, record: AppRecord, because: string): void {
    const refused = afterRefusal(record, loop.memory, because, clock.now())
    remember(loop, conclude(loop, refused, 'rolledBack', because))
    loop.backoff = calm
    delete loop.failure
    delete loop.advance
    const data = { version: record.version, to: refused.good?.version, reason: because }
    events.emit({ type: 'rollout.rolledBack', app: loop.name, data })
  }

  /** Writes down what is under way, so that the next Orchestry goes on with it. */
  function follow(loop: Loop, version: string): void {
    const { rollout } = loop.memory
    const old = [...loop.replicas.values()].find((one) => one.version !== version && !isLeaving(one.rotation))
    if (rollout?.version === version) {
      const { failures } = loop.backoff
      if (rollout.failures !== failures) remember(loop, { ...loop.memory, rollout: { ...rollout, failures } })
    } else if (old) {
      const begun = { version, from: old.version, startedAtMs: clock.now(), failures: loop.backoff.failures }
      remember(loop, { ...loop.memory, rollout: begun })
      events.emit({ type: 'rollout.started', app: loop.name, data: { version, from: old.version } })
    } else forget(loop)
  }

  return {
    failing(loop, isEnding) {
      const { record } = loop
      if (!record || isEnding) {
        // What Orchestry ends when it is ended itself goes on with the next one.
        if (!record?.isRunning || loop.isDeleted) forget(loop)
        return undefined
      }
      const sight = parts.sight(loop)
      const isHeldUp = sight.driverProblem !== undefined || loop.refusals > 0
      const now = advanced(loop, wantedVersion(record, loop.memory).version, sight.nowMs)
      loop.advance = isHeldUp ? { ...now, atMs: sight.nowMs } : now
      const because = failure(loop, record, sight)
      if (because !== undefined) giveUp(loop, record, because)
      follow(loop, wantedVersion(record, loop.memory).version)
      return givenUpAtMs(loop, record, sight)
    },
    done(loop, isEnding) {
      const { record } = loop
      if (!record || isEnding || !isSettled(loop)) return undefined
      const readyMs = [...loop.replicas.values()].map((one) => readyAtMs(loop, one) ?? Number.POSITIVE_INFINITY)
      const allMs = Math.max(...readyMs, Number.NEGATIVE_INFINITY)
      // The very first version is better to go back to than none, however short it has served.
      const isFirst = loop.memory.good === undefined && loop.memory.rollout === undefined
      if (allMs > clock.monotonic() && !isFirst) return Number.isFinite(allMs) ? allMs : undefined
      const { rollout, ...rest } = loop.memory
      if (rollout) {
        const { version, refused } = rollout
        const data =
          refused === undefined
            ? { version, outcome: 'done' }
            : { version: refused, outcome: 'rolledBack', to: version }
        events.emit({ type: 'rollout.finished', app: loop.name, data })
      }
      const isProven = record.desired > 0 && !isRefused(record, rest)
      const good = isProven ? conclude(loop, afterSettled(record, rest) ?? rest, 'done') : rest
      if (rollout || good !== rest) remember(loop, good)
      return undefined
    },
  }
}

/** Also one that was found running and has not been asked yet. */
const isAnyServing = (loop: Loop): boolean =>
  [...loop.replicas.values()].some(
    ({ rotation, version, instance }) =>
      instance?.isRunning === true && (rotation === 'serving' || version !== loop.record?.version),
  )
