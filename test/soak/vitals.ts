/** What must stay flat: memory, descriptors and child processes of one process, as the kernel counts them. Linux only. */
import { readdirSync, readFileSync } from 'node:fs'

export interface Vitals {
  readonly atS: number
  readonly rssMb: number
  readonly descriptors: number
  /** All below it, at any depth. */
  readonly processes: number
}

export function vitalsOf(pid: number, atS: number): Vitals {
  const pages = Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1])
  return {
    atS,
    rssMb: (pages * 4096) / (1024 * 1024),
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    processes: descendantsOf(pid),
  }
}

function descendantsOf(pid: number): number {
  const children = new Map<number, number[]>()
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'latin1')
      const parent = Number(stat.slice(stat.lastIndexOf(')')).split(' ')[2])
      children.set(parent, [...(children.get(parent) ?? []), Number(entry)])
    } catch {
      // It ended while we looked.
    }
  }
  const count = (of: number): number => (children.get(of) ?? []).reduce((sum, child) => sum + 1 + count(child), 0)
  return count(pid)
}

export interface Trend {
  readonly first: number
  readonly last: number
  readonly isFlat: boolean
}

/** The medians of the first and the last third after the warm-up; flat within `slack` and a tenth. */
export function trendOf(all: readonly Vitals[], of: (vitals: Vitals) => number, slack: number): Trend {
  const third = Math.max(1, Math.floor(all.length / 3))
  const median = (part: readonly Vitals[]) => part.map(of).sort((a, b) => a - b)[Math.floor(part.length / 2)] ?? 0
  const [first, last] = [median(all.slice(0, third)), median(all.slice(-third))]
  return { first, last, isFlat: last <= first * 1.1 + slack }
}
