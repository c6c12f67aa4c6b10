/**
 * Keeps what we hold in line with what drivers see: adopts what runs, notices what is gone. A listing is a picture of a
 * moment that has passed when we read it, so whatever changed since it was asked for is left alone.
 */
import type { Clock } from '../clock.ts'
import type { Driver, Instance } from '../drivers/driver.ts'
import { codeOf, messageOf } from '../errors.ts'
import type { Events } from '../events/events.ts'
import { limits } from '../limits.ts'
import type { Log } from '../log.ts'
import { answered } from './answered.ts'
import type { Loop } from './loop.ts'

const firstRetryMs = 1_000
const longestRetryMs = 30_000
/** A driver that lists, but then refuses what it is asked for, is asked ever more rarely until it has been well for so long. */
const wellAfterMs = 60_000

export interface Adoption {
  /** Lists one driver and takes over what it sees. Never rejects; one that cannot be listed is tried again. */
  sync(driver: Driver): Promise<void>
  /** It has been listed once: what it runs is known. */
  isListed(driver: string): boolean
  /** Why it cannot be worked with now. */
  problem(driver: string): string | undefined
  /** What was asked of it failed through no fault of an app: it counts as away until it has been listed again. */
  unreachable(driver: string, thrown: unknown): void
  started(id: string, loop: Loop): void
  forgotten(replica: { readonly id: string; readonly driver: string }): void
  stop(): void
}

export interface AdoptionParts {
  readonly clock: Clock
  readonly log: Log
  readonly events: Pick<Events, 'emit'>
  readonly drivers: ReadonlyMap<string, Driver>
  loopOf(app: string): Loop | undefined
  adopted(driver: Driver, instance: Instance): void
  /** `isBlameless`: the driver was away, which may have ended it. */
  exited(loop: Loop, instance: Instance, isBlameless: boolean): void
  /** The driver cannot be worked with for now. */
  lost(driver: string): void
  /** The driver can be worked with again. */
  listed(driver: Driver): void
  /** Whether anything depends on it: who has no app for containers need not hear that there is no engine. */
  isUsed(driver: string): boolean
}

export function createAdoption(parts: AdoptionParts): Adoption {
  const { clock, log, events } = parts
  const problems = new Map<string, string>()
  const listed = new Set<string>()
  /** Drivers whose being away was said. */
  const told = new Set<string>()
  const underWay = new Map<string, Promise<void>>()
  const refusals = new Map<string, number>()
  const retries = new Map<string, () => void>()
  const refusedAtMs = new Map<string, number>()
  /** When each driver was last found away, in the order of what has happened. */
  const lostAt = new Map<string, number>()
  /** Order of what has happened, to tell what a listing cannot know yet. */
  let moment = 0
  const startedAt = new Map<string, { at: number; loop: Loop }>()
  /** Until its driver has been listed again: that listing reports once more whose end we have heard of already. */
  const forgottenAt = new Map<string, { at: number; driver: string }>()
  let isStopped = false

  function takeOver(driver: Driver, instances: readonly Instance[], askedAt: number): void {
    const seen = new Set<string>()
    const wasAway = problems.has(driver.name)
    for (const instance of instances) {
      seen.add(instance.id)
      const loop = parts.loopOf(instance.app)
      const held = loop?.replicas.get(instance.id)
      if (loop && held) {
        if (held.instance?.isRunning && !instance.isRunning) parts.exited(loop, instance, wasAway)
      } else {
        const forgotten = forgottenAt.get(instance.id)
        const isNews = !forgotten || (instance.isRunning && forgotten.at < askedAt)
        if (isNews) parts.adopted(driver, instance)
      }
    }
    for (const [id, forgotten] of forgottenAt) {
      if (forgotten.driver === driver.name && forgotten.at < askedAt) forgottenAt.delete(id)
    }
    for (const [id, { at, loop }] of startedAt) {
      const replica = loop.replicas.get(id)
      if (seen.has(id) || at > askedAt || replica?.driver !== driver.name || !replica.instance?.isRunning) continue
      if (replica.rotation !== 'stopping') parts.exited(loop, { ...replica.instance, isRunning: false }, wasAway)
    }
  }

  /** A listing that was asked for before the driver refused something says nothing about whether it is well. */
  const isOutdated = (driver: Driver, askedAt: number) => (lostAt.get(driver.name) ?? 0) > askedAt

  function isBack(driver: Driver): void {
    retries.get(driver.name)?.()
    retries.delete(driver.name)
    if (clock.monotonic() - (refusedAtMs.get(driver.name) ?? 0) > wellAfterMs) refusals.delete(driver.name)
    problems.delete(driver.name)
    if (!told.delete(driver.name)) return
    log.info({ driver: driver.name }, 'a driver can be worked with again')
    events.emit({ type: 'driver.restored', data: { driver: driver.name } })
  }

  function isAway(driver: Driver, thrown: unknown, what: string): void {
    moment += 1
    lostAt.set(driver.name, moment)
    const refused = (refusals.get(driver.name) ?? 0) + 1
    refusals.set(driver.name, refused)
    refusedAtMs.set(driver.name, clock.monotonic())
    const said = codeOf(thrown) === 'ORC_DRIVER_UNAVAILABLE' ? 'cannot be reached' : what
    const problem = `Driver ${driver.name} ${said}: ${messageOf(thrown)} Until it can, its apps stay as they are.`
    const isNews = !problems.has(driver.name)
    problems.set(driver.name, problem)
    if (isNews) parts.lost(driver.name)
    if (!told.has(driver.name) && parts.isUsed(driver.name)) {
      told.add(driver.name)
      log.warn({ err: thrown, driver: driver.name }, 'a driver cannot be worked with, trying again')
      events.emit({ type: 'driver.lost', data: { driver: driver.name, problem } })
    }
    retries.get(driver.name)?.()
    const delayMs = Math.min(longestRetryMs, firstRetryMs * 2 ** Math.min(refused - 1, 10))
    retries.set(
      driver.name,
      clock.after(delayMs, () => void sync(driver)),
    )
  }

  async function list(driver: Driver): Promise<void> {
    moment += 1
    const askedAt = moment
    try {
      const asked = `Driver ${driver.name}: listing its replicas`
      const instances = await answered(clock, limits.driverListMs, asked, driver.list())
      if (isStopped || isOutdated(driver, askedAt)) return
      takeOver(driver, instances, askedAt)
      isBack(driver)
      listed.add(driver.name)
      parts.listed(driver)
    } catch (thrown) {
      if (isStopped) return
      isAway(driver, thrown, 'cannot list its replicas')
    } finally {
      underWay.delete(driver.name)
    }
  }

  function sync(driver: Driver): Promise<void> {
    if (isStopped) return Promise.resolve()
    const running = underWay.get(driver.name)
    if (running) return running
    const listing = list(driver)
    underWay.set(driver.name, listing)
    return listing
  }

  return {
    sync,
    isListed: (driver) => listed.has(driver),
    problem: (driver) => problems.get(driver),
    unreachable(name, thrown) {
      const driver = parts.drivers.get(name)
      // Who fails while it is away already has nothing new to tell, and does not put off the next listing.
      if (driver && !isStopped && !problems.has(name)) isAway(driver, thrown, 'refuses what it is asked for')
    },
    started(id, loop) {
      moment += 1
      startedAt.set(id, { at: moment, loop })
    },
    forgotten({ id, driver }) {
      moment += 1
      startedAt.delete(id)
      forgottenAt.set(id, { at: moment, driver })
    },
    stop() {
      isStopped = true
      for (const cancel of retries.values()) cancel()
      retries.clear()
    },
  }
}
