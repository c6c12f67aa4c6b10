/** Real Docker drivers on an engine of the tests' own. */
import type { TestContext } from 'node:test'
import { systemClock } from '../../runtime/clock.ts'
import { createDockerDriver, type DockerDriverDeps } from '../../runtime/drivers/docker.ts'
import type { Driver, Instance, StartRequest } from '../../runtime/drivers/driver.ts'
import { createLog } from '../../runtime/log.ts'
import type { DockerEngine } from '../support/docker-engine.ts'

export interface DockerHarness {
  readonly ownerId: string
  open(more?: Partial<DockerDriverDeps>): Driver
  /** The engine's name of the container of an instance; undefined when there is none. */
  containerId(instance: Pick<Instance, 'id'>): Promise<string | undefined>
  crash(instance: Instance): Promise<void>
  /** Whether it runs. */
  isThere(instance: Instance): Promise<boolean>
  dispose(): Promise<void>
}

export function dockerHarness(engine: DockerEngine): DockerHarness {
  const { docker } = engine
  const ownerId = `test-${process.pid}-${Math.random().toString(36).slice(2)}`
  const all = (label: string) => docker.listContainers({ all: true, filters: { label: [label] } })
  const find = async ({ id }: Pick<Instance, 'id'>) =>
    (await all(`orchestry.owner=${ownerId}`)).find(({ Labels }) => Labels['orchestry.instance'] === id)
  return {
    ownerId,
    open: (more) =>
      createDockerDriver({
        host: engine.host,
        ownerId,
        clock: systemClock,
        log: createLog({ level: 'silent' }),
        ...more,
      }),
    containerId: async (instance) => (await find(instance))?.Id,
    crash: async (instance) => {
      const found = await find(instance)
      await docker.getContainer(found?.Id ?? '').kill({ signal: 'SIGKILL' })
    },
    isThere: async (instance) => (await find(instance))?.State === 'running',
    dispose: async () => {
      const left = await all(`orchestry.owner=${ownerId}`)
      await Promise.all(left.map(({ Id }) => docker.getContainer(Id).remove({ force: true, v: true })))
    },
  }
}

/** A harness for one test, with a driver that is closed after it. */
export function openDriver(
  test: Pick<TestContext, 'after'>,
  engine: DockerEngine,
  more?: Partial<DockerDriverDeps>,
): DockerHarness & { driver: Driver } {
  const harness = dockerHarness(engine)
  const driver = harness.open(more)
  test.after(async () => {
    await driver.close({ keep: false })
    await harness.dispose()
  })
  return { ...harness, driver }
}

export function request(id: string, more: Partial<StartRequest> = {}): StartRequest {
  return { id, app: 'shop', version: 'v1', image: 'test/replica:1', command: [], env: {}, envFields: {}, ...more }
}
