/** Writes down why replicas failed, with the last of what they wrote: the words that a rollback is explained with. */
import { boundsOf } from '../container-policy.ts'
import type { Driver, LogLine } from '../drivers/driver.ts'
import { afterFailure, type Failure } from './backoff.ts'
import { appOf, isCurrent, type Loop, type Replica } from './loop.ts'
import { isLeaving } from './seat.ts'
import type { Beside, World } from './world.ts'

/** Of a failed replica's output, shown with the failure. */
const lastLines = 5
const lastCharacters = 1_000
/** Nothing is decided on a failure before its output is read, so that must not take long. */
const outputMs = 2_000

export interface Failures {
  remove(loop: Loop, replica: Replica): void
  startFailed(loop: Loop, replica: Replica, askedAtMs: number, reason: string): Promise<void>
  /** It is taken out because it did not do what it should. */
  retired(loop: Loop, replica: Replica, reason: string): void
  /** It ended without being asked to. `isBlameless`: its driver was away, which may have ended it. */
  exited(loop: Loop, replica: Replica, isBlameless: boolean): void
}

export function createFailures(world: World, beside: Beside): Failures {
  const { drivers, events, clock } = world

  function note(loop: Loop, failure: Failure, text: string): void {
    loop.backoff = afterFailure(loop.backoff, failure, clock.monotonic(), world.chance())
    loop.failure = text
  }

  function failureOf(replica: Replica): Failure {
    const { startedAtMs, rotation, sinceMs } = replica
    if (!replica.hasServed) return { startedAtMs }
    return { startedAtMs, servedMs: rotation === 'serving' ? clock.monotonic() - sinceMs : 0 }
  }

  /** Adds the last lines of output to what failed, unless something else has failed since. */
  async function explain(loop: Loop, replica: Replica, text: string): Promise<string> {
    loop.explanations += 1
    try {
      const lines = await lastOutput(drivers.get(replica.driver), replica.id)
      if (lines !== '' && loop.failure === text) loop.failure = `${text} Last output: ${lines}`
      return lines
    } finally {
      loop.explanations -= 1
    }
  }

  /** Tells it with the last lines of output, which may be all that says why. */
  async function tell(loop: Loop, replica: Replica, text: string, reason: string): Promise<void> {
    const output = await explain(loop, replica, text)
    const data = { instance: replica.id, reason, ...(output === '' ? {} : { output }) }
    events.emit({ type: 'instance.failed', app: loop.name, data })
  }

  async function lastOutput(driver: Driver | undefined, id: string): Promise<string> {
    const enough = new AbortController()
    const none = clock.sleep(outputMs, enough.signal).then((): LogLine[] => [])
    const read = driver?.logs(id, { lines: lastLines }).catch((): LogLine[] => [])
    const lines = await Promise.race([read, none])
    enough.abort()
    return (lines ?? [])
      .map((line) => line.line)
      .join(' | ')
      .slice(-lastCharacters)
  }

  /** Of the spec, or of the policy where the spec gives none; as it is now, which may differ from when the replica was started. */
  function limitText(loop: Loop, replica: Replica): string {
    const app = appOf(loop, replica.version)
    const { memoryBytes } = app ? boundsOf(app, world.containerPolicy) : {}
    if (memoryBytes === undefined) return ''
    const by = app?.memoryBytes === undefined ? 'where resources.memory is not given' : 'resources.memory'
    return `, its limit is ${Number((memoryBytes / 1024 / 1024).toFixed(1))}Mi (${by})`
  }

  return {
    remove(loop, replica) {
      loop.replicas.delete(replica.id)
      world.forgotten(replica)
      world.instancesChanged(loop.name)
    },
    async startFailed(loop, replica, askedAtMs, reason) {
      const text = `Replica ${replica.id} could not be started: ${reason}`
      note(loop, { startedAtMs: askedAtMs }, text)
      await tell(loop, replica, text, reason)
    },
    retired(loop, replica, reason) {
      const text = `Replica ${replica.id} was taken out: ${reason}.`
      note(loop, failureOf(replica), text)
      beside(loop, 'reading the output of a failed replica', tell(loop, replica, text, reason))
    },
    exited(loop, replica, isBlameless) {
      const exit = replica.instance?.exit
      const ended = exit?.signal ? `was ended by ${exit.signal}` : exit ? `exited with code ${exit.code}` : 'is gone'
      const how = exit?.isOutOfMemory ? `${ended}: killed for memory${limitText(loop, replica)}` : ended
      const data = {
        instance: replica.id,
        code: exit?.code ?? null,
        signal: exit?.signal ?? null,
        ...(exit?.isOutOfMemory && { isOutOfMemory: true }),
      }
      if (replica.rotation !== 'stopping') events.emit({ type: 'instance.exited', app: loop.name, data })
      // The end of an old version says nothing about the one that is wanted.
      if (!isBlameless && !isLeaving(replica.rotation) && isCurrent(loop, replica)) {
        const text = `Replica ${replica.id} ${how}.`
        note(loop, failureOf(replica), text)
        replica.explaining = explain(loop, replica, text).then(() => {})
        beside(loop, 'reading the output of a dead replica', replica.explaining)
      }
      world.instancesChanged(loop.name)
      world.markDirty(loop.name)
    },
  }
}
