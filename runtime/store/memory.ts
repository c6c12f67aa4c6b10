/** A store that forgets: for tests and simulations. Keeps JSON texts, so that it cannot hand out what it holds. */
import type { Clock } from '../clock.ts'
import { OrchestryError } from '../errors.ts'
import type { Log } from '../log.ts'
import { checkKey, checkParts, compareKeys, startsWith } from './key.ts'
import { createLeases } from './lease.ts'
import { prepare, type Step, stepsOf } from './prepared.ts'
import type { Entry, Key, Range, Store } from './store.ts'
import { createWatchers } from './watchers.ts'

interface Row {
  readonly key: Key
  json: string
  revision: number
}

export function createMemoryStore(deps: { clock: Pick<Clock, 'now'>; log?: Pick<Log, 'error'> }): Store {
  /** In the order of keys. */
  const rows: Row[] = []
  const byName = new Map<string, Row>()
  const watchers = createWatchers(deps.log)
  let isClosed = false

  const apply = ({ key, name, json, revision }: Step) => {
    const row = byName.get(name)
    if (json === undefined) {
      if (row === undefined) return
      byName.delete(name)
      rows.splice(firstAtOrAfter(rows, key), 1)
    } else if (row === undefined) {
      const added = { key, json, revision }
      byName.set(name, added)
      rows.splice(firstAtOrAfter(rows, key), 0, added)
    } else {
      row.json = json
      row.revision = revision
    }
  }

  const requireOpen = () => {
    if (isClosed) throw new OrchestryError('ORC_STORE_FAILED', 'The store is closed. Nothing was written.')
  }

  const state: Pick<Store, 'get' | 'write'> = {
    async get<V>(key: Key) {
      requireOpen()
      checkKey(key)
      const row = byName.get(JSON.stringify(key))
      return row && entryOf<V>(row)
    },
    async write(writes) {
      requireOpen()
      const { steps } = stepsOf(prepare(writes), ({ name }) => byName.get(name)?.revision ?? 0)
      for (const step of steps) apply(step)
      watchers.notify(steps)
      return steps.map(({ revision }) => revision)
    },
  }

  return {
    ...state,
    async list<V>(range: Range) {
      requireOpen()
      return select(rows, range).map((row) => entryOf<V>(row))
    },
    watch: watchers.watch,
    acquireLease: createLeases(state, deps.clock),
    async close() {
      isClosed = true
      watchers.clear()
    },
  }
}

function entryOf<V>({ key, json, revision }: Row): Entry<V> {
  return { key: [...key], value: JSON.parse(json) as V, revision }
}

function select(rows: readonly Row[], range: Range): Row[] {
  const { prefix, from = [], to, limit = Number.POSITIVE_INFINITY, reverse = false } = range
  const last = to && [...prefix, ...to]
  for (const key of [prefix, from, last ?? []]) checkParts(key)
  const found: Row[] = []
  for (let index = firstAtOrAfter(rows, [...prefix, ...from]); index < rows.length; index += 1) {
    const row = rows[index]
    if (row === undefined || !startsWith(row.key, prefix)) break
    if (last !== undefined && compareKeys(row.key, last) >= 0) break
    if (!reverse && found.length >= limit) break
    found.push(row)
  }
  return reverse ? found.reverse().slice(0, limit) : found
}

function firstAtOrAfter(rows: readonly Row[], key: Key): number {
  let low = 0
  let high = rows.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const row = rows[middle]
    if (row !== undefined && compareKeys(row.key, key) < 0) low = middle + 1
    else high = middle
  }
  return low
}
