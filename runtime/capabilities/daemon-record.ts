/** What is written down of a server, so that an Orchestry that comes after a crash finds it again; and what it said. */
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as Type from 'typebox'
import { Value } from 'typebox/value'
import { limits } from '../limits.ts'
import type { DaemonName, DaemonSpec } from './daemon.ts'

const DaemonRecord = Type.Object({
  spec: Type.Object({
    plugin: Type.String(),
    instance: Type.String({ pattern: '^[a-z0-9][a-z0-9._-]{0,63}$' }),
    command: Type.String({ pattern: '^[a-z][a-zA-Z0-9]{0,31}$' }),
    path: Type.String(),
    digest: Type.String(),
    args: Type.Array(Type.String()),
    isInOwnDir: Type.Boolean(),
    stopSignal: Type.Enum(['TERM', 'QUIT', 'INT'].map((name) => `SIG${name}`)),
    stopMs: Type.Integer(),
  }),
  /** Absent from before the process was started until right after. */
  pid: Type.Optional(Type.Integer({ minimum: 2 })),
  startOf: Type.Optional(Type.String()),
  startedAtMs: Type.Number(),
})
export interface DaemonRecord {
  readonly spec: DaemonSpec
  readonly pid?: number
  /** Tells its process from a later one of the same number. */
  readonly startOf?: string
  readonly startedAtMs: number
}

/** Unique, because names of instances are. */
export const keyOf = ({ instance, command }: DaemonName): string => `${instance}.${command}`

const shownBytes = 4_096

export interface DaemonRecords {
  all(): Promise<DaemonRecord[]>
  save(record: DaemonRecord): Promise<void>
  remove(name: DaemonName): Promise<void>
  /** To be appended to by the server itself; empty, unless it is started again: then what it said before explains why. */
  openLog(name: DaemonName, isAgain: boolean): Promise<FileHandle>
  /** The end of it. */
  readLog(name: DaemonName): Promise<string>
  /** Empties one that has grown too large. */
  boundLog(name: DaemonName): Promise<void>
}

export function createDaemonRecords(dataDir: string): DaemonRecords {
  const dir = join(dataDir, 'daemons')
  const recordPath = (name: DaemonName) => join(dir, `${keyOf(name)}.json`)
  const logPath = (name: DaemonName) => join(dir, `${keyOf(name)}.log`)
  let writes = 0
  return {
    async all() {
      const names = (await readdir(dir).catch(() => [])).filter((name) => name.endsWith('.json'))
      const records = await Promise.all(
        names.map(async (name) => {
          try {
            const found: unknown = JSON.parse(await readFile(join(dir, name), 'utf8'))
            return Value.Check(DaemonRecord, found) ? [found as DaemonRecord] : []
          } catch {
            return []
          }
        }),
      )
      return records.flat()
    },
    async save(record) {
      await mkdir(dir, { recursive: true, mode: 0o700 })
      writes += 1
      const temporary = `${recordPath(record.spec)}.${process.pid}-${writes}`
      await writeFile(temporary, `${JSON.stringify(record)}\n`, { mode: 0o600 })
      await rename(temporary, recordPath(record.spec))
    },
    async remove(name) {
      await rm(recordPath(name), { force: true })
      await rm(logPath(name), { force: true })
    },
    async openLog(name, isAgain) {
      await mkdir(dir, { recursive: true, mode: 0o700 })
      if (!isAgain) await rm(logPath(name), { force: true })
      return await open(logPath(name), 'a', 0o600)
    },
    async readLog(name) {
      const file = await open(logPath(name), 'r').catch(() => undefined)
      if (file === undefined) return ''
      try {
        const { size } = await file.stat()
        const { buffer, bytesRead } = await file.read({
          buffer: Buffer.alloc(Math.min(size, shownBytes)),
          position: Math.max(0, size - shownBytes),
        })
        return buffer.subarray(0, bytesRead).toString('utf8')
      } finally {
        await file.close()
      }
    },
    async boundLog(name) {
      const file = await open(logPath(name), 'r+').catch(() => undefined)
      if (file === undefined) return
      try {
        if ((await file.stat()).size > limits.daemonLogBytes) await file.truncate(0)
      } finally {
        await file.close()
      }
    },
  }
}
