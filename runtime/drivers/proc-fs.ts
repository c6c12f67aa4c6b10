/** The process table of Linux, read from /proc. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ProcessInfo, ProcessTable } from './process-table.ts'

/** Files of /proc that are open at once: more would only take the threads that disk writes need. */
const readsAtOnce = 32

export function createProcFs(root = '/proc'): ProcessTable {
  const units = readUnits(root)
  const inTurn = createTurns(readsAtOnce)
  /** Empty when the process has gone or may not be looked at. */
  const readOf = (pid: number, file: string, encoding: BufferEncoding) =>
    inTurn(() => readFile(join(root, String(pid), file), encoding).catch(() => ''))
  const read = async (pid: number) => parseStat(await readOf(pid, 'stat', 'latin1'), await units)
  const scan = async () => {
    const pids = (await readdir(root)).map(Number).filter((pid) => pid > 0)
    return (await Promise.all(pids.map(read))).filter((process) => process !== undefined)
  }
  return {
    pollMs: 100,
    get: read,
    all: shareRuns(scan),
    bootId: async () => (await readFile(join(root, 'sys/kernel/random/boot_id'), 'utf8')).trim(),
    environmentOf: async (pid) => parseEnvironment(await readOf(pid, 'environ', 'utf8')),
  }
}

/** Fields by their place after the name, which stands in parentheses and may hold anything, parentheses too (see proc(5)). */
export function parseStat(text: string, units: { msPerTick: number; pageBytes: number }): ProcessInfo | undefined {
  const end = text.lastIndexOf(')')
  const pid = Number.parseInt(text, 10)
  const fields = text.slice(end + 2).split(' ')
  const field = (index: number) => Number(fields[index])
  if (end < 0 || !(pid > 0) || fields.length < 22) return undefined
  return {
    pid,
    groupId: field(2),
    sessionId: field(3),
    startTime: field(19),
    isAlive: !['Z', 'X', 'x'].includes(fields[0] ?? ''),
    cpuMs: (field(11) + field(12)) * units.msPerTick,
    rssBytes: field(21) * units.pageBytes,
  }
}

function parseEnvironment(text: string): Map<string, string> {
  const entries = new Map<string, string>()
  for (const entry of text.split('\0')) {
    const equals = entry.indexOf('=')
    if (equals > 0) entries.set(entry.slice(0, equals), entry.slice(equals + 1))
  }
  return entries
}

const auxPageSize = 6n
const auxTicksPerSecond = 17n

/** Page size and clock ticks differ between machines (arm64: 16 and 64 KiB pages); the kernel told us both at start. */
async function readUnits(root: string): Promise<{ msPerTick: number; pageBytes: number }> {
  const units = { msPerTick: 10, pageBytes: 4096 }
  const vector = await readFile(join(root, 'self/auxv')).catch(() => Buffer.alloc(0))
  for (let at = 0; at + 16 <= vector.length; at += 16) {
    const type = vector.readBigUInt64LE(at)
    const value = Number(vector.readBigUInt64LE(at + 8))
    if (type === auxPageSize) units.pageBytes = value
    if (type === auxTicksPerSecond) units.msPerTick = 1000 / value
  }
  return units
}

/** At most `atOnce` of the runs at a time, the rest in order. */
function createTurns(atOnce: number): <T>(run: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = []
  let running = 0
  return async (run) => {
    if (running >= atOnce) await new Promise<void>((resolve) => waiting.push(resolve))
    else running += 1
    try {
      return await run()
    } finally {
      // Whoever waits takes over our turn, so the count stays.
      const next = waiting.shift()
      if (next) next()
      else running -= 1
    }
  }
}

/** Callers that come while one run is under way share the next one: never an answer from before the question. */
function shareRuns<T>(run: () => Promise<T>): () => Promise<T> {
  let current: Promise<T> | undefined
  let next: Promise<T> | undefined
  const begin = (): Promise<T> => {
    const promise = run().finally(() => {
      if (current === promise) current = undefined
    })
    current = promise
    return promise
  }
  return () => {
    if (!current) return begin()
    next ??= current
      .catch(() => undefined)
      .then(() => {
        next = undefined
        return begin()
      })
    return next
  }
}
