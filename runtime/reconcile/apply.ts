/**
 * Carries out the steps of a plan: the one place that changes the world. Nothing here waits: what takes time runs beside
 * the pass, writes down how it ended and marks the app dirty. Every step may be the last one before a kill -9: the next
 * start finds what runs and goes on from there.
 */

import { createDoor } from './door.ts'
import type { Goal, Step } from './facts.ts'
import { createLifecycle } from './lifecycle.ts'
import { type Loop, moveTo, type Replica } from './loop.ts'
import { createRouter } from './routing.ts'
import type { Beside, World } from './world.ts'

export interface Apply {
  run(loop: Loop, goal: Goal, steps: readonly Step[]): void
  /** A replica ended without being asked to. `isBlameless`: its driver was away, which may have ended it. */
  noteExit(loop: Loop, replica: Replica, isBlameless: boolean): void
  /** A replica was found running. */
  noteAdopted(loop: Loop, replica: Replica): void
  /** Somebody saw requests to it fail. */
  noteSuspicion(loop: Loop, replica: Replica): void
  /** Resolves when no step is under way. */
  idle(): Promise<void>
}

export function createApply(world: World): Apply {
  const { clock, log } = world
  const underWay = new Set<Promise<void>>()
  const beside: Beside = (loop, what, work) => {
    const tracked = work
      .catch((thrown: unknown) => log.error({ err: thrown, app: loop.name }, `${what} failed inside the host`))
      .finally(() => {
        underWay.delete(tracked)
        world.markDirty(loop.name)
      })
    underWay.add(tracked)
  }
  const router = createRouter(world, beside)
  const door = createDoor(world, beside)
  const lifecycle = createLifecycle(world, beside, door)

  function perform(loop: Loop, goal: Goal, step: Step): void {
    if (step.do === 'publish') return router.publish(loop, { endpoints: step.endpoints, draining: step.draining })
    if (step.do === 'count') return router.count(loop)
    if (step.do === 'start') {
      for (let index = 0; index < step.count; index += 1) lifecycle.start(loop, goal.replicas)
      return
    }
    const replica = loop.replicas.get(step.id)
    if (!replica) return
    if (step.do === 'discard') lifecycle.discard(loop, replica)
    else if (step.do === 'rotate') moveTo(replica, step.to, clock.monotonic())
    else if (step.do === 'retire') lifecycle.retire(loop, replica, step.reason, step.isFailure)
    else lifecycle.stop(loop, replica, goal.rollout.stopGraceSeconds)
  }

  return {
    run(loop, goal, steps) {
      for (const step of steps) perform(loop, goal, step)
    },
    noteExit: lifecycle.noteExit,
    noteAdopted: door.learn,
    noteSuspicion: door.suspect,
    async idle() {
      while (underWay.size > 0) await Promise.all(underWay)
    },
  }
}
