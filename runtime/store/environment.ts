/** The LMDB file itself: how it is opened, and how one record lies in it. The only file that knows the lmdb package. */
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { open, type RangeOptions } from 'lmdb'
import { OrchestryError } from '../errors.ts'
import { normal } from './key.ts'
import type { Step } from './prepared.ts'
import type { Entry, Key, Range } from './store.ts'

export const dataFile = (path: string): string => join(path, 'data.mdb')

/**
 * Without overlapping sync a commit is acknowledged only after the file has been flushed: acknowledged = durable.
 * Values are texts and revisions LMDB's own versions; nothing is cached, so nothing is shared.
 */
export function openEnvironment(path: string, options: { readOnly: boolean }) {
  const db = open<string, (string | number | Uint8Array)[]>({
    path,
    noSubdir: false,
    encoding: 'string',
    useVersions: true,
    cache: false,
    overlappingSync: false,
    readOnly: options.readOnly,
  })
  return {
    revisionOf: (key: Key): number => db.getEntry(normal(key))?.version ?? 0,
    get<V>(key: Key): Entry<V> | undefined {
      const found = db.getEntry(normal(key))
      return found && decode<V>(path, key, found.value, found.version ?? 0)
    },
    list<V>(range: Range): Entry<V>[] {
      const entries: Entry<V>[] = []
      for (const { key, value, version } of db.getRange({ ...boundsOf(range), versions: true })) {
        entries.push(decode<V>(path, keyOf(key), value, version ?? 0))
      }
      return entries
    },
    /** One transaction, off the main thread. Resolves when it is on disk; rejects when nothing of it is. */
    async commit(steps: readonly Step[]): Promise<void> {
      await db.batch(() => {
        for (const { key, name, json, revision } of steps) {
          if (json === undefined) void db.remove([...key])
          else void db.put([...key], encode(name, json, revision), revision)
        }
      })
    },
    /** Reads every record. Throws ORC_STORE_CORRUPT at the first that is damaged or missing. */
    verify(): void {
      let found = 0
      for (const { key, value, version } of db.getRange({ versions: true })) {
        check(path, keyOf(key), value, version ?? 0)
        found += 1
      }
      const { entryCount } = db.getStats() as { entryCount?: number }
      if (entryCount !== found) throw corrupt(path, `it holds ${found} of ${entryCount} records`)
    },
    close: () => db.close(),
  }
}

/** Sorts after every part that a key can have. */
const afterEverything = new Uint8Array([0xff])

function boundsOf({ prefix, from = [], to, limit, reverse = false }: Range): RangeOptions {
  const low = normal([...prefix, ...from])
  const high = to === undefined ? [...normal(prefix), afterEverything] : normal([...prefix, ...to])
  const bounds = reverse
    ? { start: high, exclusiveStart: true, ...(low.length > 0 ? { end: low, inclusiveEnd: true } : {}) }
    : { ...(low.length > 0 ? { start: low } : {}), end: high }
  return { ...bounds, reverse, ...(limit === undefined ? {} : { limit }) }
}

/** A key of one part comes back as that part. */
function keyOf(key: unknown): Key {
  return Array.isArray(key) ? key : [key as string | number]
}

function encode(name: string, json: string, revision: number): string {
  return checksum(name, json, revision) + json
}

function checksum(name: string, json: string, revision: number): string {
  return crc32(json, crc32(`${revision}${name}`))
    .toString(16)
    .padStart(8, '0')
}

function decode<V>(path: string, key: Key, text: string, revision: number): Entry<V> {
  check(path, key, text, revision)
  return { key: [...key], value: JSON.parse(text.slice(8)) as V, revision }
}

function check(path: string, key: Key, text: string, revision: number): void {
  const name = JSON.stringify(key)
  if (text.startsWith(checksum(name, text.slice(8), revision))) return
  throw corrupt(path, `the record ${name} does not fit its checksum`)
}

export function corrupt(path: string, why: string, cause?: unknown): OrchestryError {
  return new OrchestryError(
    'ORC_STORE_CORRUPT',
    `The store in ${path} is damaged: ${why}. Nothing was changed. To restore: while Orchestry is stopped, put a backup ` +
      'of this folder in its place. Without a backup: move the folder away and start again; apps then have to be ' +
      'registered anew, and what still runs is not known any more.',
    { cause },
  )
}
