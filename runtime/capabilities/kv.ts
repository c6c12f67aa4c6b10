/** A plugin instance's own small map. Its quota is counted in here, one write after the other, so that no race gets past it. */
import * as Type from 'typebox'
import { OrchestryError } from '../errors.ts'
import type { Store } from '../store/store.ts'
import { argumentsOf, maybe } from './arguments.ts'
import type { Caller, Capability, GrantOf } from './capability.ts'

const defaults = { quotaKb: 256, maxValueKb: 64 }
const keyBytes = 256
const keysKept = 10_000
const listed = 1_000
const forgottenAtOnce = 1_000

type KvStore = Pick<Store, 'get' | 'list' | 'write'>

/** What is stored of one instance, counted once and kept in step. Shared by old and new while an upgrade swaps them. */
interface Shelf {
  readonly sizes: Map<string, number>
  bytes: number
  turn: Promise<unknown>
}

const readKey = argumentsOf('kv', Type.String())
const readPut = argumentsOf('kv.put', Type.String(), Type.Unknown())
const readPrefix = argumentsOf('kv.list', maybe(Type.String()))

export function createKvCapability(deps: { store: KvStore }): Capability<'kv'> {
  const shelves = new Map<string, Promise<Shelf>>()
  return {
    kind: 'kv',
    check(grant) {
      const { quotaKb = defaults.quotaKb, maxValueKb = Math.min(defaults.maxValueKb, quotaKb) } = grant
      return maxValueKb > quotaKb ? [`maxValueKb is ${maxValueKb}, more than the whole quota of ${quotaKb} KB`] : []
    },
    // Twice what was ever kept: a map that is exactly full takes nothing more.
    narrow(grant, targets) {
      const used = targets.flatMap((target) => {
        const [, kept, value] = /^up to (\d+) KB, values up to (\d+) KB$/.exec(target) ?? []
        return kept === undefined ? [] : [{ kept: Number(kept), value: Number(value) }]
      })
      const { quotaKb = defaults.quotaKb, maxValueKb = defaults.maxValueKb } = grant
      const most = Math.min(quotaKb, 2 * Math.max(1, ...used.map(({ kept }) => kept)))
      const largest = Math.min(maxValueKb, most, 2 * Math.max(1, ...used.map(({ value }) => value)))
      return most === quotaKb && largest === maxValueKb ? undefined : { ...grant, quotaKb: most, maxValueKb: largest }
    },
    async forget(plugin) {
      for (const name of shelves.keys()) if ((JSON.parse(name) as string[])[0] === plugin) shelves.delete(name)
      for (;;) {
        const page = await deps.store.list({ prefix: ['kv', plugin], limit: forgottenAtOnce })
        if (page.length === 0) return
        await deps.store.write(page.map(({ key }) => ({ delete: key })))
      }
    },
    use(grant, caller) {
      const name = JSON.stringify([caller.plugin, caller.instance])
      return { operations: operationsOf(grant, caller, deps.store, () => shelfOf(shelves, name, caller, deps.store)) }
    },
  }
}

function shelfOf(shelves: Map<string, Promise<Shelf>>, name: string, caller: Caller, store: KvStore): Promise<Shelf> {
  const known = shelves.get(name)
  if (known !== undefined) return known
  const counting = count(caller, store)
  shelves.set(name, counting)
  // A store that failed once may answer the next time.
  counting.catch(() => shelves.delete(name))
  return counting
}

async function count(caller: Caller, store: KvStore): Promise<Shelf> {
  const shelf: Shelf = { sizes: new Map(), bytes: 0, turn: Promise.resolve() }
  for (const { key, value } of await store.list({ prefix: ['kv', caller.plugin, caller.instance] })) {
    const own = String(key.at(-1))
    const size = sizeOf(own, value)
    shelf.sizes.set(own, size)
    shelf.bytes += size
  }
  return shelf
}

function operationsOf(grant: GrantOf<'kv'>, caller: Caller, store: KvStore, shelf: () => Promise<Shelf>) {
  const quotaBytes = (grant.quotaKb ?? defaults.quotaKb) * 1024
  const valueBytes = Math.min((grant.maxValueKb ?? defaults.maxValueKb) * 1024, quotaBytes)
  const storeKey = (key: string) => ['kv', caller.plugin, caller.instance, key]

  /** Writes of one instance go one by one: each sees the count that the last one left. */
  async function inTurn<T>(work: (shelf: Shelf) => Promise<T>): Promise<T> {
    const own = await shelf()
    const turn = own.turn.then(() => work(own))
    own.turn = turn.catch(() => {})
    return await turn
  }

  return {
    async get(args: readonly unknown[]) {
      const [key] = readKey(args)
      return (await store.get(storeKey(checkKey(key))))?.value ?? null
    },

    async put(args: readonly unknown[]) {
      const [key, value] = readPut(args)
      checkKey(key)
      const size = sizeOf(key, value)
      if (size - Buffer.byteLength(key) > valueBytes)
        throw limit(`the value is ${size} bytes; ${valueBytes / 1024} KB are granted (maxValueKb)`)
      await inTurn(async (own) => {
        const before = own.sizes.get(key)
        const bytes = own.bytes - (before ?? 0) + size
        if (bytes > quotaBytes)
          throw limit(`with this value ${bytes} bytes are kept; ${quotaBytes / 1024} KB are granted`)
        if (before === undefined && own.sizes.size >= keysKept) throw limit(`${keysKept} keys are kept already`)
        await store.write([{ put: storeKey(key), value }])
        own.sizes.set(key, size)
        own.bytes = bytes
        caller.onUse?.('put', `up to ${roundedKb(bytes)} KB, values up to ${roundedKb(size)} KB`, true)
      })
    },

    async delete(args: readonly unknown[]) {
      const [key] = readKey(args)
      checkKey(key)
      await inTurn(async (own) => {
        const before = own.sizes.get(key)
        if (before === undefined) return
        await store.write([{ delete: storeKey(key) }])
        own.sizes.delete(key)
        own.bytes -= before
      })
    },

    async list(args: readonly unknown[]) {
      const prefix = readPrefix(args)[0] ?? ''
      const keys = [...(await shelf()).sizes.keys()].filter((key) => key.startsWith(prefix)).sort()
      if (keys.length > listed)
        throw limit(`${keys.length} keys begin with this; ask with a longer prefix for at most ${listed}`)
      const entries = await Promise.all(keys.map(async (key) => ({ key, entry: await store.get(storeKey(key)) })))
      return entries.flatMap(({ key, entry }) => (entry === undefined ? [] : [{ key, value: entry.value }]))
    },
  }
}

/** A power of two, so that a trace stays short. */
const roundedKb = (bytes: number) => 2 ** Math.ceil(Math.log2(Math.max(1, bytes / 1024)))

const limit = (why: string) => new OrchestryError('ORC_CAPABILITY_LIMIT', `ctx.kv: ${why}. Nothing was written.`)
const sizeOf = (key: string, value: unknown) => Buffer.byteLength(key) + Buffer.byteLength(JSON.stringify(value) ?? '')

function checkKey(key: string): string {
  const isFit = key !== '' && Buffer.byteLength(key) <= keyBytes && key.isWellFormed() && !hasControls(key)
  if (isFit) return key
  throw new OrchestryError(
    'ORC_CAPABILITY_ARGUMENT',
    `ctx.kv: a key has 1 to ${keyBytes} bytes and no control characters`,
  )
}

/** They would collide with how the store encodes its keys. */
const hasControls = (text: string) => Array.from(text).some((character) => character < ' ')
