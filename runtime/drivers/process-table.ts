/** What the operating system says of processes: the narrow port that the process driver reads, /proc or ps behind it. */

export interface ProcessInfo {
  readonly pid: number
  readonly groupId: number
  /** 0 where the system does not tell. */
  readonly sessionId: number
  /** In a unit of the system's own that only grows. The same pid with another start time is another process. */
  readonly startTime: number
  /** A zombie is not alive: it runs nothing and holds nothing but its pid. */
  readonly isAlive: boolean
  readonly cpuMs: number
  readonly rssBytes: number
}

export interface ProcessTable {
  /** Changes with every boot: a pid and a start time of an earlier boot say nothing. */
  bootId(): Promise<string>
  get(pid: number): Promise<ProcessInfo | undefined>
  all(): Promise<readonly ProcessInfo[]>
  /** The environment a process was started with; empty when it cannot be read. */
  environmentOf(pid: number): Promise<ReadonlyMap<string, string>>
  /** How often it is reasonable to ask. */
  readonly pollMs: number
}

/** The leader of a replica's process group, and the marks its environment carries. */
export interface Subject {
  readonly ownerId: string
  readonly id: string
  readonly pid?: number
  readonly startTime?: number
}

/**
 * Every living process of a replica: its group, its session (a shell with job control makes groups of its own), and on Linux what
 * left both but still carries the mark in its environment (a daemon that forked twice).
 * `isGroupKnown` false: nobody watched the leader until now, so when it is gone its number may mean strangers; only marks count.
 */
export async function membersOf(
  table: ProcessTable,
  subject: Subject,
  options: { isGroupKnown: boolean },
): Promise<ProcessInfo[]> {
  const { pid, startTime = 0 } = subject
  const all = await table.all()
  const leader = all.find((process) => process.pid === pid)
  const isOurs = leader ? leader.startTime === startTime : options.isGroupKnown
  const alive = all.filter((process) => process.isAlive)
  const isInGroup = (process: ProcessInfo) => isOurs && (process.groupId === pid || process.sessionId === pid)
  const strays = alive.filter((process) => !isInGroup(process) && process.startTime >= startTime)
  const areMarked = await Promise.all(strays.map((process) => isMarked(table, process.pid, subject)))
  return [...alive.filter(isInGroup), ...strays.filter((_, index) => areMarked[index])]
}

async function isMarked(table: ProcessTable, pid: number, subject: Subject): Promise<boolean> {
  const environment = await table.environmentOf(pid)
  return environment.get('ORCHESTRY_OWNER') === subject.ownerId && environment.get('ORCHESTRY_INSTANCE') === subject.id
}

export interface Marked {
  readonly process: ProcessInfo
  readonly environment: ReadonlyMap<string, string>
}

/** All living processes that carry this owner's mark, by instance, oldest first. */
export async function markedBy(table: ProcessTable, ownerId: string): Promise<Map<string, Marked[]>> {
  const alive = (await table.all()).filter((process) => process.isAlive)
  const marked = await Promise.all(
    alive.map(async (process) => ({ process, environment: await table.environmentOf(process.pid) })),
  )
  return Map.groupBy(
    marked
      .filter(({ environment }) => environment.get('ORCHESTRY_OWNER') === ownerId)
      .sort((a, b) => a.process.startTime - b.process.startTime),
    ({ environment }) => environment.get('ORCHESTRY_INSTANCE') ?? '',
  )
}
