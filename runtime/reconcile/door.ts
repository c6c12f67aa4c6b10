/**
 * Whether replicas without a health check accept connections: those that start, those that were found, and those of which
 * somebody says that they do not. Nobody else would notice.
 */
import { appOf, type Loop, type Replica } from './loop.ts'
import { isLeaving } from './seat.ts'
import type { Beside, World } from './world.ts'

/** How often a starting replica is asked whether it listens yet, and one that is shut whether it does again. */
const firstKnockMs = 25
const longestKnockMs = 1_000
/** One that is said to be shut is asked so often before it is believed: it may only have been busy. */
const knocksInVain = 3
const suspectKnockMs = 250

export interface Door {
  /** Asks a starting replica until it listens. */
  await(loop: Loop, replica: Replica): void
  /** Asks one that was found whether it listens, or until it does: a worker never did, and is not to be blamed for it later. */
  learn(loop: Loop, replica: Replica): void
  /** Asks one that used to listen whether it still does, until it does again or has ended. */
  suspect(loop: Loop, replica: Replica): void
}

export function createDoor(world: World, beside: Beside): Door {
  const { clock, events } = world
  const knock = ({ instance }: Replica) =>
    instance === undefined ? Promise.resolve(false) : world.accepts(instance.host, instance.port)
  const isThere = (replica: Replica) => replica.instance?.isRunning === true && !world.stopping.aborted
  const isUnchecked = (loop: Loop, replica: Replica) => appOf(loop, replica.version)?.healthCheck === undefined

  async function opening(replica: Replica): Promise<void> {
    while (isThere(replica) && replica.rotation === 'starting') {
      if (await knock(replica)) {
        replica.isOpen = true
        return
      }
      const waitedMs = clock.monotonic() - replica.startedAtMs
      await clock.sleep(Math.min(longestKnockMs, Math.max(firstKnockMs, waitedMs / 10)), world.stopping)
    }
  }

  async function learning(replica: Replica): Promise<void> {
    replica.isOpen = await knock(replica)
  }

  async function reopening(loop: Loop, replica: Replica): Promise<void> {
    replica.isKnockedAt = true
    let inVain = 0
    while (isThere(replica) && !isLeaving(replica.rotation) && isUnchecked(loop, replica)) {
      if (await knock(replica)) break
      inVain += 1
      if (inVain === knocksInVain) turn(loop, replica, true)
      await clock.sleep(replica.isShut ? longestKnockMs : suspectKnockMs, world.stopping)
    }
    replica.isKnockedAt = false
    if (isThere(replica) && !isLeaving(replica.rotation) && replica.isShut) turn(loop, replica, false)
  }

  function turn(loop: Loop, replica: Replica, isShut: boolean): void {
    replica.isShut = isShut
    const message = isShut ? 'it no longer accepts connections' : 'it accepts connections again'
    const data = { instance: replica.id, from: isShut ? 'healthy' : 'unhealthy', message }
    events.emit({ type: isShut ? 'instance.unhealthy' : 'instance.healthy', app: loop.name, data })
    world.markDirty(loop.name)
  }

  return {
    await: (loop, replica) => beside(loop, 'waiting for a replica to listen', opening(replica)),
    learn(loop, replica) {
      if (isThere(replica) && isUnchecked(loop, replica))
        beside(loop, 'asking whether a replica listens', replica.hasServed ? learning(replica) : opening(replica))
    },
    suspect(loop, replica) {
      if (!replica.isOpen || replica.isKnockedAt || replica.rotation !== 'serving' || !isUnchecked(loop, replica))
        return
      beside(loop, 'asking whether a replica still listens', reopening(loop, replica))
    },
  }
}
