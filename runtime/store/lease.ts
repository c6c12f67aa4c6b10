/** Leases on top of any store with compare-and-set. */
import type { Clock } from '../clock.ts'
import { OrchestryError } from '../errors.ts'
import type { Key, Lease, Store } from './store.ts'

interface LeaseRecord {
  readonly holder: string
  readonly fencingToken: number
  /** 0 when released. The record stays, because the token must go on growing. */
  readonly expiresAtMs: number
}

/**
 * A holder that comes again (after a restart) takes over at once, with a new token: its earlier self is fenced off as well.
 * An expired lease that nobody took can still be renewed.
 */
export function createLeases(store: Pick<Store, 'get' | 'write'>, clock: Pick<Clock, 'now'>): Store['acquireLease'] {
  return async (name, holder, ttlMs) => {
    const key: Key = ['lease', name]
    const present = await store.get<LeaseRecord>(key)
    const isTaken = present !== undefined && present.value.expiresAtMs > clock.now() && present.value.holder !== holder
    if (isTaken) return undefined
    const fencingToken = (present?.value.fencingToken ?? 0) + 1
    const record: LeaseRecord = { holder, fencingToken, expiresAtMs: clock.now() + ttlMs }
    const isMine = await hasWon(() =>
      store.write([{ put: key, value: record, expectedRevision: present?.revision ?? 0 }]),
    )
    return isMine ? leaseOf(store, clock, key, record, ttlMs) : undefined
  }
}

function leaseOf(
  store: Pick<Store, 'get' | 'write'>,
  clock: Pick<Clock, 'now'>,
  key: Key,
  record: LeaseRecord,
  ttlMs: number,
): Lease {
  const replace = async (expiresAtMs: () => number): Promise<boolean> => {
    const present = await store.get<LeaseRecord>(key)
    if (present?.value.fencingToken !== record.fencingToken || present.value.expiresAtMs === 0) return false
    const value: LeaseRecord = { ...record, expiresAtMs: expiresAtMs() }
    return hasWon(() => store.write([{ put: key, value, expectedRevision: present.revision }]))
  }
  return {
    fencingToken: record.fencingToken,
    renew: () => replace(() => clock.now() + ttlMs),
    release: async () => {
      await replace(() => 0)
    },
  }
}

async function hasWon(write: () => Promise<unknown>): Promise<boolean> {
  try {
    await write()
    return true
  } catch (error) {
    if (error instanceof OrchestryError && error.code === 'ORC_STORE_CONFLICT') return false
    throw error
  }
}
