/** One tick: snapshot → votes → decisions → stored → done. Only its end changes anything, and only what was stored before. */
import type { AppRecord, Apps } from '../apps/app.ts'
import type { Clock } from '../clock.ts'
import { messageOf, OrchestryError } from '../errors.ts'
import type { Events } from '../events/events.ts'
import type { Hooks } from '../hooks/hooks.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics/metrics.ts'
import type { Reconciler } from '../reconcile/reconcile.ts'
import { appView } from './app-view.ts'
import { type AskedGroup, askScalers, type Question } from './ask.ts'
import { decide as decidePurely, type NewDecision } from './decide.ts'
import type { Decision, DecisionLog, VoteRecord } from './decision.ts'
import type { Memory } from './memory.ts'
import type { ScalingState } from './state.ts'

export interface TickDeps {
  readonly apps: Pick<Apps, 'list' | 'get' | 'setDesired'>
  readonly metrics: Pick<Metrics, 'snapshot'>
  readonly hooks: Pick<Hooks, 'providers' | 'collect'>
  readonly reconciler: Pick<Reconciler, 'markDirty' | 'status'>
  readonly decisionLog: Pick<DecisionLog, 'append'>
  readonly events: Pick<Events, 'emit'>
  readonly memory: Memory
  /** The pure pipeline; a simulation looks over its shoulder. */
  readonly decide?: typeof decidePurely
  readonly clock: Pick<Clock, 'now' | 'after'>
  readonly log: Pick<Log, 'error'>
  /** The longest that votes are waited for: whoever is late gives an error vote, and delays nobody further. */
  readonly voteTimeoutMs: number
  /** So long a tick waits for all; apps whose scalers take longer are decided about apart, when those have answered. */
  readonly promptMs: number
  /** Commits one after the other, so that a tick and a hand never write across each other. */
  readonly inTurn: <T>(run: () => Promise<T>) => Promise<T>
  readonly onDecision: (decision: Decision) => void
}

/** A decision that has not been stored yet, with what belongs to it. */
export interface Pending {
  readonly decision: NewDecision
  readonly state: ScalingState
}

export interface Tick {
  /** Resolves when every app was decided about whose scalers were prompt. */
  run(due: 'all' | ReadonlySet<string>): Promise<void>
  /** Resolves when the others were, too. */
  settled(): Promise<void>
}

export function createTick(deps: TickDeps): Tick {
  const { apps, metrics, hooks, reconciler, memory, clock, inTurn, decide = decidePurely } = deps
  /** Apps whose scalers have not answered since an earlier tick: they are not asked twice at once. */
  const waiting = new Set<string>()
  const late = new Set<Promise<void>>()

  async function run(due: 'all' | ReadonlySet<string>): Promise<void> {
    await memory.load()
    const records = dueRecords(apps, due).filter(({ app }) => !waiting.has(app.name))
    const now = clock.now()
    const questions = records.map((record): Question => {
      const { app } = record
      const { scalers, windowSeconds, mode } = app.scaling
      return {
        app: appView(record, reconciler.status(app.name).serving),
        metrics: metrics.snapshot(app.name, windowSeconds, now),
        ...(mode === 'manual' ? { scalers: [] } : scalers !== undefined && { scalers }),
      }
    })
    const groups = askScalers(hooks, questions, deps.voteTimeoutMs)
    const prompt = await promptOf(groups)
    for (const group of groups) if (!prompt.has(group)) decideLater(group)
    await inTurn(() => commit([...prompt].flatMap(decideAll)))
  }

  /** Those that were answered when all were, or when the time for that was over. */
  async function promptOf(groups: readonly AskedGroup[]): Promise<Set<AskedGroup>> {
    const prompt = new Set<AskedGroup>()
    const all = Promise.all(groups.map((group) => group.answered.then(() => prompt.add(group))))
    const over = Promise.withResolvers<void>()
    const cancel = clock.after(deps.promptMs, over.resolve)
    await Promise.race([all, over.promise])
    cancel()
    return new Set(prompt)
  }

  function decideLater(group: AskedGroup): void {
    for (const { app } of group.questions) waiting.add(app.name)
    const deciding = group.answered
      .then(() => inTurn(() => commit(decideAll(group))))
      .catch((error: unknown) => deps.log.error({ error: messageOf(error) }, 'late votes could not be decided about'))
      .finally(() => {
        for (const { app } of group.questions) waiting.delete(app.name)
        late.delete(deciding)
      })
    late.add(deciding)
  }

  /** With what is true now, not what was when the votes were asked for: a person may have acted in between. */
  function decideAll({ questions, votes }: AskedGroup): Pending[] {
    const now = clock.now()
    const pending: Pending[] = []
    for (const [index, { app: view, metrics: windows }] of questions.entries()) {
      const record = apps.get(view.name)
      if (!record?.isRunning) continue
      const status = reconciler.status(view.name)
      const state = memory.stateOf(view.name, record.desired, now)
      pending.push(
        decide({
          now,
          app: view.name,
          scaling: record.app.scaling,
          paused: record.paused,
          current: record.desired,
          healthyReplicas: status.serving,
          isDegraded: status.phase === 'degraded',
          answers: votes[index] ?? [],
          metrics: windows,
          ...(state && { state }),
        }),
      )
    }
    return pending
  }

  async function commit(all: readonly Pending[]): Promise<void> {
    const isStored = all.map(({ decision }) => !isLike(decision, memory.of(decision.app).latest))
    const fresh = all.filter((_, index) => isStored[index])
    const stored = await storeDecisions(deps, fresh)
    for (const [index, { decision, state }] of all.entries()) {
      const latest = memory.of(decision.app).latest
      if (!isStored[index] && latest) memory.set(decision.app, { state, latest: { ...decision, id: latest.id } })
    }
    await act(deps, fresh, stored)
  }

  return {
    run,
    async settled() {
      await Promise.all(late)
    },
  }
}

/** On disk before anything moves: the decisions in one write, the states that outlive a restart in another. */
export async function storeDecisions(
  { decisionLog, memory }: Pick<TickDeps, 'decisionLog' | 'memory'>,
  pending: readonly Pending[],
): Promise<Decision[]> {
  const states = new Map(pending.map(({ decision, state }) => [decision.app, state]))
  const [stored] = await Promise.all([
    pending.length > 0 ? decisionLog.append(pending.map(({ decision }) => decision)) : [],
    memory.store(states),
  ])
  return stored
}

async function act(deps: TickDeps, pending: readonly Pending[], stored: readonly Decision[]): Promise<void> {
  await Promise.all(
    stored.map(async (decision, index) => {
      const { app, from, to } = decision
      const before = deps.memory.of(app).state
      let state = pending[index]?.state
      try {
        await carryOut(deps, decision)
      } catch (error) {
        // What was not done has started no cooldown.
        state = before
        deps.log.error({ app, from, to, error: messageOf(error) }, 'a decision could not be carried out')
      }
      if (deps.apps.get(app)) deps.memory.set(app, { ...(state && { state }), latest: decision })
      deps.onDecision(decision)
    }),
  )
}

/** The single exit: nowhere else does scaling change what is wanted of an app. */
export async function carryOut(
  deps: Pick<TickDeps, 'apps' | 'reconciler' | 'events'>,
  { app, from, to, reason, by, action, id }: Decision,
): Promise<void> {
  if (from === to) return
  const found = deps.apps.get(app)?.desired
  if (found !== from) {
    throw new OrchestryError('ORC_STORE_CONFLICT', `${app} was to go from ${from} to ${to} replicas, but has ${found}`)
  }
  await deps.apps.setDesired(app, to)
  deps.reconciler.markDirty(app)
  deps.events.emit({ type: 'decision.made', app, data: { decision: id, action, from, to, reason, by } })
  deps.events.emit({ type: 'app.scaled', app, data: { from, to, reason } })
}

/** Stopped apps are not decided about. */
function dueRecords(apps: Pick<Apps, 'list' | 'get'>, due: 'all' | ReadonlySet<string>): AppRecord[] {
  const candidates = due === 'all' ? apps.list() : [...due].map((name) => apps.get(name))
  return candidates.filter((record) => record !== undefined).filter(({ isRunning }) => isRunning)
}

/** A hold that differs from the last decision only in its figures is no news: it is not stored again. */
function isLike(decision: NewDecision, latest: Decision | undefined): boolean {
  if (latest === undefined || decision.action !== 'hold' || latest.action !== 'hold') return false
  if (decision.to !== latest.to || decision.winner !== latest.winner || decision.by !== latest.by) return false
  if (decision.limits.length !== latest.limits.length || decision.votes.length !== latest.votes.length) return false
  return (
    decision.limits.every((limit, index) => limit.kind === latest.limits[index]?.kind) &&
    decision.votes.every((vote, index) => kindOf(vote) === kindOf(latest.votes[index]))
  )
}

function kindOf(record: VoteRecord | undefined): string | undefined {
  if (record === undefined) return undefined
  if ('error' in record) return `${record.error.code} ${record.fallback}`
  return 'hold' in record.vote ? 'hold' : 'vote'
}
