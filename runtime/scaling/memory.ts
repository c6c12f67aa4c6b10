/** What scaling knows of each app: its state (stored with decisions) and its newest decision (in memory). */
import type { Store, Write } from '../store/store.ts'
import type { Decision } from './decision.ts'
import { resume, type ScalingState } from './state.ts'

const prefix = 'scalingState'

export interface Known {
  readonly state?: ScalingState
  readonly latest?: Decision
}

export interface Memory {
  /** Reads what was stored; once. */
  load(): Promise<void>
  of(app: string): Known
  /** The state to decide with; the first time after a start it is taken up where it was stored. */
  stateOf(app: string, size: number, now: number): ScalingState | undefined
  set(app: string, known: Known): void
  /** Drops an app now and its stored state with the next `store`. */
  forget(app: string): void
  /** One write for all. */
  store(states: ReadonlyMap<string, ScalingState>): Promise<void>
}

export function createMemory({ store }: { store: Pick<Store, 'list' | 'write'> }): Memory {
  const known = new Map<string, Known>()
  const stored = new Map<string, ScalingState>()
  const forgotten = new Set<string>()
  const nothing: Known = {}
  let loading: Promise<void> | undefined

  async function read(): Promise<void> {
    for (const { key, value } of await store.list<ScalingState>({ prefix: [prefix] })) stored.set(String(key[1]), value)
  }
  return {
    load() {
      loading ??= read().catch((error: unknown) => {
        loading = undefined
        throw error
      })
      return loading
    },
    of: (app) => known.get(app) ?? nothing,
    stateOf(app, size, now) {
      const state = known.get(app)?.state
      if (state !== undefined) return state
      const old = stored.get(app)
      return old && resume(old, size, now)
    },
    set(app, next) {
      known.set(app, next)
      stored.delete(app)
    },
    forget(app) {
      known.delete(app)
      stored.delete(app)
      forgotten.add(app)
    },
    async store(states) {
      const gone = [...forgotten].filter((app) => !states.has(app))
      const writes: Write[] = gone.map((app) => ({ delete: [prefix, app] }))
      for (const [app, value] of states) writes.push({ put: [prefix, app], value })
      if (writes.length > 0) await store.write(writes)
      for (const app of gone) forgotten.delete(app)
      for (const app of states.keys()) forgotten.delete(app)
    },
  }
}
