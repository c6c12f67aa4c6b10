/**
 * Keeps what we hold in line with what drivers see: adopts what runs, notices what is gone. A listing is a picture of a
 * moment that has passed when we read it, so whatever changed since it was asked for is left alone.
 */
import type { Clock } from '../clock.ts'
import type { Driver, Instance } from '../drivers/driver.ts'
import { messageOf } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Loop } from './loop.ts'

const firstRetryMs = 1_000
const longestRetryMs = 30_000

export interface Adoption {
  /** Lists one driver and takes over what it sees. Never rejects; one that cannot be listed is tried again. */
  sync(driver: Driver): Promise<void>
  /** It has been listed once: what it runs is known. */
  isListed(driver: string): boolean
  /** Why it cannot be listed now. */
  problem(driver: string): string | undefined
  started(id: string, loop: Loop): void
  forgotten(replica: { readonly id: string; readonly driver: string }): void
  stop(): void
}

export interface AdoptionParts {
  readonly clock: Clock
  readonly log: Log
  loopOf(app: string): Loop | undefined
  adopted(driver: Driver, instance: Instance): void
  exited(loop: Loop, instance: Instance): void
  /** The driver can be worked with again. */
  listed(driver: Driver): void
  /** Whether anything depends on it: who has no app for containers need not hear that there is no engine. */
  isUsed(driver: string): boolean
}

export function createAdoption(parts: AdoptionParts): Adoption {
  const { clock, log } = parts
  const problems = new Map<string, string>()
  const listed = new Set<string>()
  const underWay = new Map<string, Promise<void>>()
  const refusals = new Map<string, number>()
  const retries = new Map<string, () => void>()
  /** Order of what has happened, to tell what a listing cannot know yet. */
  let moment = 0
  const startedAt = new Map<string, { at: number; loop: Loop }>()
  /** Until its driver has been listed again: that listing reports once more whose end we have heard of already. */
  const forgottenAt = new Map<string, { at: number; driver: string }>()
  let isStopped = false

  function takeOver(driver: Driver, instances: readonly Instance[], askedAt: number): void {
    const seen = new Set<string>()
    for (const instance of instances) {
      seen.add(instance.id)
      const loop = parts.loopOf(instance.app)
      const held = loop?.replicas.get(instance.id)
      if (loop && held) {
        if (held.instance?.isRunning && !instance.isRunning) parts.exited(loop, instance)
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
      if (replica.rotation !== 'stopping') parts.exited(loop, { ...replica.instance, isRunning: false })
    }
  }

  async function list(driver: Driver): Promise<void> {
    moment += 1
    const askedAt = moment
    try {
      const instances = await driver.list()
      if (isStopped) return
      refusals.delete(driver.name)
      problems.delete(driver.name)
      takeOver(driver, instances, askedAt)
      listed.add(driver.name)
      parts.listed(driver)
    } catch (thrown) {
      if (isStopped) return
      const refused = (refusals.get(driver.name) ?? 0) + 1
      refusals.set(driver.name, refused)
      problems.set(
        driver.name,
        `Driver ${driver.name} cannot list its replicas: ${messageOf(thrown)} Until it can, its apps stay as they are.`,
      )
      if (parts.isUsed(driver.name))
        log.warn({ err: thrown, driver: driver.name }, 'a driver cannot list its replicas, trying again')
      retries.get(driver.name)?.()
      const delayMs = Math.min(longestRetryMs, firstRetryMs * 2 ** (refused - 1))
      retries.set(
        driver.name,
        clock.after(delayMs, () => void sync(driver)),
      )
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
