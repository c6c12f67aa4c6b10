/**
 * Carries out the steps of a plan: the one place that changes the world. Nothing here waits: what takes time runs beside
 * the pass, writes down how it ended and marks the app dirty. Every step may be the last one before a kill -9: the next
 * start finds what runs and goes on from there.
 */
import type { Endpoint } from '@orchestry/sdk'
import type { Balancing } from '../balancing/balancing.ts'
import type { Clock } from '../clock.ts'
import type { Driver, LogLine } from '../drivers/driver.ts'
import { messageOf, OrchestryError } from '../errors.ts'
import type { Events } from '../events/events.ts'
import { limits } from '../limits.ts'
import type { Log } from '../log.ts'
import { afterFailure, type Failure } from './backoff.ts'
import type { Goal, Routing, Step } from './facts.ts'
import { isCurrent, type Loop, moveTo, type Replica } from './loop.ts'
import { isLeaving } from './seat.ts'
import { startRequest } from './start-request.ts'
import { wantedVersion } from './target.ts'

const republishMs = 1_000
const longestRepublishMs = 30_000
const stopAgainMs = 5_000
/** Of a failed replica's output, shown with the failure. */
const lastLines = 5

export interface World {
  readonly drivers: ReadonlyMap<string, Driver>
  readonly balancing: Pick<Balancing, 'publish' | 'status'>
  readonly events: Pick<Events, 'emit'>
  readonly clock: Clock
  readonly log: Log
  readonly chance: () => number
  /** What tells replicas of an app apart; never the same twice. */
  readonly newSuffix: () => string
  /** Plan this app again. */
  markDirty(app: string): void
  /** The app's instances have come or gone. */
  instancesChanged(app: string): void
  /** A replica is gone for good. */
  forgotten(id: string): void
  /** A replica runs. */
  started(id: string, loop: Loop): void
}

export interface Apply {
  run(loop: Loop, goal: Goal, steps: readonly Step[]): void
  /** A replica ended without being asked to; also called for those found dead. */
  noteExit(loop: Loop, replica: Replica): void
  /** Resolves when no step is under way. */
  idle(): Promise<void>
}

export function createApply(world: World): Apply {
  const { drivers, balancing, events, clock, log } = world
  const underWay = new Set<Promise<void>>()
  const waiting = new Set<string>()
  let starts = 0

  function beside(loop: Loop, what: string, work: Promise<void>): void {
    const tracked = work
      .catch((thrown: unknown) => log.error({ err: thrown, app: loop.name }, `${what} failed inside the host`))
      .finally(() => {
        underWay.delete(tracked)
        world.markDirty(loop.name)
      })
    underWay.add(tracked)
  }

  function remove(loop: Loop, replica: Replica): void {
    loop.replicas.delete(replica.id)
    world.forgotten(replica.id)
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

  function publish(loop: Loop, routing: Routing): void {
    loop.seq += 1
    const { seq } = loop
    for (const id of routing.endpoints) {
      const replica = loop.replicas.get(id)
      if (!replica) continue
      replica.lastRoutedSeq = seq
      delete replica.unroutedAtMs
      delete replica.activeConnections
    }
    loop.published = { seq, routing }
    delete loop.republishAtMs
    beside(loop, 'publishing an upstream', handOut(loop, seq, routing))
  }

  async function handOut(loop: Loop, seq: number, routing: Routing): Promise<void> {
    const endpoints = endpointsOf(loop, routing.endpoints)
    const draining = endpointsOf(loop, routing.draining)
    const ingress = loop.record?.app.ingress ?? { path: `/${loop.name}/` }
    const { loadBalancer, ...route } = 'loadBalancer' in ingress ? ingress : { ...ingress, loadBalancer: undefined }
    const upstream = { route, endpoints, draining, ...(loadBalancer === undefined ? {} : { loadBalancer }) }
    const isTaken = await balancing.publish(loop.name, upstream).catch((thrown: unknown) => {
      log.warn({ err: thrown, app: loop.name }, 'the upstream could not be published')
      return false
    })
    if (isTaken) {
      if (loop.taken && loop.taken.seq >= seq) return
      loop.taken = { seq, endpoints: new Set(routing.endpoints) }
      loop.refusals = 0
      for (const replica of loop.replicas.values()) {
        if (replica.lastRoutedSeq < seq && replica.unroutedAtMs === undefined) replica.unroutedAtMs = clock.monotonic()
      }
    } else if (loop.published?.seq === seq) {
      loop.refusals += 1
      loop.republishAtMs = clock.monotonic() + Math.min(longestRepublishMs, republishMs * 2 ** (loop.refusals - 1))
    }
  }

  /** One count at a time for each app; a load balancer that cannot tell leaves the drain to its deadline. */
  function count(loop: Loop): void {
    if (loop.isCounting) return
    loop.isCounting = true
    loop.countedAtMs = clock.monotonic()
    const seen = loop.taken?.seq
    const ask = async () => {
      const status = await balancing.status(loop.name).catch(() => null)
      loop.isCounting = false
      for (const endpoint of status?.endpoints ?? []) {
        const replica = loop.replicas.get(endpoint.id)
        const isCounted = replica?.unroutedAtMs !== undefined && seen !== undefined && replica.lastRoutedSeq < seen
        if (isCounted) replica.activeConnections = endpoint.activeConnections
      }
    }
    beside(loop, 'counting connections', ask())
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
      lastRoutedSeq: 0,
    }
    loop.replicas.set(id, replica)
    loop.startsUnderWay += 1
    starts += 1
    const begin = async () => {
      try {
        const driver = driverOf(drivers, app.driver)
        const instance = await driver.start(startRequest(id, version, app, replicas))
        world.started(id, loop)
        replica.startedAtMs = clock.monotonic()
        // Its end may have been heard before its start was.
        replica.instance ??= instance
        events.emit({ type: 'instance.started', app: loop.name, data: { instance: id, version, driver: app.driver } })
        world.instancesChanged(loop.name)
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

  function perform(loop: Loop, goal: Goal, step: Step): void {
    if (step.do === 'publish') return publish(loop, { endpoints: step.endpoints, draining: step.draining })
    if (step.do === 'count') return count(loop)
    if (step.do === 'start') {
      for (let index = 0; index < step.count; index += 1) start(loop, goal.replicas)
      return
    }
    const replica = loop.replicas.get(step.id)
    if (!replica) return
    if (step.do === 'discard') discard(loop, replica)
    else if (step.do === 'rotate') moveTo(replica, step.to, clock.monotonic())
    else if (step.do === 'retire') retire(loop, replica, step.reason, step.isFailure)
    else stop(loop, replica, goal.rollout.stopGraceSeconds)
  }

  return {
    run(loop, goal, steps) {
      for (const step of steps) perform(loop, goal, step)
    },
    noteExit,
    async idle() {
      while (underWay.size > 0) await Promise.all(underWay)
    },
  }
}

function driverOf(drivers: ReadonlyMap<string, Driver>, name: string): Driver {
  const driver = drivers.get(name)
  if (driver) return driver
  const known = [...drivers.keys()].join(', ')
  throw new OrchestryError('ORC_DRIVER_UNKNOWN', `There is no driver ${name}; there are: ${known}.`)
}

function endpointsOf(loop: Loop, ids: readonly string[]): Endpoint[] {
  return ids.flatMap((id) => {
    const instance = loop.replicas.get(id)?.instance
    return instance ? [{ id, host: instance.host, port: instance.port }] : []
  })
}

async function lastOutput(driver: Driver | undefined, id: string): Promise<string> {
  const lines = await driver?.logs(id, { lines: lastLines }).catch((): LogLine[] => [])
  return (lines ?? [])
    .map((line) => line.line)
    .join(' | ')
    .slice(-1000)
}
