/** The scaling room: decides about every app on its own clock, and lets a person decide in between. */

import type { AppChange, Apps } from '../apps/app.ts'
import type { Clock } from '../clock.ts'
import { messageOf, OrchestryError } from '../errors.ts'
import type { Store } from '../store/store.ts'
import { createTurns } from '../turns.ts'
import { checkSize, scaleByHand } from './by-hand.ts'
import type { Decision, DecisionLog, Scaling } from './decision.ts'
import { createMemory } from './memory.ts'
import { carryOut, createTick, storeDecisions, type TickDeps } from './tick.ts'
import { createTicker } from './ticker.ts'

const defaultVoteTimeoutMs = 1_000
const promptMs = 250

export interface ScalingDeps extends Pick<TickDeps, 'metrics' | 'hooks' | 'reconciler' | 'events' | 'log' | 'decide'> {
  readonly apps: Pick<Apps, 'list' | 'get' | 'require' | 'setDesired' | 'onChange'>
  readonly decisionLog: DecisionLog
  readonly store: Pick<Store, 'list' | 'write'>
  readonly clock: Pick<Clock, 'now' | 'after' | 'every'>
  readonly tickMs: number
  /** How long a tick waits for votes; default 1 s. */
  readonly voteTimeoutMs?: number
}

export function createScaling(deps: ScalingDeps): Scaling {
  const { apps, clock, decisionLog, log, store, tickMs, voteTimeoutMs = defaultVoteTimeoutMs } = deps
  const memory = createMemory({ store })
  const listeners = new Set<(decision: Decision) => void>()
  const turns = createTurns()
  /** Ticks and hands never write across each other. */
  const inTurn = <T>(run: () => Promise<T>) => turns.take('commit', run)
  const tickDeps: TickDeps = {
    ...deps,
    memory,
    voteTimeoutMs,
    promptMs: Math.min(promptMs, tickMs / 4),
    inTurn,
    onDecision,
  }
  const tick = createTick(tickDeps)
  const ticker = createTicker({ clock, log, tickMs, run: tick.run })
  let stopWatching: (() => void) | undefined

  function onDecision(decision: Decision): void {
    for (const listener of listeners) {
      try {
        listener(decision)
      } catch (error) {
        log.error({ error: messageOf(error) }, 'a listener to decisions failed')
      }
    }
  }

  return {
    latest: (app) => memory.of(app).latest,
    list: (query) => decisionLog.list(query),
    async scaleByHand(app, wanted, reason) {
      checkSize(apps.require(app), wanted)
      await memory.load()
      return inTurn(async () => {
        const record = apps.require(app)
        checkSize(record, wanted)
        const now = clock.now()
        const pending = scaleByHand(record, wanted, reason, memory.stateOf(app, record.desired, now), now)
        const [decision] = await storeDecisions(tickDeps, [pending])
        if (decision === undefined)
          throw new OrchestryError('ORC_STORE_FAILED', `The decision about ${app} was not stored.`)
        await carryOut(tickDeps, decision)
        memory.set(app, { state: pending.state, latest: decision })
        onDecision(decision)
        return decision
      })
    },
    markDirty: (app) => ticker.markDirty(app),
    ticks: () => ({ ...ticker.counts }),
    onDecision(listener) {
      listeners.add(listener)
      return () => {
        listeners.delete(listener)
      }
    },
    start() {
      stopWatching ??= apps.onChange((change) => {
        if (change.record === undefined) memory.forget(change.name)
        else if (isNews(change)) ticker.markDirty(change.name)
      })
      ticker.start()
    },
    async stop() {
      stopWatching?.()
      stopWatching = undefined
      await ticker.stop()
      await tick.settled()
      await turns.settled()
    },
  }
}

/** A new size alone is no reason to decide again before the next tick: most often we have set it ourselves. */
function isNews({ record, previous }: AppChange): boolean {
  if (record === undefined || previous === undefined) return true
  const { app, paused, isRunning } = record
  return app !== previous.app || paused !== previous.paused || isRunning !== previous.isRunning
}
