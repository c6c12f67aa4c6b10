/**
 * Runs replicas as processes of this machine, each leader of a session and group of its own. They write their logs themselves and
 * hold nothing of ours, so they outlive us; the next driver on the same data directory adopts them. It measures what they use and
 * does not limit it: `prlimit --as` breaks V8, and cgroups need rights that an ordinary user lacks. Linux; elsewhere see ps.ts.
 */
import type { Clock } from '../clock.ts'
import { messageOf, OrchestryError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { Log } from '../log.ts'
import { findReplicas } from './adoption.ts'
import type { Driver, DriverEvent, Instance, LogLine } from './driver.ts'
import { createLaunch } from './launch.ts'
import { createLogBound } from './log-bound.ts'
import { createLogCursor } from './log-cursor.ts'
import { tailLog } from './log-file.ts'
import { createPorts } from './port.ts'
import { createProcFs } from './proc-fs.ts'
import { followFiles } from './process-follow.ts'
import { createHistory } from './process-history.ts'
import { createRecords, instanceOf, type ProcessRecord } from './process-record.ts'
import type { ProcessTable } from './process-table.ts'
import { createPs } from './ps.ts'
import { createReplicaSet } from './replica-set.ts'
import { createUsageMeter } from './usage.ts'

/** stdout and stderr, each live and cut off: four files share what one instance may keep. */
const logShareBytes = limits.instanceLogBytes / 4
const mostLines = 10_000
/** Ends that wait to be listed, should nobody list. */
const mostUnreported = 1_000
/** `close` is told no grace time; whoever wants another one stops the replicas first. */
const closeGraceMs = 5_000

export interface ProcessDriverDeps {
  /** The driver keeps a folder `processes` in it. */
  readonly dataDir: string
  /** Of the controller, the same after a restart: marks replicas as its own. */
  readonly ownerId: string
  readonly clock: Clock
  readonly log: Log
  /** Address that replicas are told to listen on and that traffic reaches them by. */
  readonly host?: string
  readonly table?: ProcessTable
}

export function createProcessDriver(deps: ProcessDriverDeps): Driver {
  const { dataDir, ownerId, clock, log, host = '127.0.0.1' } = deps
  const table = deps.table ?? (process.platform === 'linux' ? createProcFs() : createPs())
  const records = createRecords(dataDir)
  const history = createHistory(records, (id) => logBound.forget(records.logPaths(id)))
  const ports = createPorts(host)
  const meter = createUsageMeter(clock)
  const listeners = new Set<(event: DriverEvent) => void>()
  const starting = new Set<Promise<Instance>>()
  const unreported: Instance[] = []
  let adopting: Promise<string> | undefined
  let closing: Promise<void> | undefined

  const save = (record: ProcessRecord) =>
    records.save(record).catch((error: unknown) => {
      // It goes on: on Linux the mark in the replica's environment says the same as the record.
      log.warn({ instance: record.id, error: messageOf(error) }, 'the record of a replica could not be written')
    })
  const replicas = createReplicaSet({
    table,
    clock,
    log,
    onExit: (instance) => {
      unreported.push(instance)
      if (unreported.length > mostUnreported) unreported.shift()
      for (const listener of [...listeners]) tell(listener, { type: 'exited', instance }, log)
    },
    onGone: async (record) => {
      ports.release(record.port)
      meter.forget(record.id)
      await save(record)
      await logBound.check(records.logPaths(record.id))
      await history.add(record).catch((error: unknown) => {
        log.warn({ instance: record.id, error: messageOf(error) }, 'the folder of an old replica could not be removed')
      })
    },
  })
  const logBound = createLogBound({
    dir: dataDir,
    shareBytes: logShareBytes,
    clock,
    log,
    paths: () => replicas.all().flatMap(({ record }) => records.logPaths(record.id)),
  })

  /** Resolves with the id of this boot. */
  const adopt = async () => {
    const bootId = await table.bootId()
    const found = await findReplicas({ records, table, ownerId, bootId, nowMs: clock.now() })
    for (const record of found.ended) await history.add(record)
    for (const record of found.running) {
      ports.claim(record.port)
      replicas.add(record, { isChild: false })
      await save(record)
    }
    for (const record of [...found.died, ...found.lingering]) {
      await save(record)
      replicas.endLeftovers(replicas.add(record, { isChild: false, hasExited: true }))
    }
    unreported.push(...found.died.map(instanceOf))
    logBound.start()
    return bootId
  }
  const ready = async () => {
    if (closing && !adopting) throw closed()
    adopting ??= adopt().catch((error: unknown) => {
      adopting = undefined
      throw error
    })
    return adopting
  }
  const launch = createLaunch({ records, ports, replicas, meter, table, clock, ownerId, host, save })

  const close = async (keep: boolean) => {
    await Promise.allSettled([...starting, adopting])
    const isToEnd = (hasExited: boolean) => !keep || hasExited
    const open = replicas.all().filter(({ exited }) => isToEnd(exited.signal.aborted))
    const ended = await Promise.allSettled(open.map((replica) => replicas.end(replica, closeGraceMs)))
    replicas.close()
    logBound.stop()
    listeners.clear()
    for (const result of ended) if (result.status === 'rejected') throw result.reason
  }

  return {
    name: 'process',
    list: async () => {
      await ready()
      await replicas.poll()
      const running = replicas.all().filter(({ exited }) => !exited.signal.aborted)
      return [...running.map(({ record }) => instanceOf(record)), ...unreported.splice(0)]
    },
    start: async (request) => {
      const started = ready().then((bootId) => {
        if (closing) throw closed()
        return launch(request, bootId)
      })
      starting.add(started)
      return started.finally(() => starting.delete(started))
    },
    stop: async (id, { graceSeconds }) => {
      await ready()
      const replica = replicas.get(id)
      if (replica) await replicas.end(replica, graceSeconds * 1000)
    },
    usage: async (ids) => {
      await ready()
      const asked = ids.flatMap((id) => {
        const replica = replicas.get(id)
        const pid = replica?.record.pid
        return replica && pid && !replica.exited.signal.aborted ? [{ ...replica.record, pid }] : []
      })
      return asked.length === 0 ? new Map() : meter.measure(asked, await table.all())
    },
    logs: async (id, { lines }) => {
      await ready()
      if (!replicas.get(id) && !history.has(id)) throw unknownInstance(id)
      return readLogs(id, records.logPaths(id), Math.min(Math.max(0, Math.trunc(lines)), mostLines))
    },
    async *follow(id, { lines, signal }) {
      await ready()
      const isEnded = () => replicas.get(id)?.exited.signal.aborted ?? true
      if (!replicas.get(id) && !history.has(id)) throw unknownInstance(id)
      const [stdout, stderr] = records.logPaths(id)
      yield* followFiles({
        id,
        stdout: createLogCursor(stdout, logBound.cutOf),
        stderr: createLogCursor(stderr, logBound.cutOf),
        lines: Math.min(Math.max(0, Math.trunc(lines)), mostLines),
        signal,
        clock,
        hasEnded: isEnded,
      })
    },
    watch: (listener) => {
      listeners.add(listener)
      return () => {
        listeners.delete(listener)
      }
    },
    close: ({ keep }) => {
      closing ??= close(keep)
      return closing
    },
  }
}

function tell(listener: (event: DriverEvent) => void, event: DriverEvent, log: Log): void {
  try {
    listener(event)
  } catch (error) {
    log.error({ error: messageOf(error) }, 'a listener of driver events threw')
  }
}

/** Lines carry no time, so the streams cannot be woven: first stdout, then stderr, each with at least half of what is asked for. */
async function readLogs(id: string, paths: readonly [string, string], lines: number): Promise<LogLine[]> {
  const [stdout, stderr] = await Promise.all([
    tailLog(paths[0], lines, logShareBytes),
    tailLog(paths[1], lines, logShareBytes),
  ])
  const ofStderr = Math.min(stderr.length, Math.max(Math.floor(lines / 2), lines - stdout.length))
  const last = <T>(all: readonly T[], count: number) => (count > 0 ? all.slice(-count) : [])
  return [
    ...last(stdout, lines - ofStderr).map((line): LogLine => ({ instance: id, stream: 'stdout', line })),
    ...last(stderr, ofStderr).map((line): LogLine => ({ instance: id, stream: 'stderr', line })),
  ]
}

function closed(): OrchestryError {
  return new OrchestryError('ORC_DRIVER_UNAVAILABLE', 'The process driver is closed. Nothing was started or stopped.')
}

function unknownInstance(id: string): OrchestryError {
  return new OrchestryError(
    'ORC_INSTANCE_UNKNOWN',
    `The process driver knows no instance ${JSON.stringify(id)}; logs of an ended one are kept for the last few of each app.`,
  )
}
