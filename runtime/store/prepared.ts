/** Writes made ready before they wait: checked, and their values as text, so that nobody can change them afterwards. */
import { messageOf, OrchestryError } from '../errors.ts'
import { checkKey, normal } from './key.ts'
import type { Change, Key, Write } from './store.ts'

export interface PreparedWrite {
  readonly key: Key
  /** The key as one text, to find it in a map. */
  readonly name: string
  /** The value as JSON; absent = delete. */
  readonly json?: string
  readonly expectedRevision?: number
}

/** A write with the revision that it leaves behind: 0 for a delete. */
export interface Step extends PreparedWrite {
  readonly revision: number
}

/** @throws ORC_STORE_FAILED for a key or value that cannot be stored. */
export function prepare(writes: readonly Write[]): PreparedWrite[] {
  return writes.map((write) => {
    const isPut = 'put' in write
    const given = isPut ? write.put : write.delete
    checkKey(given)
    const key = normal(given)
    const expected = write.expectedRevision === undefined ? {} : { expectedRevision: write.expectedRevision }
    const prepared = { key, name: JSON.stringify(key), ...expected }
    return isPut ? { ...prepared, json: jsonOf(key, write.value) } : prepared
  })
}

function jsonOf(key: Key, value: unknown): string {
  try {
    const json: string | undefined = JSON.stringify(value)
    if (json !== undefined) return json
  } catch (error) {
    throw notJson(key, messageOf(error))
  }
  throw notJson(key, `it is ${typeof value}`)
}

function notJson(key: Key, why: string): OrchestryError {
  return new OrchestryError(
    'ORC_STORE_FAILED',
    `The value for ${JSON.stringify(key)} is not JSON data (${why}). Nothing was written.`,
  )
}

/**
 * Goes through the writes in order and says what revision each leaves. `revisionOf` answers for what is stored so far.
 *
 * @throws ORC_STORE_CONFLICT when an expected revision does not hold.
 */
export function stepsOf(
  writes: readonly PreparedWrite[],
  revisionOf: (write: PreparedWrite) => number,
): { steps: Step[]; revisions: Map<string, number> } {
  const revisions = new Map<string, number>()
  const steps = writes.map((write) => {
    const present = revisions.get(write.name) ?? revisionOf(write)
    if (write.expectedRevision !== undefined && write.expectedRevision !== present) {
      throw new OrchestryError(
        'ORC_STORE_CONFLICT',
        `${write.name} has revision ${present}, not the expected ${write.expectedRevision}. Nothing was written.`,
      )
    }
    const revision = write.json === undefined ? 0 : present + 1
    revisions.set(write.name, revision)
    return { ...write, revision }
  })
  return { steps, revisions }
}

/** What a watcher is told of the steps. Every call parses anew, so that no two listeners share a value. */
export function changesOf(steps: readonly Step[]): Change[] {
  return steps.map(({ key, json, revision }) =>
    json === undefined ? { key } : { key, entry: { key, value: JSON.parse(json), revision } },
  )
}
