/** What an earlier controller left: which of its replicas still run, which have died, and what of the dead ones is still about. */
import type { ProcessRecord, Records } from './process-record.ts'
import { type Marked, markedBy, type ProcessTable } from './process-table.ts'

export interface Found {
  /** Run now; their records are complete again. */
  readonly running: readonly ProcessRecord[]
  /** Ran when the earlier controller ended. Processes they had started may still be there. */
  readonly died: readonly ProcessRecord[]
  /** Had ended before; only their logs are kept. */
  readonly ended: readonly ProcessRecord[]
  /** Had ended before, but something they started still runs. */
  readonly lingering: readonly ProcessRecord[]
}

export async function findReplicas(deps: {
  records: Records
  table: ProcessTable
  ownerId: string
  bootId: string
  nowMs: number
}): Promise<Found> {
  const { records, table, ownerId, bootId, nowMs } = deps
  const marked = await markedBy(table, ownerId)
  const running: ProcessRecord[] = []
  const died: ProcessRecord[] = []
  const ended: ProcessRecord[] = []
  const lingering: ProcessRecord[] = []

  const sort = async (record: ProcessRecord) => {
    const marks = marked.get(record.id) ?? []
    marked.delete(record.id)
    if (record.endedAtMs !== undefined) return (marks.length > 0 ? lingering : ended).push(record)
    const leader = await findLeader(table, record, bootId, marks)
    if (leader) return running.push({ ...record, ...leader, bootId })
    return died.push({ ...record, endedAtMs: nowMs, exit: { code: null, signal: null } })
  }

  for (const { id, record } of await records.all()) {
    if (record && record.ownerId !== ownerId) continue
    if (record) await sort(record)
    // Torn by a crash: the process, if it was started at all, tells the same by its environment.
    else if (!marked.has(id)) await records.remove(id)
  }
  for (const [id, marks] of [...marked]) {
    const record = recordFrom(marks, ownerId, bootId, nowMs)
    if (!record || !records.isValidId(id)) continue
    await records.create(record).catch(() => records.save(record))
    await sort(record)
  }
  return { running, died, ended, lingering }
}

/** The recorded process if it is still the same one; without a recorded pid, the oldest marked one that leads a session. */
async function findLeader(
  table: ProcessTable,
  record: ProcessRecord,
  bootId: string,
  marks: readonly Marked[],
): Promise<{ pid: number; startTime: number } | undefined> {
  if (record.pid !== undefined && record.startTime !== undefined) {
    const process = record.bootId === bootId ? await table.get(record.pid) : undefined
    const isSame = process?.isAlive && process.startTime === record.startTime
    return isSame ? { pid: record.pid, startTime: record.startTime } : undefined
  }
  const leader = marks.find(({ process }) => process.pid === process.sessionId)?.process
  return leader && { pid: leader.pid, startTime: leader.startTime }
}

function recordFrom(
  marks: readonly Marked[],
  ownerId: string,
  bootId: string,
  nowMs: number,
): ProcessRecord | undefined {
  const environment = marks[0]?.environment
  const read = (name: string) => environment?.get(name) ?? ''
  const port = Number(read('PORT'))
  const id = read('ORCHESTRY_INSTANCE')
  const app = read('ORCHESTRY_APP')
  if (!id || !app || !Number.isInteger(port)) return undefined
  const version = read('ORCHESTRY_VERSION')
  // Where traffic went is not in the environment when the app chose a HOST of its own; loopback is where all replicas are.
  return { id, app, version, ownerId, host: '127.0.0.1', port, startedAtMs: nowMs, bootId }
}
