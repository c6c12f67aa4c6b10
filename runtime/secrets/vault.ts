/**
 * Secrets in the store, encrypted under a key that lies outside of it. A key that cannot be used keeps nobody from starting:
 * what needs no secret runs, what needs one is told that there is none, and nothing stored is touched.
 */
import { join } from 'node:path'
import type { Clock } from '../clock.ts'
import { messageOf, OrchestryError } from '../errors.ts'
import type { Events } from '../events/events.ts'
import type { Log } from '../log.ts'
import { isSecretName, secretNameRule } from '../secret-name.ts'
import type { Store } from '../store/store.ts'
import { createTurns } from '../turns.ts'
import { createKey, readKey, unusable } from './key-file.ts'
import { createRedactor, shortestValue } from './redact.ts'
import { type Sealed, seal, unseal } from './seal.ts'
import type { Secrets, SecretView } from './secrets.ts'

const secretsKept = 1_000
const valueBytes = 32 * 1024
/** Values that were replaced or removed are hidden until the next start: somebody may still hold them. */
const formerKept = 200

type Row = Sealed & SecretView

export interface VaultDeps {
  readonly store: Pick<Store, 'list' | 'write'>
  readonly dataDir: string
  readonly clock: Pick<Clock, 'now'>
  readonly log: Pick<Log, 'error'>
  readonly events: Pick<Events, 'emit'>
}

export async function createVault({ store, dataDir, clock, log, events }: VaultDeps): Promise<Secrets> {
  const keyPath = join(dataDir, 'secrets.key')
  const rows = new Map<string, Row>()
  const values = new Map<string, string>()
  const former: string[] = []
  const turns = createTurns()
  let redactor = createRedactor([])
  let key: Buffer | undefined
  let keyProblem: string | undefined

  for (const { key: at, value } of await store.list<Omit<Row, 'name'>>({ prefix: ['secrets'] })) {
    const name = String(at[1])
    rows.set(name, { ...value, name })
  }
  try {
    key = await openKey({ isMade: false })
  } catch (thrown) {
    keyProblem = messageOf(thrown)
    log.error({ code: 'ORC_SECRET_KEY_UNUSABLE' }, keyProblem)
  }
  hideAll()

  /** Reads the key and all values with it; a missing one is made only where nothing is sealed with another. */
  async function openKey({ isMade }: { isMade: boolean }): Promise<Buffer | undefined> {
    const found = await readKey(keyPath)
    if (found === undefined) {
      if (rows.size === 0) return isMade ? createKey(keyPath) : undefined
      throw unusable(keyPath, 'is not there', remedyForLostKey)
    }
    const opened = [...rows.values()].map((row) => [row.name, unseal(found, row.name, row)] as const)
    if (rows.size > 0 && opened.every(([, value]) => value === undefined))
      throw unusable(keyPath, 'is not the one that they were stored with', remedyForLostKey)
    for (const [name, value] of opened) if (value !== undefined) values.set(name, value)
    return found
  }

  async function keyForWriting(): Promise<Buffer> {
    // It may have been put right since the start.
    key ??= await openKey({ isMade: true })
    keyProblem = undefined
    return key as Buffer
  }

  function hideAll(...more: string[]): void {
    redactor = createRedactor([...values.values(), ...former, ...more])
  }

  function retire(name: string): void {
    const value = values.get(name)
    values.delete(name)
    if (value === undefined) return
    former.push(value)
    if (former.length > formerKept) former.shift()
  }

  return {
    list: () => [...rows.values()].map(viewOf).sort((a, b) => (a.name < b.name ? -1 : 1)),

    put(given, value) {
      return turns.take('', async () => {
        const name = checkName(given)
        checkValue(name, value)
        const before = rows.get(name)
        if (before === undefined && rows.size >= secretsKept)
          throw invalid(`${secretsKept} secrets are kept already; remove one that nobody uses`)
        const sealed = seal(await keyForWriting(), name, value)
        // Hidden before it can be used, and so before it could be shown.
        hideAll(value)
        const nowMs = clock.now()
        const row: Row = { name, ...sealed, createdAtMs: before?.createdAtMs ?? nowMs, updatedAtMs: nowMs }
        const { name: _key, ...stored } = row
        await store.write([{ put: ['secrets', name], value: stored }])
        rows.set(name, row)
        if (values.get(name) !== value) retire(name)
        values.set(name, value)
        hideAll()
        events.emit({ type: 'secret.stored', data: { secret: name, isNew: before === undefined } })
        return viewOf(row)
      })
    },

    remove(name) {
      return turns.take('', async () => {
        if (!rows.has(name)) throw unknown(name)
        await store.write([{ delete: ['secrets', name] }])
        rows.delete(name)
        retire(name)
        events.emit({ type: 'secret.removed', data: { secret: name } })
      })
    },

    value: (name) => values.get(name),
    redact: (text) => redactor.redact(text),
    redactData: (data) => redactor.redactData(data),

    problem() {
      if (rows.size === 0) return undefined
      if (keyProblem !== undefined) return keyProblem
      const damaged = [...rows.keys()].filter((name) => !values.has(name))
      if (damaged.length === 0) return undefined
      return `The key opens the other secrets but not ${damaged.slice(0, 10).join(', ')}: set them anew, or put the data directory back from a backup.`
    },
  }
}

const remedyForLostKey =
  'Put it back from a backup. If there is none, nobody can read the values any more: remove each secret ' +
  '(orchestry secret remove), then set it anew'

const viewOf = ({ name, createdAtMs, updatedAtMs }: Row): SecretView => ({ name, createdAtMs, updatedAtMs })

function checkName(name: string): string {
  if (isSecretName(name)) return name
  throw invalid(`${JSON.stringify(name.slice(0, 64))} is no name: it has ${secretNameRule}`)
}

function checkValue(name: string, value: string): void {
  if (value.length < shortestValue)
    throw invalid(
      `the value of ${name} has fewer than ${shortestValue} characters; so short a text could not be told from others where it must be hidden`,
    )
  if (Buffer.byteLength(value) > valueBytes)
    throw invalid(`the value of ${name} is longer than ${valueBytes / 1024} KB`)
  if (!value.isWellFormed() || value.includes('\0')) throw invalid(`the value of ${name} is not text without NUL`)
}

const invalid = (why: string) => new OrchestryError('ORC_SECRET_INVALID', `The secret: ${why}. Nothing was stored.`)

const unknown = (name: string) =>
  new OrchestryError(
    'ORC_SECRET_UNKNOWN',
    `There is no secret ${JSON.stringify(name.slice(0, 64))}. Nothing was changed. See: orchestry secret list`,
  )
