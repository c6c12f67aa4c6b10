/** The memory driver as a controller meets it: slow, refusing, hanging, forgetful, by the faults of the cluster. */
import type { Driver, DriverEvent, Instance, StartRequest } from '../../runtime/drivers/driver.ts'
import { createMemoryDriver } from '../../runtime/drivers/memory.ts'
import { OrchestryError } from '../../runtime/errors.ts'
import type { Cluster } from './cluster.ts'
import { type Life, step, within } from './life.ts'
import type { Tell } from './observer.ts'

/** What the simulated machine is called in specs. */
export const driverName = 'process'

export function createMachine(cluster: Cluster, life: Life, tell: Tell): Driver & { leave(): void } {
  const { clock, chance, faults, world } = cluster
  const memory = createMemoryDriver({ clock, world })

  const reach = async () => {
    await clock.sleep(faults.driverMs * chance())
    await cluster.answering('driver')
    if (faults.driver === 'down') throw unavailable()
  }
  /** What was asked for was done, but nobody hears of it. */
  const answer = () => {
    if (faults.driver === 'deaf') throw unavailable()
  }

  async function start(request: StartRequest): Promise<Instance> {
    tell('startAsked', request)
    await reach()
    if (faults.refusedVersions.has(request.version)) {
      throw new OrchestryError('ORC_DRIVER_START_FAILED', 'There is no such image.')
    }
    const instance = await memory.start(request)
    const { id, version } = request
    const nowMs = clock.monotonic()
    const isBlameless = !faults.sickVersions.has(version) && !faults.crashingVersions.has(version)
    const readyAtMs = faults.sickVersions.has(version) ? Number.POSITIVE_INFINITY : nowMs + faults.readyMs * chance()
    cluster.inside.set(id, { startedAtMs: nowMs, readyAtMs, isSick: false, isBlameless })
    if (chance() * 100 < faults.stubbornPercent) world.hanging.add(id)
    if (faults.crashingVersions.has(version)) clock.after(2000 * chance(), () => world.exit(id))
    answer()
    return instance
  }

  async function list(): Promise<Instance[]> {
    await reach()
    const all = await memory.list()
    await clock.sleep(faults.driverMs * chance())
    answer()
    return all
  }

  async function stop(id: string, graceSeconds: number): Promise<void> {
    tell('stopAsked', id)
    await reach()
    await memory.stop(id, { graceSeconds })
    const one = cluster.inside.get(id)
    if (one) one.endedAtMs ??= clock.monotonic()
    answer()
  }

  return {
    name: driverName,
    list: () => within(life, list),
    start: (request) => step(life, 'driver.start', () => start(request)),
    stop: (id, { graceSeconds }) => step(life, 'driver.stop', () => stop(id, graceSeconds)),
    usage: (ids) => within(life, () => memory.usage(ids)),
    logs: (id, options) => within(life, () => memory.logs(id, options)),
    watch: (listener) =>
      memory.watch((event: DriverEvent) => {
        if (!life.isOver && chance() * 100 >= faults.missedPercent) listener(event)
      }),
    close: (options) => memory.close(options),
    leave: () => void memory.close({ keep: true }),
  }
}

function unavailable(): OrchestryError {
  return new OrchestryError('ORC_DRIVER_UNAVAILABLE', 'The daemon does not answer.')
}
