/** The processes of one server, as Linux tells of them. */
import { readdir, readFile, readlink } from 'node:fs/promises'
import { isWithin } from './absolute-path.ts'
import { commandOwner } from './exec-confine.ts'

/** Tells a process from a later one of the same number: the boot, and its start within it. */
export async function startOf(pid: number): Promise<string | undefined> {
  const fields = await statOf(String(pid))
  if (fields === undefined || fields[0] === 'Z' || fields[0] === 'X') return undefined
  return `${await bootId()} ${fields[19]}`
}

/** As `startOf`, of one that had ended before it could be looked at. */
export const endedStart = async (): Promise<string> => `${await bootId()} 0`

/**
 * All living processes of the session that this process began. Its number is nobody else's while a single one of them is there, but
 * may be a stranger's afterwards, and after a boot it is: what cannot be of this server is left out.
 *
 * @param known of the leader, see `startOf`
 */
export async function sessionOf(leader: number, known: string): Promise<number[]> {
  const boot = await bootId()
  if (!known.startsWith(`${boot} `)) return []
  const fields = await statOf(String(leader))
  if (fields !== undefined && `${boot} ${fields[19]}` !== known) return []
  return await processesWhere(async (entry) => Number((await statOf(entry))?.[3]) === leader)
}

/** All living processes that work in this directory. */
export async function processesIn(dir: string): Promise<number[]> {
  return await processesWhere(async (entry) => isWithin(await readlink(`/proc/${entry}/cwd`).catch(() => ''), dir))
}

/** All of the sessions that these processes are in; of none that we are in. */
export async function sessionsOf(pids: readonly number[]): Promise<number[]> {
  const session = async (entry: string) => (await statOf(entry))?.[3]
  const own = await session(String(process.pid))
  const found = new Set(await Promise.all(pids.map((pid) => session(String(pid)))))
  return await processesWhere(async (entry) => {
    const its = await session(entry)
    return its !== undefined && its !== own && found.has(its)
  })
}

/** Only of those that run as commands do: nobody else's process is ever taken for one of a server. */
async function processesWhere(isIts: (entry: string) => Promise<boolean>): Promise<number[]> {
  const entries = (await readdir('/proc').catch(() => [])).filter((entry) => /^\d+$/.test(entry))
  const found = await Promise.all(
    entries.map(async (entry) => {
      const state = (await isIts(entry)) && (await isOfCommands(entry)) ? (await statOf(entry))?.[0] : undefined
      return state === undefined || state === 'Z' || state === 'X' ? [] : [Number(entry)]
    }),
  )
  return found.flat().filter((pid) => pid > 1 && pid !== process.pid)
}

async function isOfCommands(entry: string): Promise<boolean> {
  const status = await readFile(`/proc/${entry}/status`, 'latin1').catch(() => '')
  return Number(/^Uid:\s+(\d+)/m.exec(status)?.[1]) === (commandOwner() ?? process.getuid?.())
}

const bootId = async () => (await readFile('/proc/sys/kernel/random/boot_id', 'latin1').catch(() => '')).trim()

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
