/** Keeps the servers of plugins running: one process each, watched, started again when it dies, ended when nobody wants it. */
import type { DaemonStatus } from '@orchestry/sdk'
import type { Clock } from '../clock.ts'
import { messageOf, OrchestryError } from '../errors.ts'
import type { Log } from '../log.ts'
import { createTurns } from '../turns.ts'
import type { DaemonName, DaemonSpec, Daemons } from './daemon.ts'
import { createDaemonLaunch } from './daemon-launch.ts'
import { endedStart, processesIn, send, sessionOf, sessionsOf, startOf } from './daemon-processes.ts'
import { createDaemonRecords, type DaemonRecord, keyOf } from './daemon-record.ts'
import { createProgramVerifier } from './exec-program.ts'
import type { OwnDirs } from './own-dir.ts'

const lookMs = 500
const firstBackoffMs = 200
const longestBackoffMs = 30_000
/** One that ran so long did not fail at its start. */
const steadyMs = 10_000
const pollMs = 20
/** What a dead server left of itself is asked to go first: it may be in the middle of something. */
const leftoverMs = 1_000
const logLookMs = 10_000
/** What is there so long after it was killed hangs in the kernel. */
const killedForMs = 10_000

type Exit = NonNullable<DaemonStatus['exit']>
interface Kept {
  record: DaemonRecord
  restarts: number
  backoffMs: number
  /** When it is started again; absent while it runs. */
  dueAtMs?: number
  exit?: Exit
  problem?: string
}

export function createDaemons(deps: { dataDir: string; ownDirs: OwnDirs; clock: Clock; log: Log }): Daemons {
  const { clock, ownDirs } = deps
  const log = deps.log.child({ room: 'daemons' })
  const records = createDaemonRecords(deps.dataDir)
  const launch = createDaemonLaunch({ verifier: createProgramVerifier(clock), ownDirs })
  const turns = createTurns()
  const kept = new Map<string, Kept>()
  let isClosed = false
  let nextLogLookMs = 0

  const isAlive = async ({ pid, startOf: known }: DaemonRecord) =>
    pid !== undefined && known !== undefined && (await startOf(pid)) === known

  const sessionOfRecord = async ({ pid, startOf: known }: DaemonRecord) =>
    pid === undefined || known === undefined ? [] : await sessionOf(pid, known)

  async function launchInto(one: Kept, isAgain = false): Promise<void> {
    const { spec } = one.record
    const startedAtMs = clock.now()
    one.record = { spec, startedAtMs }
    // Before it runs: who finds this without a pid looks for what may have been started.
    await records.save(one.record)
    const output = await records.openLog(spec, isAgain)
    try {
      const child = await launch(spec, output)
      const { pid } = child
      child.once('exit', (code, signal) => {
        one.exit = { code, signal, atMs: clock.now() }
        if (one.record.pid === pid) void turns.take(keyOf(spec), () => look(one))
      })
      const known = await startOf(pid)
      one.record = { spec, pid, startedAtMs, startOf: known ?? (await endedStart()) }
      try {
        await records.save(one.record)
      } catch (error) {
        // Nobody would find it again.
        await end(one)
        throw error
      }
      delete one.dueAtMs
      delete one.problem
    } finally {
      await output.close()
    }
  }

  /** Whether it runs; where it has died, what is left of it ends and the next start is planned. */
  async function look(one: Kept): Promise<void> {
    if (isClosed || kept.get(keyOf(one.record.spec)) !== one) return
    if (one.dueAtMs === undefined) {
      if (await isAlive(one.record)) return
      const { spec, startedAtMs } = one.record
      await endLeftovers(await sessionOfRecord(one.record), spec)
      one.exit ??= { code: null, signal: null, atMs: clock.now() }
      if (clock.now() - startedAtMs > steadyMs) one.backoffMs = 0
      one.dueAtMs = clock.monotonic() + one.backoffMs
      one.backoffMs = Math.min(longestBackoffMs, Math.max(firstBackoffMs, one.backoffMs * 2))
      const { command, instance, plugin } = spec
      log.warn({ plugin, instance, command, exit: one.exit }, 'a server of a plugin ended by itself')
    }
    if (clock.monotonic() < one.dueAtMs) return
    one.restarts += 1
    delete one.exit
    await launchInto(one, true).catch((error) => {
      one.problem = messageOf(error)
      one.dueAtMs = clock.monotonic() + one.backoffMs
      one.backoffMs = Math.min(longestBackoffMs, one.backoffMs * 2)
    })
  }

  async function endLeftovers(pids: readonly number[], { stopSignal }: DaemonSpec): Promise<void> {
    if (pids.length === 0) return
    for (const pid of pids) send(pid, stopSignal)
    const untilMs = clock.monotonic() + leftoverMs
    let left = await living(pids)
    while (left.length > 0 && clock.monotonic() < untilMs) {
      await clock.sleep(pollMs)
      left = await living(left)
    }
    for (const pid of left) send(pid, 'SIGKILL')
  }

  async function end(one: Kept): Promise<void> {
    const { pid, spec } = one.record
    if (pid !== undefined && (await isAlive(one.record))) {
      send(pid, spec.stopSignal)
      const untilMs = clock.monotonic() + spec.stopMs
      while ((await isAlive(one.record)) && clock.monotonic() < untilMs) await clock.sleep(pollMs)
    }
    // Whatever became of the first process, the others of its session end with it.
    await killAll(() => sessionOfRecord(one.record), spec)
  }

  /** Again and again: who is killed may just have started another. */
  async function killAll(find: () => Promise<readonly number[]>, { plugin, instance, command }: DaemonSpec) {
    const untilMs = clock.monotonic() + killedForMs
    for (let left = await find(); left.length > 0; left = await find()) {
      for (const pid of left) send(pid, 'SIGKILL')
      if (clock.monotonic() > untilMs)
        return log.error(
          { plugin, instance, command, pids: left },
          'a server of a plugin was killed and is still there',
        )
      await clock.sleep(pollMs)
    }
  }

  /** Ends also what left its session, where it can be told by the directory that it works in. */
  async function stopWhole(spec: DaemonSpec): Promise<void> {
    await stop(spec)
    if (!spec.isInOwnDir) return
    const dir = ownDirs.pathOf(spec.plugin, spec.instance)
    const others = [...kept.values()].map(({ record }) => record)
    await killAll(async () => {
      const wanted = new Set((await Promise.all(others.map(sessionOfRecord))).flat())
      const strays = (await processesIn(dir)).filter((pid) => !wanted.has(pid))
      return await sessionsOf(strays)
    }, spec)
  }

  async function stop(name: DaemonName): Promise<void> {
    const one = kept.get(keyOf(name))
    if (one === undefined) return
    kept.delete(keyOf(name))
    await end(one)
    await records.remove(name)
  }

  async function statusOf(name: DaemonName): Promise<DaemonStatus> {
    const one = kept.get(keyOf(name))
    if (one === undefined) return { isRunning: false, processes: 0, restarts: 0, output: '' }
    const { record, restarts, exit, problem } = one
    const isRunning = await isAlive(record)
    const { pid, startedAtMs } = record
    return {
      isRunning,
      ...(isRunning && pid !== undefined ? { pid, startedAtMs } : {}),
      processes: isRunning ? (await sessionOfRecord(record)).length : 0,
      restarts,
      ...(exit === undefined ? {} : { exit }),
      ...(problem === undefined ? {} : { problem }),
      output: await records.readLog(name),
    }
  }

  async function boundLog(spec: DaemonSpec): Promise<void> {
    const { plugin, instance, command } = spec
    await records.boundLog(spec).catch((error: unknown) => {
      log.warn({ plugin, instance, command, err: error }, 'the output of a server could not be cut')
    })
  }

  async function lookAtAll(): Promise<void> {
    const isLogTime = clock.monotonic() >= nextLogLookMs
    if (isLogTime) nextLogLookMs = clock.monotonic() + logLookMs
    for (const one of kept.values()) {
      if (isLogTime) await boundLog(one.record.spec)
      void turns.take(keyOf(one.record.spec), () => look(one))
    }
  }
  const stopLooking = clock.every(lookMs, () => void lookAtAll())

  return {
    start: (spec) =>
      turns.take(keyOf(spec), async () => {
        if (isClosed) throw new OrchestryError('ORC_HOOK_NOT_SERVING', 'Orchestry is stopping. Nothing was started.')
        const before = kept.get(keyOf(spec))
        if (before !== undefined && isSame(before.record.spec, spec) && (await isAlive(before.record))) {
          before.record = { ...before.record, spec }
          await records.save(before.record)
          return statusOf(spec)
        }
        if (before !== undefined) await stop(before.record.spec)
        const one: Kept = { record: { spec, startedAtMs: clock.now() }, restarts: 0, backoffMs: 0 }
        kept.set(keyOf(spec), one)
        try {
          await launchInto(one)
        } catch (error) {
          kept.delete(keyOf(spec))
          await records.remove(spec)
          throw error
        }
        return statusOf(spec)
      }),
    stop: (name) => turns.take(keyOf(name), () => stop(name)),
    async signal(name, signal) {
      const record = kept.get(keyOf(name))?.record
      if (record?.pid !== undefined && (await isAlive(record)) && send(record.pid, signal)) return
      throw new OrchestryError('ORC_CAPABILITY_FAILED', `ctx.exec: ${name.command} does not run. Nothing was sent.`)
    },
    status: statusOf,
    async adopt() {
      for (const record of await records.all()) {
        const { spec } = record
        kept.set(keyOf(spec), { record, restarts: 0, backoffMs: 0 })
        const { plugin, instance, command } = spec
        if (await isAlive(record)) log.info({ plugin, instance, command, pid: record.pid }, 'adopted a running server')
        else if (record.pid === undefined && spec.isInOwnDir)
          await endLeftovers(await processesIn(ownDirs.pathOf(plugin, instance)), spec)
      }
      await lookAtAll()
    },
    async retain(isWanted) {
      const unwanted = [...kept.values()].map(({ record }) => record.spec).filter((spec) => !isWanted(spec))
      await Promise.all(unwanted.map((spec) => turns.take(keyOf(spec), () => stopWhole(spec))))
    },
    async close({ keep }) {
      if (isClosed) return
      isClosed = true
      stopLooking()
      await turns.settled()
      if (!keep) await Promise.all([...kept.values()].map(({ record }) => stopWhole(record.spec)))
      kept.clear()
    },
  }
}

/** A program that was upgraded is run from the next start on: ending what works for it would help nobody. */
const isSame = (a: DaemonSpec, b: DaemonSpec) =>
  JSON.stringify({ ...a, digest: '' }) === JSON.stringify({ ...b, digest: '' })

async function living(pids: readonly number[]): Promise<number[]> {
  const starts = await Promise.all(pids.map(startOf))
  return pids.filter((_, index) => starts[index] !== undefined)
}
