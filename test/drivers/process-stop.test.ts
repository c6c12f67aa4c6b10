import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Driver } from '../../runtime/drivers/driver.ts'
import { replicaCommand } from '../support/sample-app.ts'
import { waitFor } from '../support/wait-for.ts'
import { isAlive, openDriver, request } from './process-harness.ts'

/** The numbers that a replica has printed so far, once there are `count`. */
async function printedPids(driver: Driver, id: string, count: number): Promise<number[]> {
  return waitFor(async () => {
    const pids = (await driver.logs(id, { lines: 50 })).map(({ line }) => Number(line)).filter((pid) => pid > 0)
    return pids.length >= count && pids
  })
}

const ignoring = `process.on('SIGTERM', () => {}); console.log(process.pid); setInterval(() => {}, 1000)`
const spawning = (options: string) => `
  const { spawn } = require('node:child_process')
  spawn(process.execPath, ['-e', ${JSON.stringify(ignoring)}], { stdio: 'inherit', ${options} }).unref()
  console.log(process.pid)
`

describe('process driver: stop', () => {
  it('lets a server finish its open requests', async (t) => {
    const { driver } = await openDriver(t)
    const instance = await driver.start(request('shop-1', replicaCommand))
    const url = `http://127.0.0.1:${instance.port}`
    await waitFor(() => fetch(`${url}/healthz`))
    const slow = fetch(`${url}/?delayMs=400`)
    await waitFor(async () => Number(((await (await fetch(url)).json()) as { requests: number }).requests) >= 3)
    await driver.stop('shop-1', { graceSeconds: 10 })
    assert.equal((await slow).status, 200)
  })

  it('kills a server that ignores being asked, after the grace time', async (t) => {
    const { driver } = await openDriver(t)
    const instance = await driver.start(request('shop-1', replicaCommand, { env: { IGNORE_SIGTERM: '1' } }))
    await waitFor(() => fetch(`http://127.0.0.1:${instance.port}/healthz`))
    const startedAt = performance.now()
    await driver.stop('shop-1', { graceSeconds: 0.5 })
    assert.ok(performance.now() - startedAt >= 490)
    assert.equal(await isAlive(instance.pid ?? 0), false)
  })

  it('ends a replica that is suspended', async (t) => {
    const { driver } = await openDriver(t)
    const { pid = 0 } = await driver.start(request('shop-1', ['sleep', '60']))
    process.kill(pid, 'SIGSTOP')
    await driver.stop('shop-1', { graceSeconds: 0.2 })
    assert.equal(await isAlive(pid), false)
  })

  const families = [
    { name: 'in its group', source: `${spawning('')}; setInterval(() => {}, 1000)` },
    {
      name: 'in a session of their own (a daemon)',
      source: `${spawning('detached: true')}; setInterval(() => {}, 1000)`,
    },
  ]
  for (const { name, source } of families) {
    it(`ends grandchildren that ignore SIGTERM, ${name}`, async (t) => {
      const { driver, pids } = await openDriver(t)
      await driver.start(request('shop-1', [process.execPath, '-e', source]))
      const printed = await printedPids(driver, 'shop-1', 2)
      assert.deepEqual(await Promise.all(printed.map(isAlive)), [true, true])
      await driver.stop('shop-1', { graceSeconds: 0.3 })
      assert.deepEqual(await Promise.all(printed.map(isAlive)), [false, false])
      assert.deepEqual(await pids(), [])
    })
  }

  it('ends the jobs of a shell that gives each a group of its own', async (t) => {
    const { driver } = await openDriver(t)
    const script = 'set -m; env -i sleep 60 & echo $!; echo $$; wait'
    await driver.start(request('shop-1', ['sh', '-c', script]))
    const printed = await printedPids(driver, 'shop-1', 2)
    await driver.stop('shop-1', { graceSeconds: 1 })
    assert.deepEqual(await Promise.all(printed.map(isAlive)), [false, false])
  })

  for (const options of ['', 'detached: true']) {
    it(`ends what a replica leaves running when it ends by itself (${options || 'same group'})`, async (t) => {
      const { driver, pids } = await openDriver(t)
      const exits: string[] = []
      driver.watch((event) => event.type === 'exited' && exits.push(event.instance.id))
      await driver.start(request('shop-1', [process.execPath, '-e', spawning(options)]))
      await waitFor(() => exits.length === 1)
      await waitFor(async () => (await pids()).length === 0)
    })
  }

  it('stops twenty replicas at once', async (t) => {
    const { driver, pids } = await openDriver(t)
    const ids = Array.from({ length: 20 }, (_, index) => `shop-${index}`)
    await Promise.all(ids.map((id) => driver.start(request(id, ['sleep', '60']))))
    assert.equal((await pids()).length, 20)
    await Promise.all(ids.map((id) => driver.stop(id, { graceSeconds: 5 })))
    assert.deepEqual(await pids(), [])
    assert.deepEqual(await driver.list(), [])
  })

  it('closes while a start is under way and leaves nothing of it', async (t) => {
    const { driver, pids } = await openDriver(t)
    const starting = driver.start(request('shop-1', ['sleep', '60'])).catch((error: { code: string }) => error.code)
    await driver.close({ keep: false })
    assert.ok(
      ['ORC_DRIVER_UNAVAILABLE', 'shop-1'].includes(await starting.then((it) => (typeof it === 'string' ? it : it.id))),
    )
    assert.deepEqual(await pids(), [])
  })
})
