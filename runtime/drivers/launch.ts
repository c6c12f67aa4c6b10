/** Starts one replica: port, record, log files, process; or leaves nothing behind. */
import { open } from 'node:fs/promises'
import type { Clock } from '../clock.ts'
import { messageOf, OrchestryError } from '../errors.ts'
import type { Instance, StartRequest } from './driver.ts'
import type { Ports } from './port.ts'
import { instanceOf, type ProcessRecord, type Records } from './process-record.ts'
import type { ProcessTable } from './process-table.ts'
import type { Replica, ReplicaSet } from './replica-set.ts'
import { replicaEnvironment, spawnReplica, startFailed } from './spawn-replica.ts'
import type { UsageMeter } from './usage.ts'

export function createLaunch(deps: {
  records: Records
  ports: Ports
  replicas: ReplicaSet
  meter: UsageMeter
  table: ProcessTable
  clock: Clock
  ownerId: string
  host: string
  save(record: ProcessRecord): Promise<void>
}): (request: StartRequest, bootId: string) => Promise<Instance> {
  const { records, ports, replicas, meter, table, clock, ownerId, host } = deps

  const spawnInto = async (request: StartRequest, record: ProcessRecord): Promise<Replica> => {
    const [outPath, errPath] = records.logPaths(record.id)
    await using stdout = await open(outPath, 'a', 0o600)
    await using stderr = await open(errPath, 'a', 0o600)
    const env = replicaEnvironment(request, record, process.env)
    const child = await spawnReplica({ request, env, stdout: stdout.fd, stderr: stderr.fd })
    const replica = replicas.add({ ...record, pid: child.pid }, { isChild: true })
    meter.begin(record.id)
    // A replica is to outlive us when we are told to go.
    child.unref()
    child.on('error', () => undefined)
    child.once('exit', (code, signal) => replicas.exited(replica, { code, signal }))
    const startTime = (await table.get(child.pid).catch(() => undefined))?.startTime
    if (startTime !== undefined) replica.record = { ...replica.record, startTime }
    await deps.save(replica.record)
    return replica
  }

  return async (request, bootId) => {
    const { id, app, version, cpuMilli, memoryBytes } = request
    if (!records.isValidId(id)) throw startFailed(request, `its instance id ${JSON.stringify(id)} cannot name a folder`)
    const port = await ports.reserve().catch((error: unknown) => {
      throw startFailed(request, messageOf(error), error)
    })
    const bounds = { ...(cpuMilli && { cpuMilli }), ...(memoryBytes && { memoryBytes }) }
    const record = { id, app, version, ownerId, host, port, startedAtMs: clock.now(), bootId, ...bounds }
    let isIdUsed = false
    try {
      await records.create(record).catch((error: NodeJS.ErrnoException) => {
        isIdUsed = error.code === 'EEXIST'
        throw startFailed(request, isIdUsed ? `the instance id ${id} was used before` : messageOf(error), error)
      })
      return instanceOf((await spawnInto(request, record)).record)
    } catch (error) {
      ports.release(port)
      if (!isIdUsed) await records.remove(id).catch(() => undefined)
      throw error instanceof OrchestryError ? error : startFailed(request, messageOf(error), error)
    }
  }
}
