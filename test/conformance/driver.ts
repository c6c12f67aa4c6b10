/** What every driver must do, whatever it runs replicas on. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { Driver, DriverEvent, Instance, StartRequest } from '../../runtime/drivers/driver.ts'
import { waitFor } from '../support/wait-for.ts'

/** One fresh machine; every test gets its own. */
export interface DriverHarness {
  /** A driver object; each call another one on the same data, of the same controller. */
  open(): Driver
  /** Fields of a request for a replica that prints "hello" and then runs until it is told to end. */
  readonly replica: Partial<StartRequest>
  /** Makes a running replica deaf to being asked to end; resolves when it is. */
  deafen(driver: Driver, request: StartRequest): Promise<Instance>
  /** Starts something that cannot be started. */
  startBroken(driver: Driver, request: StartRequest): Promise<Instance>
  /** Makes a running replica end by itself. */
  crash(instance: Instance): void | Promise<void>
  isThere(instance: Instance): boolean | Promise<boolean>
  /** Removes everything, also replicas that a failed test left. */
  dispose(): Promise<void>
}

export function driverConformance(name: string, create: () => Promise<DriverHarness>): void {
  describe(`driver conformance: ${name}`, () => {
    let harness: DriverHarness
    let opened: Driver[]
    const open = () => {
      const driver = harness.open()
      opened.push(driver)
      return driver
    }
    const request = (id: string, more: Partial<StartRequest> = {}): StartRequest => ({
      id,
      app: 'shop',
      version: 'v1',
      command: [],
      env: {},
      envFields: {},
      ...harness.replica,
      ...more,
    })
    const idsOf = async (driver: Driver) => (await driver.list()).map(({ id }) => id).sort()
    const listen = (driver: Driver) => {
      const events: DriverEvent[] = []
      return { events, unwatch: driver.watch((event) => events.push(event)) }
    }

    beforeEach(async () => {
      harness = await create()
      opened = []
    })
    afterEach(async () => {
      await Promise.all(opened.map((driver) => driver.close({ keep: false })))
      await harness.dispose()
    })

    it('starts a replica and lists it with what was asked for', async () => {
      const driver = open()
      const before = Date.now()
      const instance = await driver.start(request('shop-1'))
      assert.equal(instance.app, 'shop')
      assert.equal(instance.version, 'v1')
      assert.equal(instance.isRunning, true)
      assert.ok(instance.port > 0 && instance.port < 65_536)
      assert.ok(instance.startedAtMs >= before && instance.startedAtMs <= Date.now())
      assert.deepEqual(await driver.list(), [instance])
    })

    it('lists nothing where nothing was started', async () => {
      assert.deepEqual(await open().list(), [])
    })

    it('gives replicas that start at once different addresses', async () => {
      const driver = open()
      const started = await Promise.all(['a', 'b', 'c', 'd'].map((id) => driver.start(request(id))))
      assert.equal(new Set(started.map(({ host, port }) => `${host}:${port}`)).size, 4)
      assert.deepEqual(await idsOf(driver), ['a', 'b', 'c', 'd'])
    })

    it('refuses an id that was used before and leaves the first replica alone', async () => {
      const driver = open()
      const first = await driver.start(request('shop-1'))
      await assert.rejects(driver.start(request('shop-1')), { code: 'ORC_DRIVER_START_FAILED' })
      assert.deepEqual(await driver.list(), [first])
      assert.ok(await harness.isThere(first))
    })

    it('leaves nothing behind when a start fails, and starts the same id afterwards', async () => {
      const driver = open()
      const { events } = listen(driver)
      await assert.rejects(harness.startBroken(driver, request('shop-1')), { code: 'ORC_DRIVER_START_FAILED' })
      assert.deepEqual(await driver.list(), [])
      assert.deepEqual(events, [])
      const instance = await driver.start(request('shop-1'))
      assert.deepEqual(await driver.list(), [instance])
    })

    it('tells watchers at once when a replica ends by itself, and lists it once more as ended', async () => {
      const driver = open()
      const { events } = listen(driver)
      const instance = await driver.start(request('shop-1'))
      await harness.crash(instance)
      const event = await waitFor(() => events[0])
      assert.ok(event.type === 'exited')
      assert.equal(event.instance.id, 'shop-1')
      assert.equal(event.instance.isRunning, false)
      assert.ok(event.instance.exit)
      assert.deepEqual(await driver.list(), [event.instance])
      assert.deepEqual(await driver.list(), [])
      assert.equal(events.length, 1)
    })

    it('does not tell a watcher that has left', async () => {
      const driver = open()
      const left = listen(driver)
      const stayed = listen(driver)
      left.unwatch()
      left.unwatch()
      await harness.crash(await driver.start(request('shop-1')))
      await waitFor(() => stayed.events.length === 1)
      assert.deepEqual(left.events, [])
    })

    it('stops a replica that listens, without waiting for the grace time, and makes no event of it', async () => {
      const driver = open()
      const { events } = listen(driver)
      const instance = await driver.start(request('shop-1'))
      await waitFor(async () => (await driver.logs('shop-1', { lines: 1 })).length > 0)
      const startedAt = performance.now()
      await driver.stop('shop-1', { graceSeconds: 20 })
      assert.ok(performance.now() - startedAt < 5_000)
      assert.equal(await harness.isThere(instance), false)
      assert.deepEqual(await driver.list(), [])
      assert.deepEqual(events, [])
    })

    it('forces a replica that does not listen after the grace time, not before', async () => {
      const driver = open()
      const instance = await harness.deafen(driver, request('shop-1'))
      const startedAt = performance.now()
      const stopping = driver.stop('shop-1', { graceSeconds: 0.4 })
      await waitFor(() => performance.now() - startedAt > 250)
      assert.ok(await harness.isThere(instance))
      await stopping
      const tookMs = performance.now() - startedAt
      assert.ok(tookMs >= 390 && tookMs < 3_000, `took ${tookMs} ms`)
      assert.equal(await harness.isThere(instance), false)
    })

    it('lets a second stop shorten the grace time of the first', async () => {
      const driver = open()
      const instance = await harness.deafen(driver, request('shop-1'))
      const startedAt = performance.now()
      const first = driver.stop('shop-1', { graceSeconds: 30 })
      await driver.stop('shop-1', { graceSeconds: 0 })
      await first
      assert.ok(performance.now() - startedAt < 5_000)
      assert.equal(await harness.isThere(instance), false)
    })

    it('takes a stop of what is stopped, ended or unknown for done', async () => {
      const driver = open()
      await driver.start(request('shop-1'))
      await Promise.all([1, 2].map(() => driver.stop('shop-1', { graceSeconds: 1 })))
      await driver.stop('shop-1', { graceSeconds: 1 })
      await driver.stop('never-there', { graceSeconds: 1 })
      const { events } = listen(driver)
      await harness.crash(await driver.start(request('shop-2')))
      await waitFor(() => events.length === 1)
      await driver.stop('shop-2', { graceSeconds: 1 })
    })

    it('keeps replicas on close when told so, and the next driver adopts them with their ports', async () => {
      const first = open()
      const instance = await first.start(request('shop-1'))
      await first.close({ keep: true })
      await first.close({ keep: true })
      assert.ok(await harness.isThere(instance))
      const second = open()
      const { events } = listen(second)
      assert.deepEqual(await second.list(), [instance])
      await harness.crash(instance)
      const event = await waitFor(() => events[0])
      assert.ok(event.type === 'exited')
      assert.equal(event.instance.id, 'shop-1')
      assert.deepEqual(await second.list(), [event.instance])
    })

    it('stops what it adopted', async () => {
      const first = open()
      const instance = await first.start(request('shop-1'))
      await first.close({ keep: true })
      const second = open()
      await second.list()
      await second.stop('shop-1', { graceSeconds: 1 })
      assert.equal(await harness.isThere(instance), false)
      assert.deepEqual(await second.list(), [])
    })

    it('reports once what died while no driver looked', async () => {
      const first = open()
      const instance = await first.start(request('shop-1'))
      await first.close({ keep: true })
      await harness.crash(instance)
      await waitFor(async () => !(await harness.isThere(instance)))
      const second = open()
      const [dead, ...others] = await second.list()
      assert.equal(dead?.id, 'shop-1')
      assert.equal(dead?.isRunning, false)
      assert.deepEqual(others, [])
      assert.deepEqual(await second.list(), [])
    })

    it('stops everything on close when not told to keep it, and starts nothing afterwards', async () => {
      const driver = open()
      const started = await Promise.all(['a', 'b'].map((id) => driver.start(request(id))))
      await driver.close({ keep: false })
      assert.deepEqual(await Promise.all(started.map(async (one) => harness.isThere(one))), [false, false])
      await assert.rejects(driver.start(request('c')), { code: 'ORC_DRIVER_UNAVAILABLE' })
      assert.deepEqual(await open().list(), [])
    })

    it('closes before anything was asked of it', async () => {
      await open().close({ keep: false })
      await open().close({ keep: true })
    })

    it('shows the newest lines of a replica, also after it has ended', async () => {
      const driver = open()
      await driver.start(request('shop-1'))
      const lines = await waitFor(async () => {
        const found = await driver.logs('shop-1', { lines: 10 })
        return found.length > 0 && found
      })
      const atMs = lines[0]?.atMs
      if (atMs !== undefined) assert.ok(Math.abs(atMs - Date.now()) < 60_000)
      const hello = { instance: 'shop-1', stream: 'stdout', line: 'hello' }
      assert.deepEqual(lines, [atMs === undefined ? hello : { ...hello, atMs }])
      await driver.stop('shop-1', { graceSeconds: 1 })
      assert.deepEqual(await driver.logs('shop-1', { lines: 10 }), lines)
      assert.deepEqual(await driver.logs('shop-1', { lines: 0 }), [])
      await assert.rejects(driver.logs('never-there', { lines: 10 }), { code: 'ORC_INSTANCE_UNKNOWN' })
    })

    it('follows a replica, where it can: what was written and what comes, each line once, until its end', async (t) => {
      const driver = open()
      if (!driver.follow) return t.skip('this driver is asked for its newest lines instead')
      const instance = await driver.start(request('shop-1'))
      await waitFor(async () => (await driver.logs('shop-1', { lines: 1 })).length > 0)
      const read = async (lines: number, signal = AbortSignal.timeout(30_000)) => {
        const found: string[] = []
        for await (const batch of driver.follow?.('shop-1', { lines, signal }) ?? [])
          for (const line of batch) found.push(`${line.instance} ${line.stream} ${line.line}`)
        return found
      }
      const left = new AbortController()
      const readers = [read(10), read(0), read(10, left.signal)]
      await new Promise((resolve) => setTimeout(resolve, 300))
      left.abort()
      await harness.crash(instance)
      const [all, onlyNew, gone] = await Promise.all(readers)
      assert.deepEqual([all, onlyNew, gone], [['shop-1 stdout hello'], [], ['shop-1 stdout hello']])
      assert.deepEqual(await read(10), ['shop-1 stdout hello'], 'also when it has ended')
      const unknown = async () => {
        for await (const _ of driver.follow?.('never-there', { lines: 1, signal: left.signal }) ?? []);
      }
      await assert.rejects(unknown, { code: 'ORC_INSTANCE_UNKNOWN' })
    })

    it('measures running replicas only', async () => {
      const driver = open()
      await driver.start(request('shop-1', { memoryBytes: 512 * 1024 * 1024 }))
      // The kernel counts the first pages of a process late.
      const usage = await waitFor(async () => {
        const found = (await driver.usage(['shop-1', 'never-there'])).get('shop-1')
        return found && found.memoryBytes > 0 && found
      })
      assert.ok(Math.abs(usage.memoryPercent - (usage.memoryBytes / (512 * 1024 * 1024)) * 100) < 0.01)
      assert.ok(usage.cpuPercent >= 0 && usage.cpuPercent < 10_000)
      await driver.stop('shop-1', { graceSeconds: 1 })
      assert.equal((await driver.usage(['shop-1'])).size, 0)
    })
  })
}
