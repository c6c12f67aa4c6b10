/**
 * Replicas that are only records, for simulations and tests: starts, exits and refusals happen when the test says so (see
 * `MemoryWorld`), and no time passes but the clock's. Drivers on the same world see the same replicas.
 */
import type { Clock } from '../clock.ts'
import { OrchestryError } from '../errors.ts'
import type { Driver, DriverEvent, Instance, StartRequest } from './driver.ts'
import { followWorld } from './memory-follow.ts'
import { createMemoryWorld, type MemoryWorld } from './memory-world.ts'

export interface MemoryDriver extends Driver {
  readonly world: MemoryWorld
}

interface Stopping {
  killAtMs: number
  wake: AbortController
  done: Promise<void>
}

export function createMemoryDriver(deps: {
  clock: Pick<Clock, 'now' | 'monotonic' | 'sleep'>
  world?: MemoryWorld
}): MemoryDriver {
  const { clock, world = createMemoryWorld() } = deps
  const listeners = new Set<(event: DriverEvent) => void>()
  const stopping = new Map<string, Stopping>()
  const starting = new Set<string>()
  let isClosed = false

  const report = (instance: Instance) => {
    if (stopping.has(instance.id)) return
    for (const listener of [...listeners]) listener({ type: 'exited', instance })
  }
  world.watchers.add(report)

  const start = async (request: StartRequest): Promise<Instance> => {
    const { id, app, version } = request
    if (isClosed)
      throw new OrchestryError('ORC_DRIVER_UNAVAILABLE', 'The memory driver is closed. Nothing was started.')
    if (world.logs.has(id) || starting.has(id)) throw failed(request, `the instance id ${id} was used before`)
    const failure = world.takeFailure()
    starting.add(id)
    try {
      if (world.startDelayMs > 0) await clock.sleep(world.startDelayMs)
    } finally {
      starting.delete(id)
    }
    if (failure !== undefined) throw failed(request, failure)
    const port = world.nextPort()
    const instance = { id, app, version, host: '127.0.0.1', port, startedAtMs: clock.now(), isRunning: true }
    world.instances.set(id, instance)
    world.logs.set(id, [])
    return instance
  }

  /** A replica that hangs is waited for until it may be forced; a second, shorter stop wakes the wait of the first. */
  const endOne = async (id: string, state: Stopping) => {
    while (world.hanging.has(id) && world.instances.get(id)?.isRunning) {
      const leftMs = state.killAtMs - clock.monotonic()
      if (leftMs <= 0) break
      state.wake = new AbortController()
      await clock.sleep(leftMs, state.wake.signal)
    }
    world.instances.delete(id)
    world.hanging.delete(id)
    stopping.delete(id)
    for (const reader of [...world.readers]) reader(id)
  }
  const stop = (id: string, graceMs: number): Promise<void> => {
    const killAtMs = clock.monotonic() + graceMs
    const earlier = stopping.get(id)
    if (earlier) {
      earlier.killAtMs = Math.min(earlier.killAtMs, killAtMs)
      earlier.wake.abort()
      return earlier.done
    }
    if (!world.instances.get(id)?.isRunning) {
      // Who asks knows of its end.
      world.instances.delete(id)
      return Promise.resolve()
    }
    const state: Stopping = { killAtMs, wake: new AbortController(), done: Promise.resolve() }
    stopping.set(id, state)
    state.done = endOne(id, state)
    return state.done
  }

  return {
    name: 'memory',
    world,
    list: async () => {
      const all = [...world.instances.values()]
      for (const { id, isRunning } of all) if (!isRunning) world.instances.delete(id)
      return all
    },
    start,
    stop: (id, { graceSeconds }) => stop(id, graceSeconds * 1000),
    usage: async (ids) => {
      const running = ids.filter((id) => world.instances.get(id)?.isRunning)
      return new Map(
        running.flatMap((id) => {
          const usage = world.usages.get(id)
          return usage ? [[id, usage] as const] : []
        }),
      )
    },
    logs: async (id, { lines }) => {
      const all = world.logs.get(id)
      if (!all) throw new OrchestryError('ORC_INSTANCE_UNKNOWN', `The memory driver knows no instance ${id}.`)
      return lines > 0 ? all.slice(-lines) : []
    },
    follow: (id, options) => followWorld(world, id, options),
    watch: (listener) => {
      listeners.add(listener)
      return () => {
        listeners.delete(listener)
      }
    },
    close: async ({ keep }) => {
      if (isClosed) return
      isClosed = true
      if (!keep) await Promise.all([...world.instances.keys()].map((id) => stop(id, 0)))
      world.watchers.delete(report)
      listeners.clear()
    },
  }
}

function failed(request: StartRequest, why: string): OrchestryError {
  return new OrchestryError(
    'ORC_DRIVER_START_FAILED',
    `A replica of ${request.app} could not be started: ${why}. Nothing is left of the attempt.`,
  )
}
