/** Ends everything a replica has started: asks first, forces after the grace time, and looks until nothing is left. */
import type { Clock } from '../clock.ts'
import { OrchestryError } from '../errors.ts'
import { membersOf, type ProcessInfo, type ProcessTable, type Subject } from './process-table.ts'

/** A killed process that is still there after this long hangs in the kernel (a dead disk, a dead NFS server). */
const killedForMs = 5_000
const firstPauseMs = 10
const longestPauseMs = 200

export interface Ending {
  readonly table: ProcessTable
  readonly clock: Pick<Clock, 'monotonic' | 'sleep'>
  readonly subject: Subject
  /** On the monotonic clock; may move while we wait. */
  killAtMs(): number
  /** Aborted when the leader's exit is reported to us, so that we need not wait for the next look. */
  readonly leaderExit?: AbortSignal
  /** Whether the leader was watched until now, see `membersOf`. */
  readonly isGroupKnown: boolean
}

/** Resolves when no process of the replica is left. Throws ORC_DRIVER_UNAVAILABLE when some cannot be killed. */
export async function endGroup(ending: Ending): Promise<void> {
  const { table, clock, subject, leaderExit } = ending
  const asked = new Set<number>()
  if (await isLeaderAlive(ending)) signalAll(subject, 'SIGTERM', [], asked)
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
    const isForced = clock.monotonic() >= ending.killAtMs()
    const isLeading = await isLeaderAlive(ending)
    // While the leader works on ending, a look at all processes of the machine would tell nothing new.
    if (isForced || !isLeading) {
      const members = await membersOf(table, subject, ending)
      if (members.length === 0) return
      if (clock.monotonic() > ending.killAtMs() + killedForMs) throw notKilled(subject, members)
      if (isForced) signalAll(subject, 'SIGKILL', members, new Set())
      else signalAll(subject, 'SIGTERM', members, asked)
    }
    const untilKillMs = isForced ? pauseMs : ending.killAtMs() - clock.monotonic()
    await clock.sleep(Math.max(1, Math.min(pauseMs, untilKillMs)), isLeading ? leaderExit : undefined)
  }
}

async function isLeaderAlive({ table, subject, leaderExit }: Ending): Promise<boolean> {
  if (subject.pid === undefined || leaderExit?.aborted) return false
  const leader = await table.get(subject.pid)
  return leader?.isAlive === true && leader.startTime === subject.startTime
}

/** The group as one, where there still is one of ours, and everything outside of it one by one; each process only once. */
function signalAll(
  subject: Subject,
  signal: 'SIGTERM' | 'SIGKILL',
  members: readonly ProcessInfo[],
  asked: Set<number>,
): void {
  const { pid } = subject
  const isGroupOurs = members.length === 0 || members.some((member) => member.groupId === pid)
  if (pid !== undefined && isGroupOurs && !asked.has(-pid)) {
    asked.add(-pid)
    send(-pid, signal)
  }
  for (const member of members) {
    if (member.groupId === pid || asked.has(member.pid)) continue
    asked.add(member.pid)
    send(member.pid, signal)
  }
}

function send(pid: number, signal: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(pid, signal)
  } catch {
    // Gone already, or of another user: the next look tells which.
  }
}

function notKilled(subject: Subject, members: readonly ProcessInfo[]): OrchestryError {
  const pids = members.map((member) => member.pid).join(', ')
  return new OrchestryError(
    'ORC_DRIVER_UNAVAILABLE',
    `Replica ${subject.id} got SIGKILL but process ${pids} is still there ${killedForMs / 1000} s later: it belongs to another ` +
      'user or hangs in the kernel (see its state in `ps`). Nothing else was touched; stopping it is tried again when asked.',
  )
}
