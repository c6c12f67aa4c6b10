/** The specs that were applied to each app, and what became of each: what can be undone. On disk only, as it is seldom read. */
import type { AppRecord } from '../apps/app.ts'
import type { Clock } from '../clock.ts'
import { limits } from '../limits.ts'
import type { Log } from '../log.ts'
import type { Key, Store, Write } from '../store/store.ts'
import { createTurns } from '../turns.ts'
import type { RolloutEntry } from './reconcile.ts'

export type HistoryStore = Pick<Store, 'get' | 'list' | 'write'>

export interface History {
  /** A version that was not there before; what is older than is kept is forgotten. */
  applied(number: number, record: AppRecord, outcome: RolloutEntry['outcome']): void
  /** Another spec of the same version. */
  revised(number: number, record: AppRecord): void
  concluded(app: string, number: number, outcome: RolloutEntry['outcome'], because?: string): void
  forget(app: string): void
  /** Newest first. */
  list(app: string): Promise<RolloutEntry[]>
}

const keyOf = (app: string, number: number): Key => ['rollouts', app, number]

/** @param store without one nothing is remembered */
export function createHistory(store: HistoryStore | undefined, clock: Pick<Clock, 'now'>, log: Log): History {
  const turns = createTurns()

  /** In the order in which it was asked for; what cannot be stored is only missing from the history. */
  function write(app: string, make: (store: HistoryStore) => Promise<readonly Write[]>): void {
    if (!store) return
    const work = turns.take(app, async () => {
      const writes = await make(store)
      if (writes.length > 0) await store.write(writes)
    })
    work.catch((thrown: unknown) => log.error({ err: thrown, app }, 'the history of rollouts could not be stored'))
  }

  function change(app: string, number: number, patch: Partial<RolloutEntry>): void {
    write(app, async (from) => {
      const entry = await from.get<RolloutEntry>(keyOf(app, number))
      return entry ? [{ put: keyOf(app, number), value: { ...entry.value, ...patch } }] : []
    })
  }

  return {
    applied(number, { app: { name }, version, source, updatedAtMs }, outcome) {
      const entry: RolloutEntry = { number, version, source, appliedAtMs: updatedAtMs, outcome }
      write(name, async () => [
        { put: keyOf(name, number), value: entry },
        { delete: keyOf(name, number - limits.rolloutsKept) },
      ])
    },
    revised: (number, { app, source }) => change(app.name, number, { source }),
    concluded: (app, number, outcome, because) =>
      change(app, number, { outcome, endedAtMs: clock.now(), ...(because === undefined ? {} : { because }) }),
    forget(app) {
      write(app, async (from) => {
        const entries = await from.list({ prefix: ['rollouts', app] })
        return entries.map(({ key }) => ({ delete: key }))
      })
    },
    async list(app) {
      if (!store) return []
      return turns.take(app, async () => {
        const entries = await store.list<RolloutEntry>({ prefix: ['rollouts', app] })
        return entries.map(({ value }) => value).toReversed()
      })
    },
  }
}
