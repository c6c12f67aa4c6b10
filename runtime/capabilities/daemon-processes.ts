/** The processes of one server, as Linux tells of them. */
import { readdir, readFile, readlink } from 'node:fs/promises'
import { isWithin } from './absolute-path.ts'

/** Tells a process from a later one of the same number: the boot, and its start within it. */
export async function startOf(pid: number): Promise<string | undefined> {
  const fields = await statOf(String(pid))
  if (fields === undefined || fields[0] === 'Z' || fields[0] === 'X') return undefined
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'latin1').catch(() => '')
  return `${boot.trim()} ${fields[19]}`
}

/** All living processes of this session. Its number is nobody else's while a single one of them is there. */
export async function sessionOf(leader: number): Promise<number[]> {
  return await processesWhere(async (entry) => Number((await statOf(entry))?.[3]) === leader)
}

/** All living processes that work in this directory. */
export async function processesIn(dir: string): Promise<number[]> {
  return await processesWhere(async (entry) => isWithin(await readlink(`/proc/${entry}/cwd`).catch(() => ''), dir))
}

async function processesWhere(isIts: (entry: string) => Promise<boolean>): Promise<number[]> {
  const entries = (await readdir('/proc').catch(() => [])).filter((entry) => /^\d+$/.test(entry))
  const found = await Promise.all(
    entries.map(async (entry) => {
      const state = (await isIts(entry)) ? (await statOf(entry))?.[0] : undefined
      return state === undefined || state === 'Z' || state === 'X' ? [] : [Number(entry)]
    }),
  )
  return found.flat().filter((pid) => pid > 1 && pid !== process.pid)
}

/** Behind the name, which may hold anything: state, parent, group, session, …, start time as the twentieth. */
async function statOf(entry: string): Promise<string[] | undefined> {
  const stat = await readFile(`/proc/${entry}/stat`, 'latin1').catch(() => undefined)
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')
}

export function send(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal)
    return true
  } catch {
    // It ended by itself.
    return false
  }
}
