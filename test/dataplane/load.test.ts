import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Endpoint } from '@orchestry/sdk'
import autocannon from 'autocannon'
import { makeDataplane, type TestDataplane } from '../support/dataplane.ts'
import { startReplica } from '../support/proxy.ts'
import { waitFor } from '../support/wait-for.ts'

/** Real load for the time the work takes, and what came of it. */
async function loadWhile(url: string, work: () => Promise<void>, options: Partial<autocannon.Options> = {}) {
  let finish = (_error: Error | null, _result: autocannon.Result) => {}
  const finished = new Promise<autocannon.Result>((resolve, reject) => {
    finish = (error, result) => (error ? reject(error) : resolve(result))
  })
  const load = autocannon({ url, connections: 20, duration: 30, ...options }, (error, result) => finish(error, result))
  await sleep(300)
  await work()
  await sleep(300)
  load.stop()
  const result = await finished
  assert.ok(result.requests.total > 50, `only ${result.requests.total} requests`)
  return result
}

const failures = (result: autocannon.Result) => ({
  errors: result.errors,
  timeouts: result.timeouts,
  non2xx: result.non2xx,
  mismatches: result.mismatches,
})
const none = { errors: 0, timeouts: 0, non2xx: 0, mismatches: 0 }

function publisher({ dataplane }: TestDataplane) {
  let generation = 0
  return (endpoints: readonly Endpoint[], draining: readonly Endpoint[] = []) => {
    generation += 1
    return dataplane.apply({
      app: 'shop',
      generation,
      route: { path: '/shop/' },
      endpoints: [...endpoints],
      draining: [...draining],
    })
  }
}

/** A replica in a process of its own, which can be killed. */
async function spawnReplica(t: TestContext, id: string): Promise<{ endpoint: Endpoint; kill(): Promise<void> }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, '../support/replica-server.js')], {
    env: { PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  t.after(kill)
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
  return { endpoint: { id, host: '127.0.0.1', port: Number(line.split(' ').at(-1)) }, kill }
}

test('replicas are swapped, drained and stopped under load without one failed request', async (t) => {
  const plane = await makeDataplane(t)
  await plane.dataplane.start()
  const publish = publisher(plane)
  const slowly = (id: string) =>
    startReplica(t, id, (request, response) => {
      request.resume()
      request.once('end', () => setTimeout(() => response.end(id), 5))
    })
  let current = await slowly('replica-0')
  await publish([current.endpoint])
  const result = await loadWhile(
    `${plane.url()}/shop/`,
    async () => {
      for (let round = 1; round <= 8; round += 1) {
        const [old, next] = [current, await slowly(`replica-${round}`)]
        await publish([old.endpoint, next.endpoint])
        await publish([next.endpoint], [old.endpoint])
        await waitFor(async () => {
          const status = await plane.dataplane.status('shop')
          return status?.endpoints.find(({ id }) => id === old.endpoint.id)?.activeConnections === 0
        })
        await publish([next.endpoint])
        await old.stop()
        current = next
      }
    },
    // Also requests that are never repeated.
    { requests: [{ method: 'GET' }, { method: 'POST', body: 'order' }] },
  )
  assert.deepEqual(failures(result), none)
})

test('a replica that is killed under load costs no GET', async (t) => {
  const plane = await makeDataplane(t)
  await plane.dataplane.start()
  const publish = publisher(plane)
  const replicas = await Promise.all(['a', 'b', 'c'].map((id) => spawnReplica(t, id)))
  const [victim, ...others] = replicas
  await publish(replicas.map(({ endpoint }) => endpoint))
  const result = await loadWhile(`${plane.url()}/shop/?delayMs=3`, async () => {
    await victim?.kill()
    await sleep(500)
    await publish(others.map(({ endpoint }) => endpoint))
  })
  assert.deepEqual(failures(result), none)
})

test('a replica that is killed under load loses only the POSTs it had taken, and none is done twice', async (t) => {
  const plane = await makeDataplane(t)
  await plane.dataplane.start()
  const publish = publisher(plane)
  const done: string[] = []
  const replica = (id: string) =>
    startReplica(t, id, (request, response) => {
      done.push(String(request.headers['x-order']))
      setTimeout(() => response.end(), 5)
    })
  const [victim, survivor] = await Promise.all([replica('victim'), replica('survivor')])
  await publish([victim.endpoint, survivor.endpoint])
  const failed: string[] = []
  let sent = 0
  let isOver = false
  const client = async () => {
    while (!isOver) {
      sent += 1
      const order = String(sent)
      const response = await fetch(`${plane.url()}/shop/`, { method: 'POST', headers: { 'x-order': order }, body: 'x' })
      await response.arrayBuffer()
      if (response.status !== 200) failed.push(order)
    }
  }
  const clients = Array.from({ length: 10 }, client)
  await waitFor(() => done.length > 50)
  await victim.stop()
  const after = done.length
  await waitFor(() => done.length > after + 100)
  isOver = true
  await Promise.all(clients)
  assert.equal(new Set(done).size, done.length, 'an order was done twice')
  assert.ok(failed.length <= 10, `${failed.length} orders failed; at most those that were under way may`)
})

test('what the proxy costs', async (t) => {
  const plane = await makeDataplane(t)
  await plane.dataplane.start()
  const replica = await spawnReplica(t, 'a')
  await publisher(plane)([replica.endpoint])
  const run = async (url: string) => (await autocannon({ url, connections: 32, duration: 2 })).requests.average
  const direct = await run(`http://127.0.0.1:${replica.endpoint.port}/healthz`)
  const proxied = await run(`${plane.url()}/shop/healthz`)
  t.diagnostic(`${Math.round(proxied)} requests/s through the proxy, ${Math.round(direct)} direct`)
  assert.ok(proxied > 0)
})
