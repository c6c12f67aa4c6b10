/** The processes of one command: those of its group, and on Linux also those that left it and can still be recognised. */
import { readdir, readFile, readlink } from 'node:fs/promises'
import { isWithin } from './absolute-path.ts'

const roundsMost = 5

/** Ends every process of the group at once; while its leader has not been waited for, nobody else can have its number. */
export function killGroup(leader: number): void {
  // 0 and 1 mean our own group and every process there is.
  if (leader > 1) kill(-leader)
}

/**
 * Which processes are looked at. Those with a higher number than the leader are all that it can have started, until the
 * numbers begin anew; there are few of them, and all of a large machine take a fifth of a second.
 */
type Search = 'all' | 'newer'

/**
 * Ends the group, unless its leader ended before, and what left it: descendants that are still tied to their parents,
 * processes of the command's session, and whoever stands in its scratch directory. What cut all three ties is not found; its
 * bound on processor time ends it.
 */
export async function killFamily(leader: number, isLeaderAlive: boolean, scratch: string | undefined, search: Search) {
  // Looked for first: who has lost the leader can no longer be traced back to it.
  let found = await familyOf(leader, isLeaderAlive, scratch, search)
  if (isLeaderAlive) killGroup(leader)
  for (let round = 0; found.length > 0 && round < roundsMost; round += 1) {
    for (const pid of found) kill(pid)
    found = await familyOf(leader, false, scratch, search)
  }
}

async function familyOf(
  leader: number,
  isLeaderAlive: boolean,
  scratch: string | undefined,
  search: Search,
): Promise<number[]> {
  const entries = (await readdir('/proc').catch(() => [])).filter(
    (entry) => /^\d+$/.test(entry) && (search === 'all' || Number(entry) > leader),
  )
  const rows = await Promise.all(
    entries.map(async (entry) => {
      const [stat, cwd] = await Promise.all([
        readFile(`/proc/${entry}/stat`, 'latin1').catch(() => ''),
        readlink(`/proc/${entry}/cwd`).catch(() => ''),
      ])
      // Behind the name, which may hold anything: state, parent, group, session.
      const [state, parent, , session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      const isIts = Number(session) === leader || (scratch !== undefined && isWithin(cwd, scratch))
      return { pid: Number(entry), parent: Number(parent), isIts, isGone: state === 'Z' || stat === '' }
    }),
  )
  const family = new Set(isLeaderAlive ? [leader] : [])
  for (let before = -1; before !== family.size; ) {
    before = family.size
    for (const { pid, parent, isIts, isGone } of rows) if (!isGone && (isIts || family.has(parent))) family.add(pid)
  }
  return [...family].filter((pid) => pid !== leader && pid !== process.pid)
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It ended by itself.
  }
}
