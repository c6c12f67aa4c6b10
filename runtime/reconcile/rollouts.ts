/** What an operator does with rollouts: goes back to an earlier spec, or replaces all replicas by such of the same spec. */
import type { AppRecord, Apps } from '../apps/app.ts'
import { OrchestryError } from '../errors.ts'
import type { Events } from '../events/events.ts'
import type { Reconciler, RolloutEntry, Rollouts } from './reconcile.ts'

export interface RolloutsParts {
  readonly apps: Pick<Apps, 'require' | 'apply' | 'restart'>
  readonly reconciler: Pick<Reconciler, 'history'>
  readonly events: Pick<Events, 'emit'>
}

export function createRollouts({ apps, reconciler, events }: RolloutsParts): Rollouts {
  return {
    async undo(name, to) {
      const { version } = apps.require(name)
      const entry = chosen(name, version, await reconciler.history(name), to)
      const { record } = await apps.apply(entry.source, { expectedName: name, keepScaling: true })
      const data = { number: entry.number, from: version, version: record.version }
      events.emit({ type: 'rollout.undone', app: name, data })
      return { record, entry }
    },
    async restart(name): Promise<AppRecord> {
      apps.require(name)
      return apps.restart(name)
    },
  }
}

function chosen(app: string, version: string, entries: readonly RolloutEntry[], to: number | undefined): RolloutEntry {
  const numbers = entries.map(({ number }) => number).join(', ')
  const known = `Remembered of ${app}: ${numbers || 'none'}. Nothing was changed.`
  if (to !== undefined) {
    const entry = entries.find(({ number }) => number === to)
    if (entry) return entry
    throw new OrchestryError('ORC_ROLLOUT_UNKNOWN', `There is no spec number ${to} of app ${app}. ${known}`)
  }
  const entry = entries.find((one) => one.version !== version && one.outcome === 'done')
  if (entry) return entry
  const detail = `App ${app} has no earlier spec of another version that was once rolled out. ${known}`
  throw new OrchestryError('ORC_ROLLOUT_NOTHING_EARLIER', detail)
}
