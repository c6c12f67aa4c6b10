/** Starts replicas and ends them. */
import { codeOf, messageOf } from '../errors.ts'
import { limits } from '../limits.ts'
import { answered } from './answered.ts'
import type { Door } from './door.ts'
import { createFailures } from './failures.ts'
import { type Loop, moveTo, type Replica } from './loop.ts'
import { createStarter } from './starter.ts'
import type { Beside, World } from './world.ts'

const stopAgainMs = 5_000

export interface Lifecycle {
  /** @param replicas wanted of the app, which the replica may be told. */
  start(loop: Loop, replicas: number): void
  stop(loop: Loop, replica: Replica, graceSeconds: number): void
  retire(loop: Loop, replica: Replica, reason: string, isFailure: boolean): void
  discard(loop: Loop, replica: Replica): void
  /** A replica ended without being asked to. `isBlameless`: its driver was away, which may have ended it. */
  noteExit(loop: Loop, replica: Replica, isBlameless: boolean): void
}

export function createLifecycle(world: World, beside: Beside, door: Pick<Door, 'await'>): Lifecycle {
  const { drivers, events, clock, log } = world
  const failures = createFailures(world, beside)

  async function askToStop(replica: Replica, graceSeconds: number): Promise<void> {
    const driver = drivers.get(replica.driver)
    if (!driver) return
    const asked = `Driver ${driver.name}: stopping ${replica.id}`
    await answered(clock, graceSeconds * 1000 + limits.driverCallMs, asked, driver.stop(replica.id, { graceSeconds }))
  }

  /** The driver is told too: it may keep something of the dead replica. */
  function discard(loop: Loop, replica: Replica): void {
    failures.remove(loop, replica)
    const cleanUp = async () => {
      await replica.explaining
      await askToStop(replica, 0)
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
    if (isFailure) failures.retired(loop, replica, reason)
    replica.reason = reason
    moveTo(replica, 'draining', clock.monotonic())
    // One that is not started yet need not be; once the driver starts it, it is stopped when it runs.
    replica.unwanted.abort()
  }

  function stop(loop: Loop, replica: Replica, graceSeconds: number): void {
    moveTo(replica, 'stopping', clock.monotonic())
    const end = async () => {
      try {
        await askToStop(replica, graceSeconds)
      } catch (thrown) {
        stopLater(loop, replica, graceSeconds, thrown)
        return
      }
      failures.remove(loop, replica)
      const data = { instance: replica.id, reason: replica.reason ?? 'it was no longer wanted' }
      events.emit({ type: 'instance.stopped', app: loop.name, data })
    }
    beside(loop, 'stopping a replica', end())
  }

  function stopLater(loop: Loop, replica: Replica, graceSeconds: number, thrown: unknown): void {
    if (codeOf(thrown) === 'ORC_DRIVER_UNAVAILABLE') world.unreachable(replica.driver, thrown)
    else {
      loop.failure = `Replica ${replica.id} could not be stopped: ${messageOf(thrown)}`
      log.warn({ err: thrown, instance: replica.id }, 'a replica could not be stopped, trying again')
    }
    const again = () => {
      if (world.stopping.aborted || loop.replicas.get(replica.id) !== replica) return
      if (world.isReachable(replica.driver)) stop(loop, replica, graceSeconds)
      else clock.after(stopAgainMs, again)
    }
    clock.after(stopAgainMs, again)
  }

  return { start: createStarter(world, beside, failures, door), stop, retire, discard, noteExit: failures.exited }
}
