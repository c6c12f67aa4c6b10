/** What every instance has used its grants for, over restarts of Orchestry: grants are tightened by it. */
import type { Bound, CapabilityUsage } from '../capabilities/capability.ts'
import type { Clock } from '../clock.ts'
import { messageOf } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Key, Store, Write } from '../store/store.ts'

export interface TracedBinding extends CapabilityUsage {
  /** Since when this binding has been watched. */
  readonly sinceMs: number
}

export interface Traces {
  /** From the store. */
  load(): Promise<void>
  /** By binding: all that was counted for the instance, also before a restart. */
  of(plugin: string, instance: string): readonly TracedBinding[]
  /** The instance ends, or is about to be replaced: what it counted is kept. */
  keep(plugin: string, instance: string, bound: Pick<Bound, 'usage'>): void
  forget(plugin: string): Promise<void>
  stop(): Promise<void>
}

/** How much a crash can lose. */
const savedEveryMs = 10_000
const prefix = 'pluginTrace'
type Stored = Pick<TracedBinding, 'sinceMs' | 'kind' | 'targets'>

export function createTraces(deps: {
  store: Pick<Store, 'list' | 'write'>
  clock: Pick<Clock, 'now' | 'every'>
  log: Pick<Log, 'warn'>
  running: () => Iterable<{ plugin: string; instance: string; bound: Pick<Bound, 'usage'> }>
}): Traces {
  const { store, clock, log } = deps
  /** By the key in the store, as text. */
  const kept = new Map<string, { readonly key: Key; readonly traced: TracedBinding; saved: number }>()
  const sumOf = ({ allowed, denied }: CapabilityUsage) => allowed + denied

  function keep(plugin: string, instance: string, bound: Pick<Bound, 'usage'>): void {
    for (const usage of bound.usage()) {
      const key = [prefix, plugin, instance, usage.binding]
      const name = JSON.stringify(key)
      const before = kept.get(name)
      // Under another kind the name means something else, and is counted from now on.
      const isKnown = before?.traced.kind === usage.kind
      const sinceMs = isKnown ? before.traced.sinceMs : clock.now()
      kept.set(name, { key, traced: { ...usage, sinceMs }, saved: isKnown ? before.saved : -1 })
    }
  }

  async function save(): Promise<void> {
    for (const { plugin, instance, bound } of deps.running()) keep(plugin, instance, bound)
    const changed = [...kept.values()].filter(({ traced, saved }) => sumOf(traced) !== saved)
    if (changed.length === 0) return
    await store.write(
      changed.map(({ key, traced: { sinceMs, kind, targets } }): Write => {
        const value: Stored = { sinceMs, kind, targets }
        return { put: key, value }
      }),
    )
    for (const entry of changed) entry.saved = sumOf(entry.traced)
  }
  const trySave = () =>
    save().catch((thrown) => log.warn({ error: messageOf(thrown) }, 'what plugins used could not be stored for now'))

  let cancel = () => {}
  return {
    keep,

    async load() {
      for (const { key, value } of await store.list<Stored>({ prefix: [prefix] })) {
        const sum = (count: 'allowed' | 'denied') => value.targets.reduce((total, row) => total + row[count], 0)
        const traced = { ...value, binding: String(key.at(-1)), allowed: sum('allowed'), denied: sum('denied') }
        kept.set(JSON.stringify(key), { key, traced, saved: sumOf(traced) })
      }
      cancel()
      cancel = clock.every(savedEveryMs, () => void trySave())
    },

    of(plugin, instance) {
      for (const one of deps.running())
        if (one.plugin === plugin && one.instance === instance) keep(plugin, instance, one.bound)
      return [...kept.values()].flatMap(({ key, traced }) => (key[1] === plugin && key[2] === instance ? [traced] : []))
    },

    async forget(plugin) {
      for (const [name, { key }] of kept) if (key[1] === plugin) kept.delete(name)
      const stored = await store.list({ prefix: [prefix, plugin] })
      if (stored.length > 0) await store.write(stored.map(({ key }) => ({ delete: key })))
    },

    async stop() {
      cancel()
      await trySave()
    },
  }
}
