/** Brings replicas up: fetches what they need, waits for a place, and starts them. */
import type { Driver, Instance, StartRequest } from '../drivers/driver.ts'
import { codeOf, messageOf, OrchestryError } from '../errors.ts'
import { limits } from '../limits.ts'
import { answered } from './answered.ts'
import type { Door } from './door.ts'
import type { Failures } from './failures.ts'
import { type Loop, noteProgress, type Replica } from './loop.ts'
import { createSlots } from './slots.ts'
import { startRequest } from './start-request.ts'
import { wantedVersion } from './target.ts'
import type { Beside, World } from './world.ts'

/** @returns starts one replica; `replicas` are wanted of the app, which it may be told. */
export function createStarter(world: World, beside: Beside, failures: Failures, door: Pick<Door, 'await'>) {
  const { drivers, events, clock } = world
  /** For each driver its own: an engine that hangs holds up nobody else's starts. */
  const slots = createSlots(limits.startsInFlight)

  async function prepare(loop: Loop, replica: Replica, driver: Driver, request: StartRequest, signal: AbortSignal) {
    const onProgress = (line: string) => {
      if (signal.aborted || replica.progress === line) return
      replica.progress = line.slice(0, limits.progressCharacters)
      noteProgress(loop, clock.monotonic())
    }
    const { promise: aborted, reject } = Promise.withResolvers<never>()
    const giveUp = () => reject(signal.reason)
    signal.addEventListener('abort', giveUp, { once: true })
    try {
      await Promise.race([driver.prepare?.(request, { onProgress, signal }), aborted])
    } finally {
      signal.removeEventListener('abort', giveUp)
      delete replica.progress
    }
  }

  /** Undefined when it is no longer wanted. */
  async function bring(loop: Loop, replica: Replica, request: StartRequest): Promise<Instance | undefined> {
    const driver = driverOf(drivers, replica.driver)
    const signal = AbortSignal.any([replica.unwanted.signal, world.stopping])
    if (driver.prepare) await prepare(loop, replica, driver, request, signal)
    const release = await slots.take(driver.name, signal)
    try {
      if (signal.aborted) return undefined
      const asked = `Driver ${driver.name}: starting ${replica.id}`
      return await answered(clock, limits.driverCallMs, asked, driver.start(request))
    } finally {
      release()
    }
  }

  async function begin(loop: Loop, replica: Replica, request: () => StartRequest): Promise<boolean> {
    const { id, version, driver } = replica
    const askedAtMs = replica.startedAtMs
    try {
      const instance = await bring(loop, replica, request())
      if (!instance) {
        failures.remove(loop, replica)
        return false
      }
      world.started(id, loop)
      replica.startedAtMs = clock.monotonic()
      // Its end may have been heard before its start was.
      replica.instance ??= instance
      noteProgress(loop, clock.monotonic())
      events.emit({ type: 'instance.started', app: loop.name, data: { instance: id, version, driver } })
      world.instancesChanged(loop.name)
      return true
    } catch (thrown) {
      failures.remove(loop, replica)
      if (replica.unwanted.signal.aborted || world.stopping.aborted) return false
      if (codeOf(thrown) === 'ORC_DRIVER_UNAVAILABLE') world.unreachable(driver, thrown)
      else await failures.startFailed(loop, replica, askedAtMs, messageOf(thrown))
      return false
    }
  }

  return function start(loop: Loop, replicas: number): void {
    if (!loop.record || loop.startsUnderWay >= limits.startsInFlightPerApp) return
    const { version, app } = wantedVersion(loop.record, loop.memory)
    const id = `${loop.name}-${world.newSuffix()}`
    const nowMs = clock.monotonic()
    const replica: Replica = {
      id,
      driver: app.driver,
      version,
      isAdopted: false,
      mayBeRouted: false,
      unwanted: new AbortController(),
      startedAtMs: nowMs,
      rotation: 'starting',
      sinceMs: nowMs,
      hasServed: false,
      isOpen: false,
      isShut: false,
      isKnockedAt: false,
      lastRoutedSeq: 0,
    }
    loop.replicas.set(id, replica)
    loop.startsUnderWay += 1
    const work = begin(loop, replica, () => startRequest(id, version, app, { ...world, replicas }))
      .then((hasStarted) => {
        if (hasStarted && app.healthCheck === undefined) door.await(loop, replica)
      })
      .finally(() => {
        loop.startsUnderWay -= 1
      })
    beside(loop, 'starting a replica', work)
  }
}

function driverOf(drivers: ReadonlyMap<string, Driver>, name: string): Driver {
  const driver = drivers.get(name)
  if (driver) return driver
  const known = [...drivers.keys()].join(', ')
  throw new OrchestryError('ORC_DRIVER_UNKNOWN', `There is no driver ${name}; there are: ${known}.`)
}
