/**
 * The process table where there is no /proc (macOS, BSD), through `ps`. Coarser: CPU time and start time in whole seconds, no
 * sessions, no environment. A replica whose record was lost cannot be found again here.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { messageOf, OrchestryError } from '../errors.ts'
import type { ProcessInfo, ProcessTable } from './process-table.ts'

const run = promisify(execFile)
const columns = 'pid=,pgid=,state=,lstart=,rss=,time='

export function createPs(): ProcessTable {
  const ask = async (selection: readonly string[]): Promise<ProcessInfo[]> => {
    const options = { env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' }, maxBuffer: 16 * 1024 * 1024 }
    // ps answers 1 when no process fits the selection.
    const { stdout } = await run('ps', [...selection, '-o', columns], options).catch((error: { code?: unknown }) => {
      if (error.code === 1) return { stdout: '' }
      throw new OrchestryError(
        'ORC_DRIVER_UNAVAILABLE',
        `The process driver cannot see processes, because \`ps\` does not run here: ${messageOf(error)}. It works on Linux, macOS and BSD.`,
        { cause: error },
      )
    })
    return stdout.split('\n').flatMap((line) => parsePsLine(line) ?? [])
  }
  return {
    pollMs: 1000,
    get: async (pid) => (await ask(['-p', String(pid)]))[0],
    all: () => ask(['-ax']),
    // Start times are wall-clock times here, so a boot needs no name of its own.
    bootId: async () => '',
    environmentOf: async () => new Map(),
  }
}

/** `  12   12 Ss Sun Nov 22 15:22:24 2026  20600  1-00:00:05` */
export function parsePsLine(line: string): ProcessInfo | undefined {
  const [pid, groupId, state = '', ...rest] = line.trim().split(/\s+/)
  const [, month, day, time, year, rss, cpu = ''] = rest
  const startTime = Date.parse(`${month} ${day} ${year} ${time} UTC`)
  if (!pid || Number.isNaN(startTime)) return undefined
  return {
    pid: Number(pid),
    groupId: Number(groupId),
    sessionId: 0,
    startTime,
    isAlive: !state.startsWith('Z'),
    cpuMs: parseCpuTime(cpu) * 1000,
    rssBytes: Number(rss) * 1024,
  }
}

/** `[days-][hours:]minutes:seconds`, the seconds with a fraction on macOS. */
function parseCpuTime(text: string): number {
  const [clock = '', days = '0'] = text.split('-').reverse()
  return clock.split(':').reduce((sum, part) => sum * 60 + Number(part), 0) + Number(days) * 86_400
}
