/** What replicas use, from two looks at the process table. */
import { totalmem } from 'node:os'
import type { Clock } from '../clock.ts'
import type { Usage } from './driver.ts'
import type { ProcessInfo } from './process-table.ts'

/** CPU time comes in steps of 10 ms, so a shorter span says little. */
const shortestSpanMs = 250

/** One look at the processes of one replica. */
export interface Reading {
  readonly atMs: number
  /** CPU time by pid and start time. */
  readonly cpuMs: ReadonlyMap<string, number>
}

export interface Bounds {
  readonly cpuMilli?: number | undefined
  readonly memoryBytes?: number | undefined
}

const keyOf = (process: ProcessInfo) => `${process.pid}:${process.startTime}`

export function readingOf(processes: readonly ProcessInfo[], atMs: number): Reading {
  return { atMs, cpuMs: new Map(processes.map((process) => [keyOf(process), process.cpuMs])) }
}

/**
 * CPU is what the processes that live now have used since the earlier reading (a new one: since its start), in percent of
 * `cpuMilli` or of one core; it can pass 100, because a plain process is measured, not held. Memory is the sum of resident
 * sizes: pages that the processes of one replica share count once for each.
 */
export function usageBetween(
  before: Reading,
  processes: readonly ProcessInfo[],
  atMs: number,
  bounds: Bounds,
  machineBytes: number,
): Usage {
  const usedMs = processes.reduce(
    (sum, process) => sum + Math.max(0, process.cpuMs - (before.cpuMs.get(keyOf(process)) ?? 0)),
    0,
  )
  const memoryBytes = processes.reduce((sum, process) => sum + process.rssBytes, 0)
  const cores = (bounds.cpuMilli ?? 1000) / 1000
  return {
    cpuPercent: (usedMs / Math.max(1, atMs - before.atMs) / cores) * 100,
    memoryPercent: (memoryBytes / (bounds.memoryBytes ?? machineBytes)) * 100,
    memoryBytes,
  }
}

export interface Measured extends Bounds {
  readonly id: string
  readonly pid: number
}

export interface UsageMeter {
  /** A replica that starts now: its first usage is measured from here. */
  begin(id: string): void
  /** One that was found running has no usage until the second time, because what it used before is no reading of now. */
  measure(replicas: readonly Measured[], processes: readonly ProcessInfo[]): Map<string, Usage>
  forget(id: string): void
}

export function createUsageMeter(clock: Pick<Clock, 'monotonic'>): UsageMeter {
  const readings = new Map<string, { reading: Reading; usage?: Usage }>()
  const limitBytes = process.constrainedMemory()
  const machineBytes = limitBytes > 0 ? Math.min(limitBytes, totalmem()) : totalmem()
  return {
    begin: (id) => {
      readings.set(id, { reading: readingOf([], clock.monotonic()) })
    },
    measure: (replicas, processes) => {
      const atMs = clock.monotonic()
      const usages = new Map<string, Usage>()
      const alive = processes.filter((process) => process.isAlive)
      for (const { id, pid, ...bounds } of replicas) {
        const own = alive.filter((process) => process.groupId === pid || process.sessionId === pid)
        const before = readings.get(id)
        if (own.length === 0) continue
        if (!before) {
          readings.set(id, { reading: readingOf(own, atMs) })
          continue
        }
        // Two that ask at nearly the same time get the same answer instead of spoiling each other's span.
        if (before.usage && atMs - before.reading.atMs < shortestSpanMs) {
          usages.set(id, before.usage)
          continue
        }
        const usage = usageBetween(before.reading, own, atMs, bounds, machineBytes)
        usages.set(id, usage)
        if (atMs - before.reading.atMs >= shortestSpanMs) readings.set(id, { reading: readingOf(own, atMs), usage })
      }
      return usages
    },
    forget: (id) => {
      readings.delete(id)
    },
  }
}
