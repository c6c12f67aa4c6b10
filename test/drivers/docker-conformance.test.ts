import { after, before, describe } from 'node:test'
import { driverConformance } from '../conformance/driver.ts'
import { type DockerEngine, dockerSkip, importBusybox, startDockerEngine } from '../support/docker-engine.ts'
import { waitFor } from '../support/wait-for.ts'
import { dockerHarness } from './docker-harness.ts'

describe('docker', { skip: dockerSkip }, () => {
  let engine: DockerEngine
  const endings: (() => Promise<void>)[] = []
  before(async () => {
    engine = await startDockerEngine({ after: (run) => endings.push(run) })
    await importBusybox(engine)
  })
  after(async () => {
    for (const end of endings) await end()
  })

  driverConformance('docker', async () => {
    const machine = dockerHarness(engine)
    return {
      ...machine,
      replica: { image: 'test/busybox', command: ['busybox', 'sh', '-c', 'echo hello; while :; do sleep 0.05; done'] },
      deafen: async (driver, asked) => {
        const instance = await driver.start({
          ...asked,
          command: ['busybox', 'sh', '-c', 'trap "" TERM; echo deaf; sleep 60'],
        })
        await waitFor(async () => (await driver.logs(asked.id, { lines: 1 })).length > 0)
        return instance
      },
      startBroken: (driver, asked) => driver.start({ ...asked, memoryBytes: 1024 }),
    }
  })
})
