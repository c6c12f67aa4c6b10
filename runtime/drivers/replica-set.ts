/** The replicas that the process driver knows to run: how their end is noticed, and how they are ended. */
import type { Clock } from '../clock.ts'
import { messageOf } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Instance } from './driver.ts'
import { endGroup } from './process-group.ts'
import { instanceOf, type ProcessRecord } from './process-record.ts'
import type { ProcessTable } from './process-table.ts'

/** For what a replica leaves running when it ends by itself. */
const leftoverGraceMs = 1_000
/** Longest wait for the exit code of our own child once it is gone. */
const exitCodeMs = 1_000

export interface Replica {
  record: ProcessRecord
  /** Our own child: the system reports its end to us. Others are looked at. */
  readonly isChild: boolean
  /** Aborted when the leader has ended; others of its group may still run. */
  readonly exited: AbortController
  ending?: { killAtMs: number; readonly done: Promise<void> }
}

export type Exit = { readonly code: number | null; readonly signal: string | null }

export interface ReplicaSet {
  get(id: string): Replica | undefined
  all(): Replica[]
  add(record: ProcessRecord, options: { isChild: boolean; hasExited?: boolean }): Replica
  /** Takes in that the leader has ended, once. What it left running is ended too. */
  exited(replica: Replica, exit: Exit): void
  /** Resolves when nothing of the replica is left. A second call can only shorten the grace time of the first. */
  end(replica: Replica, graceMs: number): Promise<void>
  /** Ends in the background what a dead leader left running. */
  endLeftovers(replica: Replica): void
  /** Looks at the adopted ones now. */
  poll(): Promise<void>
  /** Nothing is reported after this. */
  close(): void
}

export function createReplicaSet(deps: {
  table: ProcessTable
  clock: Clock
  log: Log
  /** The leader of a replica ended and nobody had asked it to. */
  onExit(instance: Instance): void
  /** Nothing is left of the replica; its record says how it ended. */
  onGone(record: ProcessRecord): Promise<void>
}): ReplicaSet {
  const { table, clock, log } = deps
  const replicas = new Map<string, Replica>()
  let isClosed = false
  let stopPolling: (() => void) | undefined

  const exited = (replica: Replica, exit: Exit) => {
    if (replica.exited.signal.aborted) return
    replica.record = { ...replica.record, endedAtMs: clock.now(), exit }
    replica.exited.abort()
    if (isClosed || replica.ending) return
    deps.onExit(instanceOf(replica.record))
    endLeftovers(replica)
  }
  const endLeftovers = (replica: Replica) => {
    end(replica, leftoverGraceMs).catch((error: unknown) => {
      log.warn({ instance: replica.record.id, error: messageOf(error) }, 'what a replica left could not be ended')
    })
  }

  const endAll = async (replica: Replica, killAtMs: () => number) => {
    const { isChild, exited: leaderExit } = replica
    const isGroupKnown = !leaderExit.signal.aborted || isChild
    await endGroup({ table, clock, subject: replica.record, killAtMs, leaderExit: leaderExit.signal, isGroupKnown })
    // Our child is a zombie until Node has heard of it: its exit code comes a moment after its end.
    if (isChild) await clock.sleep(exitCodeMs, leaderExit.signal)
    exited(replica, { code: null, signal: null })
    await deps.onGone(replica.record)
    replicas.delete(replica.record.id)
  }

  const end = (replica: Replica, graceMs: number): Promise<void> => {
    const killAtMs = clock.monotonic() + graceMs
    if (replica.ending) {
      replica.ending.killAtMs = Math.min(replica.ending.killAtMs, killAtMs)
      return replica.ending.done
    }
    const done = Promise.resolve()
      .then(() => endAll(replica, () => replica.ending?.killAtMs ?? killAtMs))
      .catch((error: unknown) => {
        // It can be asked again.
        delete replica.ending
        throw error
      })
    replica.ending = { killAtMs, done }
    return done
  }

  const poll = async () => {
    const adopted = [...replicas.values()].filter((replica) => !replica.isChild && !replica.exited.signal.aborted)
    if (adopted.length === 0) {
      stopPolling?.()
      stopPolling = undefined
    }
    const looks = adopted.map(async (replica) => {
      const found = await table.get(replica.record.pid ?? 0)
      const isSame = found?.isAlive && found.startTime === replica.record.startTime
      if (!isSame) exited(replica, { code: null, signal: null })
    })
    await Promise.all(looks)
  }
  const pollQuietly = () =>
    void poll().catch((error: unknown) => log.warn({ error: messageOf(error) }, 'adopted replicas could not be seen'))

  return {
    get: (id) => replicas.get(id),
    all: () => [...replicas.values()],
    add: (record, { isChild, hasExited = false }) => {
      const replica: Replica = { record, isChild, exited: new AbortController() }
      if (hasExited) replica.exited.abort()
      replicas.set(record.id, replica)
      if (!isChild && !hasExited) stopPolling ??= clock.every(table.pollMs, pollQuietly)
      return replica
    },
    exited,
    end,
    endLeftovers,
    poll,
    close: () => {
      isClosed = true
      stopPolling?.()
    },
  }
}
