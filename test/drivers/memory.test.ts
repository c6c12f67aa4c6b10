import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { systemClock } from '../../runtime/clock.ts'
import type { Driver, StartRequest } from '../../runtime/drivers/driver.ts'
import { createMemoryDriver } from '../../runtime/drivers/memory.ts'
import { createMemoryWorld } from '../../runtime/drivers/memory-world.ts'
import { driverConformance } from '../conformance/driver.ts'

const memoryBytes = 64 * 1024 * 1024

driverConformance('memory', async () => {
  const world = createMemoryWorld()
  const open = (): Driver => {
    const driver = createMemoryDriver({ clock: systemClock, world })
    const start = async (request: StartRequest) => {
      const instance = await driver.start(request)
      world.print(instance.id, 'stdout', 'hello')
      const limitBytes = request.memoryBytes ?? memoryBytes
      world.usages.set(instance.id, { cpuPercent: 5, memoryPercent: (memoryBytes / limitBytes) * 100, memoryBytes })
      return instance
    }
    return { ...driver, start }
  }
  return {
    open,
    replica: {},
    deafen: async (driver, request) => {
      world.hanging.add(request.id)
      return driver.start(request)
    },
    startBroken: (driver, request) => {
      world.failNextStart('the test says so')
      return driver.start(request)
    },
    crash: ({ id }) => world.exit(id),
    isThere: ({ id }) => world.instances.get(id)?.isRunning === true,
    dispose: async () => {},
  }
})

describe('memory driver', () => {
  const request = (id: string): StartRequest => ({ id, app: 'a', version: 'v', command: [], env: {}, envFields: {} })

  it('passes no time but the clock’s', async () => {
    const wakes: (() => void)[] = []
    const slept: number[] = []
    const sleep = (ms: number) => {
      slept.push(ms)
      return new Promise<void>((resolve) => wakes.push(resolve))
    }
    const driver = createMemoryDriver({ clock: { now: () => 42, monotonic: () => 0, sleep } })
    driver.world.startDelayMs = 3_000
    const starting = driver.start(request('x'))
    assert.deepEqual(await driver.list(), [])
    assert.deepEqual(slept, [3_000])
    for (const wake of wakes) wake()
    assert.equal((await starting).startedAtMs, 42)
  })

  it('fails as many starts as it was told, in order, and then no more', async () => {
    const driver = createMemoryDriver({ clock: systemClock })
    driver.world.failNextStart('first')
    driver.world.failNextStart('second')
    await assert.rejects(driver.start(request('x')), /first/)
    await assert.rejects(driver.start(request('x')), /second/)
    assert.equal((await driver.start(request('x'))).isRunning, true)
  })
})
