/**
 * The port of state. Keys are tuples, ordered part by part (numbers before strings). A write is on disk when its promise
 * resolves. Every key has a revision that grows by one with each write; compare-and-set is `expectedRevision`.
 */
export type KeyPart = string | number
export type Key = readonly KeyPart[]

export interface Entry<V = unknown> {
  readonly key: Key
  readonly value: V
  /** 1 for a new key; grows with every write to it. */
  readonly revision: number
}

export type Write =
  /** `expectedRevision: 0` means: must not exist yet. Without it the write always wins. */
  { put: Key; value: unknown; expectedRevision?: number } | { delete: Key; expectedRevision?: number }

export interface Range {
  readonly prefix: Key
  /** First key, and the one before which to end: the parts that follow the prefix. */
  readonly from?: Key
  readonly to?: Key
  readonly limit?: number
  readonly reverse?: boolean
}

export interface Change {
  readonly key: Key
  /** Absent when the key was deleted. */
  readonly entry?: Entry
}

/** Held by at most one holder; the token grows with every new holder, so that a late write of an old one can be told. */
export interface Lease {
  readonly fencingToken: number
  renew(): Promise<boolean>
  release(): Promise<void>
}

export interface Store {
  get<V>(key: Key): Promise<Entry<V> | undefined>
  list<V>(range: Range): Promise<Entry<V>[]>
  /** All or nothing. Throws ORC_STORE_CONFLICT when an expected revision does not hold. Returns the new revisions, 0 for deletes. */
  write(writes: readonly Write[]): Promise<number[]>
  watch(prefix: Key, listener: (changes: readonly Change[]) => void): () => void
  acquireLease(name: string, holder: string, ttlMs: number): Promise<Lease | undefined>
  close(): Promise<void>
}
