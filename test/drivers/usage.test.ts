import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ProcessInfo } from '../../runtime/drivers/process-table.ts'
import { type Bounds, createUsageMeter, readingOf, usageBetween } from '../../runtime/drivers/usage.ts'
import { replicaCommand } from '../support/sample-app.ts'
import { waitFor } from '../support/wait-for.ts'
import { openDriver, request } from './process-harness.ts'

const process = (pid: number, cpuMs: number, rssBytes = 0, startTime = 0): ProcessInfo => ({
  pid,
  groupId: 1,
  sessionId: 1,
  startTime,
  isAlive: true,
  cpuMs,
  rssBytes,
})

describe('usage between two looks', () => {
  const cases: {
    name: string
    before: ProcessInfo[]
    now: ProcessInfo[]
    bounds?: Bounds
    cpu: number
    memory: number
  }[] = [
    {
      name: 'of one core and the machine',
      before: [process(1, 100)],
      now: [process(1, 600, 250)],
      cpu: 50,
      memory: 25,
    },
    {
      name: 'of its own limits',
      before: [process(1, 100)],
      now: [process(1, 600, 250)],
      bounds: { cpuMilli: 250, memoryBytes: 500 },
      cpu: 200,
      memory: 50,
    },
    {
      name: 'summed over its processes',
      before: [process(1, 0), process(2, 0)],
      now: [process(1, 100, 10), process(2, 300, 20)],
      cpu: 40,
      memory: 3,
    },
    {
      name: 'with a process that is new',
      before: [process(1, 50)],
      now: [process(1, 50), process(2, 100)],
      cpu: 10,
      memory: 0,
    },
    {
      name: 'never below nothing when one has gone',
      before: [process(1, 50), process(2, 900)],
      now: [process(1, 50)],
      cpu: 0,
      memory: 0,
    },
    {
      name: 'with a pid that is another process now',
      before: [process(1, 900)],
      now: [process(1, 100, 0, 7)],
      cpu: 10,
      memory: 0,
    },
  ]
  for (const { name, before, now, bounds = {}, cpu, memory } of cases) {
    it(name, () => {
      const usage = usageBetween(readingOf(before, 5_000), now, 6_000, bounds, 1_000)
      assert.equal(Math.round(usage.cpuPercent), cpu)
      assert.equal(Math.round(usage.memoryPercent), memory)
    })
  }
})

describe('usage meter', () => {
  it('answers a second asker alike instead of spoiling the span of the first', () => {
    let nowMs = 0
    const meter = createUsageMeter({ monotonic: () => nowMs })
    meter.begin('a')
    const ask = (cpuMs: number) => meter.measure([{ id: 'a', pid: 1 }], [process(1, cpuMs, 1)]).get('a')?.cpuPercent
    nowMs = 1_000
    assert.equal(ask(500), 50)
    nowMs = 1_010
    assert.equal(ask(510), 50)
    nowMs = 2_000
    assert.equal(ask(500), 0)
  })

  it('has no reading of a replica that was found running before the second look', () => {
    const meter = createUsageMeter({ monotonic: () => 0 })
    const ask = () => meter.measure([{ id: 'a', pid: 1 }], [process(1, 500, 1)]).has('a')
    assert.deepEqual([ask(), ask()], [false, true])
  })
})

describe('usage of real replicas', () => {
  it('sees a core that is busy, memory that is held, and both as shares of the limits', async (t) => {
    const { driver } = await openDriver(t)
    const limits = { cpuMilli: 100, memoryBytes: 400 * 1024 * 1024 }
    const { port } = await driver.start(request('a', replicaCommand, limits))
    const url = `http://127.0.0.1:${port}`
    await waitFor(() => fetch(`${url}/hold?mb=100`))
    const read = async () => (await driver.usage(['a'])).get('a')
    await fetch(`${url}/?cpuMs=600`)
    // 600 ms of work were done within what can hardly be more than a few seconds: well above a tenth of a core.
    const busy = await waitFor(read)
    assert.ok(busy.cpuPercent > 100, `cpu ${busy.cpuPercent} %`)
    assert.ok(busy.memoryBytes > 100 * 1024 * 1024)
    assert.equal(busy.memoryPercent, (busy.memoryBytes / limits.memoryBytes) * 100)
    await waitFor(async () => ((await read())?.cpuPercent ?? 100) < 50)
  })
})
