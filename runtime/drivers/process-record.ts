/**
 * What is written of one replica, so that a controller that comes after a crash finds it again: one folder per instance under the
 * data directory, with `record.json` and the two logs. The record is there before the process is.
 */
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as Type from 'typebox'
import { Value } from 'typebox/value'
import type { Instance } from './driver.ts'

const optional = Type.Optional
const ProcessRecord = Type.Object({
  id: Type.String(),
  app: Type.String(),
  version: Type.String(),
  ownerId: Type.String(),
  host: Type.String(),
  port: Type.Integer(),
  startedAtMs: Type.Number(),
  /** Of the boot that `pid` and `startTime` belong to. */
  bootId: Type.String(),
  /** Absent from before the process was started until right after. */
  pid: optional(Type.Integer({ minimum: 2 })),
  startTime: optional(Type.Number()),
  cpuMilli: optional(Type.Number()),
  memoryBytes: optional(Type.Number()),
  endedAtMs: optional(Type.Number()),
  exit: optional(
    Type.Object({
      code: Type.Union([Type.Number(), Type.Null()]),
      signal: Type.Union([Type.String(), Type.Null()]),
    }),
  ),
})
export type ProcessRecord = Readonly<Type.Static<typeof ProcessRecord>>

/** Instance ids become folder names, so only such as can do no harm there. */
const idPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/

export interface Records {
  readonly dir: string
  isValidId(id: string): boolean
  /** Of stdout and stderr. */
  logPaths(id: string): readonly [string, string]
  /** Makes the folder; throws EEXIST when the id was used before. */
  create(record: ProcessRecord): Promise<void>
  /** Replaces the record as a whole or not at all. */
  save(record: ProcessRecord): Promise<void>
  remove(id: string): Promise<void>
  /** Every folder; a record that was torn by a crash is absent. */
  all(): Promise<{ id: string; record?: ProcessRecord }[]>
}

export function createRecords(dataDir: string): Records {
  const dir = join(dataDir, 'processes')
  const pathOf = (id: string, file: string) => join(dir, id, file)
  let writes = 0
  const write = async (record: ProcessRecord) => {
    writes += 1
    const temporary = pathOf(record.id, `record.json.${process.pid}-${writes}`)
    await writeFile(temporary, `${JSON.stringify(record)}\n`, { mode: 0o600 })
    await rename(temporary, pathOf(record.id, 'record.json'))
  }
  /** One write of an instance after the other, so that the last one asked for is the one that stays. */
  const queue = new Map<string, Promise<void>>()
  const save = (record: ProcessRecord): Promise<void> => {
    const before = queue.get(record.id) ?? Promise.resolve()
    const written = before.catch(() => undefined).then(() => write(record))
    queue.set(record.id, written)
    const forget = () => {
      if (queue.get(record.id) === written) queue.delete(record.id)
    }
    written.then(forget, forget)
    return written
  }
  const read = async (id: string): Promise<ProcessRecord | undefined> => {
    try {
      const record: unknown = JSON.parse(await readFile(pathOf(id, 'record.json'), 'utf8'))
      return Value.Check(ProcessRecord, record) && record.id === id ? record : undefined
    } catch {
      return undefined
    }
  }
  return {
    dir,
    isValidId: (id) => idPattern.test(id),
    logPaths: (id) => [pathOf(id, 'stdout.log'), pathOf(id, 'stderr.log')],
    create: async (record) => {
      await mkdir(dir, { recursive: true, mode: 0o700 })
      await mkdir(join(dir, record.id), { mode: 0o700 })
      await save(record)
    },
    save,
    remove: (id) => rm(join(dir, id), { recursive: true, force: true, maxRetries: 2 }),
    all: async () => {
      const names = await readdir(dir).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return []
        throw error
      })
      const ids = names.filter((name) => idPattern.test(name)).sort()
      return Promise.all(
        ids.map(async (id) => {
          const record = await read(id)
          return record ? { id, record } : { id }
        }),
      )
    },
  }
}

export function instanceOf(record: ProcessRecord): Instance {
  const { id, app, version, host, port, startedAtMs, pid, endedAtMs, exit } = record
  const isRunning = endedAtMs === undefined
  const instance = { id, app, version, host, port, startedAtMs, isRunning, ...(pid === undefined ? {} : { pid }) }
  return isRunning ? instance : { ...instance, exit: exit ?? { code: null, signal: null } }
}
