/** Everything outside the controller: machine, load balancer, store, load. It outlives every controller, with its faults. */
import type { Upstream } from '@orchestry/sdk'
import type { Instance } from '../../runtime/drivers/driver.ts'
import { createMemoryWorld, type MemoryWorld } from '../../runtime/drivers/memory-world.ts'
import { createMemoryStore } from '../../runtime/store/memory.ts'
import type { Store } from '../../runtime/store/store.ts'
import { createSimulationClock, type SimulationClock } from './clock.ts'

/** `hanging`: no answer comes until it works again. `deaf`: it does what it is asked, and the answer is lost. */
export type Mode = 'up' | 'down' | 'hanging' | 'deaf'

export interface Faults {
  driver: Mode
  balancer: Mode
  /** `unknown`: the check answers that it could not be made. */
  health: Mode | 'unknown'
  scaler: Mode | 'wild'
  /** Writes that fail out of a hundred. */
  storeFailsPercent: number
  /** Exits of replicas that no driver event tells of, out of a hundred. */
  missedPercent: number
  driverMs: number
  balancerMs: number
  /** How long new replicas take until they answer. */
  readyMs: number
  /** Of new replicas, how many ignore being asked to end, out of a hundred. */
  stubbornPercent: number
  /** Versions whose replicas never become healthy, that cannot be started, and that end soon after their start. */
  readonly sickVersions: Set<string>
  readonly refusedVersions: Set<string>
  readonly crashingVersions: Set<string>
}

/** The truth about one replica that a driver only sees from outside. */
export interface Inside {
  readonly startedAtMs: number
  /** Infinite for one of a version that never is, until that is mended. */
  readyAtMs: number
  isSick: boolean
  /** It was never at fault: nobody has a reason to replace it. */
  isBlameless: boolean
  endedAtMs?: number
}

export interface Cluster {
  readonly clock: SimulationClock
  readonly chance: () => number
  readonly store: Store
  readonly world: MemoryWorld
  readonly faults: Faults
  readonly inside: Map<string, Inside>
  /** What the load balancer routes by. */
  readonly routes: Map<string, Upstream>
  /** Requests that replicas still work on. */
  readonly connections: Map<string, number>
  /** Requests a second that each app is sent. */
  readonly load: Map<string, number>
  /** Plugins that are not serving. */
  readonly asleep: Set<string>
  running(app: string): Instance[]
  isHealthy(id: string): boolean
  /** Since when everything works; infinite while something does not. */
  soundSinceMs(): number
  /** Changes the faults, and wakes what hung on those that are over. */
  mend(changes: Partial<Faults>): void
  /** No version is bad any more. */
  cure(): void
  /** Resolves when none of these hangs any more. */
  answering(what: 'driver' | 'balancer' | 'health' | 'scaler'): Promise<void>
}

export function createFaults(): Faults {
  return {
    driver: 'up',
    balancer: 'up',
    health: 'up',
    scaler: 'up',
    storeFailsPercent: 0,
    missedPercent: 0,
    driverMs: 5,
    balancerMs: 5,
    readyMs: 300,
    stubbornPercent: 0,
    sickVersions: new Set(),
    refusedVersions: new Set(),
    crashingVersions: new Set(),
  }
}

export function createCluster(chance: () => number): Cluster {
  const clock = createSimulationClock()
  const faults = createFaults()
  const world = createMemoryWorld()
  const inside = new Map<string, Inside>()
  let waiting: (() => void)[] = []
  let soundSinceMs = 0
  let wasSound = true
  const asleep = new Set<string>()
  const isSound = () =>
    asleep.size === 0 &&
    faults.driver === 'up' &&
    faults.balancer === 'up' &&
    faults.health === 'up' &&
    faults.storeFailsPercent === 0
  world.watchers.add(({ id }) => {
    const one = inside.get(id)
    if (one) one.endedAtMs = clock.monotonic()
  })
  return {
    clock,
    chance,
    store: createMemoryStore({ clock }),
    world,
    faults,
    inside,
    routes: new Map(),
    connections: new Map(),
    load: new Map(),
    asleep,
    running: (app) => [...world.instances.values()].filter((one) => one.app === app && one.isRunning),
    isHealthy(id) {
      const instance = world.instances.get(id)
      const one = inside.get(id)
      if (!instance?.isRunning || !one || one.isSick) return false
      return !faults.sickVersions.has(instance.version) && clock.monotonic() >= one.readyAtMs
    },
    soundSinceMs() {
      wasSound &&= isSound()
      return wasSound ? soundSinceMs : Number.POSITIVE_INFINITY
    },
    mend(changes) {
      Object.assign(faults, changes)
      if (!wasSound && isSound()) soundSinceMs = clock.monotonic()
      wasSound = isSound()
      const woken = waiting
      waiting = []
      for (const wake of woken) wake()
    },
    cure() {
      for (const bad of [faults.sickVersions, faults.refusedVersions, faults.crashingVersions]) bad.clear()
      for (const one of inside.values())
        if (one.readyAtMs === Number.POSITIVE_INFINITY) one.readyAtMs = clock.monotonic()
    },
    async answering(what) {
      while (faults[what] === 'hanging') await new Promise<void>((resolve) => waiting.push(resolve))
    },
  }
}
