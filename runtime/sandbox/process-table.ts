/** Reads and ends processes as the kernel lists them. What cannot be read is gone, or never was. */
import { readFileSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'

const pageMb = 4096 / (1024 * 1024)
/** The kernel counts in hundredths of a second for everybody who asks it, whatever it counts in itself. */
const kernelTickMs = 10

const read = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return undefined
  }
}

/** From its third field on: the name before stands in brackets and may hold anything, but no bracket follows it. */
const statOf = (pid: number): string[] => {
  const stat = read(`/proc/${pid}/stat`) ?? ''
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
}

/** Resident memory; 0 when it is gone. */
export function residentMb(pid: number): number {
  return Number(read(`/proc/${pid}/statm`)?.split(' ')[1] ?? 0) * pageMb
}

/** Processor time since its start, of all its threads, in user and system; 0 when it is gone. */
export function usedCpuMs(pid: number): number {
  const fields = statOf(pid)
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * kernelTickMs
}

/** Of two processes with one number, tells which is which; undefined when it has ended, noted by its parent or not. */
export function startTimeOf(pid: number): string | undefined {
  const fields = statOf(pid)
  return /^[ZX]/.test(fields[0] ?? '') ? undefined : fields[19]
}

export async function childrenOf(pid: number): Promise<number[]> {
  const listed = read(`/proc/${pid}/task/${pid}/children`)
  if (listed !== undefined) return listed.split(' ').filter(Boolean).map(Number)
  // A kernel that keeps no such list.
  return (await allPids()).filter((candidate) => Number(statOf(candidate)[1]) === pid)
}

/** Sends SIGKILL to every process of a user; how many there were. */
export async function endUser(uid: number): Promise<number> {
  const owned = await Promise.all((await allPids()).map(async (pid) => ((await userOf(pid)) === uid ? pid : undefined)))
  const found = owned.filter((pid) => pid !== undefined)
  for (const pid of found) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It is gone already.
    }
  }
  return found.length
}

const allPids = async () => (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)

async function userOf(pid: number): Promise<number | undefined> {
  const status = await readFile(`/proc/${pid}/status`, 'latin1').catch(() => '')
  // What has ended and waits for its parent to take note of it cannot be ended again.
  if (/^State:\s+[ZX]/m.test(status)) return undefined
  return Number(/^Uid:\s+(\d+)/m.exec(status)?.[1] ?? Number.NaN)
}
