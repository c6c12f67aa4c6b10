/** What the kernel knows of processes that we started. Linux only: `hasProc` says whether any of it can be had. */
import { existsSync, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { waitFor } from '../support/wait-for.ts'

export const hasProc = existsSync(`/proc/self/task/${process.pid}/children`)

/** Pids of the sandbox processes of this process: those that serve and those that wait. */
export function sandboxPids(): number[] {
  return readFileSync(`/proc/self/task/${process.pid}/children`, 'latin1')
    .split(' ')
    .filter((pid) => pid !== '')
    .filter((pid) => commandOf(Number(pid)).some((word) => /[\\/]sandbox-host-[0-9a-f]+\.cjs$/.test(word)))
    .map(Number)
}

function commandOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
  } catch {
    return []
  }
}

export const isGone = (pid: number): boolean => !existsSync(`/proc/${pid}/stat`)

const ticksPerSecond = 100

/** CPU time that a process has used so far. */
export async function cpuSeconds(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1')
  // The second field is a name in brackets that may hold spaces.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
}

export interface Weight {
  /** Proportional set size: what it uses alone, and its share of what it has in common with others. */
  readonly pssMb: number
  /** What it uses alone: the same however many others run the same program. */
  readonly privateMb: number
}

export async function weightOf(pid: number): Promise<Weight> {
  const rollup = await readFile(`/proc/${pid}/smaps_rollup`, 'latin1')
  const mb = (field: string) => {
    const kb = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(rollup)?.[1]
    if (kb === undefined) throw new Error(`/proc/${pid}/smaps_rollup names no ${field}`)
    return Number(kb) / 1024
  }
  return { pssMb: mb('Pss'), privateMb: mb('Private_Clean') + mb('Private_Dirty') }
}

/** Resolves with the one process that waits as a spare beside the given ones, once it has nothing left to do. */
export function settledSpare(serving: readonly (number | undefined)[]): Promise<number> {
  let before = ''
  let quietLooks = 0
  return waitFor(
    async () => {
      const [spare, ...others] = sandboxPids().filter((pid) => !serving.includes(pid))
      // Others are about to end; they must not take time from what is measured next.
      if (spare === undefined || others.length > 0) return undefined
      const usedSeconds = await cpuSeconds(spare)
      const now = `${spare} ${usedSeconds}`
      quietLooks = now === before && usedSeconds > 0 ? quietLooks + 1 : 0
      before = now
      return quietLooks >= 2 ? spare : undefined
    },
    { everyMs: 60, what: 'one idle spare' },
  )
}
