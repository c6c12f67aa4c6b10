/** Starts replicas, ends them, and writes down why they failed. */
import type { Driver, LogLine } from '../drivers/driver.ts'
import { messageOf, OrchestryError } from '../errors.ts'
import { limits } from '../limits.ts'
import { afterFailure, type Failure } from './backoff.ts'
import { isCurrent, type Loop, moveTo, type Replica } from './loop.ts'
import { isLeaving } from './seat.ts'
import { startRequest } from './start-request.ts'
import { wantedVersion } from './target.ts'
import type { Beside, World } from './world.ts'

const stopAgainMs = 5_000
/** How often a starting replica is asked whether it listens yet. */
const firstKnockMs = 25
const longestKnockMs = 1_000
/** Of a failed replica's output, shown with the failure. */
const lastLines = 5

export interface Lifecycle {
  /** @param replicas wanted of the app, which the replica may be told. */
  start(loop: Loop, replicas: number): void
  stop(loop: Loop, replica: Replica, graceSeconds: number): void
  retire(loop: Loop, replica: Replica, reason: string, isFailure: boolean): void
  discard(loop: Loop, replica: Replica): void
  /** A replica ended without being asked to. */
  noteExit(loop: Loop, replica: Replica): void
}

export function createLifecycle(world: World, beside: Beside): Lifecycle {
  const { drivers, events, clock, log } = world
  const waiting = new Set<string>()
  let starts = 0

  function remove(loop: Loop, replica: Replica): void {
    loop.replicas.delete(replica.id)
    world.forgotten(replica)
    world.instancesChanged(loop.name)
  }

  function noteFailure(loop: Loop, failure: Failure, text: string): void {
    loop.backoff = afterFailure(loop.backoff, failure, clock.monotonic(), world.chance())
    loop.failure = text
  }

  function failureOf(replica: Replica): Failure {
    const { startedAtMs, rotation, sinceMs } = replica
    if (!replica.hasServed) return { startedAtMs }
    return { startedAtMs, servedMs: rotation === 'serving' ? clock.monotonic() - sinceMs : 0 }
  }

  /** Adds the last lines of output to what failed, unless something else has failed since. */
  async function explain(loop: Loop, replica: Replica, text: string): Promise<void> {
    const lines = await lastOutput(drivers.get(replica.driver), replica.id)
    if (lines !== '' && loop.failure === text) loop.failure = `${text} Last output: ${lines}`
  }

  function noteExit(loop: Loop, replica: Replica): void {
    const exit = replica.instance?.exit
    const how = exit?.signal ? `was ended by ${exit.signal}` : exit ? `exited with code ${exit.code}` : 'is gone'
    const data = { instance: replica.id, code: exit?.code ?? null, signal: exit?.signal ?? null }
    if (replica.rotation !== 'stopping') events.emit({ type: 'instance.exited', app: loop.name, data })
    // The end of an old version says nothing about the one that is wanted.
    if (!isLeaving(replica.rotation) && isCurrent(loop, replica)) {
      noteFailure(loop, failureOf(replica), `Replica ${replica.id} ${how}.`)
    }
    world.instancesChanged(loop.name)
    world.markDirty(loop.name)
  }

  /** The driver is told too: it may keep something of the dead replica. */
  function discard(loop: Loop, replica: Replica): void {
    const text = loop.failure
    remove(loop, replica)
    const cleanUp = async () => {
      if (text?.includes(replica.id)) await explain(loop, replica, text)
      await drivers.get(replica.driver)?.stop(replica.id, { graceSeconds: 0 })
    }
    beside(
      loop,
      'clearing away a dead replica',
      cleanUp().catch((thrown: unknown) => {
        log.warn({ err: thrown, instance: replica.id }, 'the driver could not clear away a dead replica')
      }),
    )
  }

  function retire(loop: Loop, replica: Replica, reason: string, isFailure: boolean): void {
    if (isFailure) {
      const text = `Replica ${replica.id} was taken out: ${reason}.`
      noteFailure(loop, failureOf(replica), text)
      events.emit({ type: 'instance.failed', app: loop.name, data: { instance: replica.id, reason } })
      beside(loop, 'reading the output of a failed replica', explain(loop, replica, text))
    }
    replica.reason = reason
    moveTo(replica, 'draining', clock.monotonic())
  }

  function stop(loop: Loop, replica: Replica, graceSeconds: number): void {
    moveTo(replica, 'stopping', clock.monotonic())
    const end = async () => {
      try {
        await drivers.get(replica.driver)?.stop(replica.id, { graceSeconds })
      } catch (thrown) {
        loop.failure = `Replica ${replica.id} could not be stopped: ${messageOf(thrown)}`
        log.warn({ err: thrown, instance: replica.id }, 'a replica could not be stopped, trying again')
        clock.after(stopAgainMs, () => {
          if (loop.replicas.get(replica.id) === replica) stop(loop, replica, graceSeconds)
        })
        return
      }
      remove(loop, replica)
      const data = { instance: replica.id, reason: replica.reason ?? 'it was no longer wanted' }
      events.emit({ type: 'instance.stopped', app: loop.name, data })
    }
    beside(loop, 'stopping a replica', end())
  }

  /** Without a health check nobody else would notice that a replica does not listen yet, or never will. */
  async function opening(replica: Replica): Promise<void> {
    const { instance } = replica
    const isAwaited = () => replica.rotation === 'starting' && replica.instance?.isRunning && !world.stopping.aborted
    while (instance && isAwaited()) {
      if (await world.accepts(instance.host, instance.port)) {
        replica.isOpen = true
        return
      }
      const waitedMs = clock.monotonic() - replica.startedAtMs
      await clock.sleep(Math.min(longestKnockMs, Math.max(firstKnockMs, waitedMs / 10)), world.stopping)
    }
  }

  function start(loop: Loop, replicas: number): void {
    if (!loop.record) return
    if (loop.startsUnderWay >= limits.startsInFlightPerApp || starts >= limits.startsInFlight) {
      waiting.add(loop.name)
      return
    }
    const { version, app } = wantedVersion(loop.record, loop.memory)
    const id = `${loop.name}-${world.newSuffix()}`
    const nowMs = clock.monotonic()
    const replica: Replica = {
      id,
      driver: app.driver,
      version,
      isAdopted: false,
      startedAtMs: nowMs,
      rotation: 'starting',
      sinceMs: nowMs,
      hasServed: false,
      isOpen: false,
      lastRoutedSeq: 0,
    }
    loop.replicas.set(id, replica)
    loop.startsUnderWay += 1
    starts += 1
    const begin = async () => {
      try {
        const driver = driverOf(drivers, app.driver)
        const instance = await driver.start(startRequest(id, version, app, { replicas, secretOf: world.secretOf }))
        world.started(id, loop)
        replica.startedAtMs = clock.monotonic()
        // Its end may have been heard before its start was.
        replica.instance ??= instance
        events.emit({ type: 'instance.started', app: loop.name, data: { instance: id, version, driver: app.driver } })
        world.instancesChanged(loop.name)
        if (app.healthCheck === undefined) beside(loop, 'waiting for a replica to listen', opening(replica))
      } catch (thrown) {
        remove(loop, replica)
        const text = `Replica ${id} could not be started: ${messageOf(thrown)}`
        noteFailure(loop, { startedAtMs: nowMs }, text)
        events.emit({ type: 'instance.failed', app: loop.name, data: { instance: id, reason: messageOf(thrown) } })
        await explain(loop, replica, text)
      } finally {
        loop.startsUnderWay -= 1
        starts -= 1
        for (const name of waiting) world.markDirty(name)
        waiting.clear()
      }
    }
    beside(loop, 'starting a replica', begin())
  }

  return { start, stop, retire, discard, noteExit }
}

function driverOf(drivers: ReadonlyMap<string, Driver>, name: string): Driver {
  const driver = drivers.get(name)
  if (driver) return driver
  const known = [...drivers.keys()].join(', ')
  throw new OrchestryError('ORC_DRIVER_UNKNOWN', `There is no driver ${name}; there are: ${known}.`)
}

async function lastOutput(driver: Driver | undefined, id: string): Promise<string> {
  const lines = await driver?.logs(id, { lines: lastLines }).catch((): LogLine[] => [])
  return (lines ?? [])
    .map((line) => line.line)
    .join(' | ')
    .slice(-1000)
}
