/** INS-01: replicas that answer a health check with whatever may hurt who asks. */
import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { HealthInput, HealthResult } from '@orchestry/sdk'
import { sampleCheck } from '../support/fake-apps.ts'
import { startHealthPlugin } from '../support/health-plugin.ts'
import { startRecordingServer } from '../support/recording-server.ts'

/** [path of the origin, what it answers, what that makes of the replica] */
const answers: [string, string, HealthResult['status']][] = [
  ['gigabyte', 'a body of 1 GiB', 'healthy'],
  ['endless', 'chunks without end', 'healthy'],
  ['drip', 'a body of a byte now and then', 'healthy'],
  ['gzip-bomb', 'a gzip bomb of 256 MB', 'healthy'],
  ['endless-nothing', 'packed chunks without end that unpack to nothing', 'healthy'],
  ['headers', 'headers of 10 MB', 'unhealthy'],
  ['million-headers', 'a million headers and more', 'unhealthy'],
  ['head-drip', 'a header of a byte now and then', 'unhealthy'],
  ['interim', 'a storm of early hints', 'unhealthy'],
  ['go-on', 'a storm of leave to go on', 'unhealthy'],
]

const rssMiB = () => process.memoryUsage.rss() / 1024 / 1024

/** A process of its own, so that what it does is not counted as ours. */
async function startReplicas(t: TestContext): Promise<number> {
  const child = fork(fileURLToPath(new URL('./endless-origin.ts', import.meta.url)), { stdio: 'ignore' })
  t.after(() => void child.kill('SIGKILL'))
  const [port] = (await once(child, 'message')) as [number]
  return port
}

async function startCheck(t: TestContext) {
  const port = await startReplicas(t)
  const { hooks, instance } = await startHealthPlugin(t, 'http-health')
  /** Checks many at once; what each found and how long the batch took. */
  return async (paths: readonly string[], ports: readonly number[] = [port]) => {
    const items = paths.flatMap((path) =>
      ports.map(
        (at): HealthInput => ({
          app: 'shop',
          instance: { id: `shop-${path}`, host: '127.0.0.1', port: at },
          healthCheck: sampleCheck({ path: `/${path}`, timeoutSeconds: 1.5 }),
        }),
      ),
    )
    const startedMs = performance.now()
    const endpoints = items.map(({ instance: { host, port: at } }) => ({ host, port: at }))
    const told = await hooks.first('healthCheck', 'check', instance, items, { endpoints, timeoutMs: 10_000 })
    return {
      found: told.map((answer) => (answer.ok ? answer.value.status : answer.failure.code)),
      tookMs: performance.now() - startedMs,
    }
  }
}

test('INS-01: within 2 s the status has decided, whatever comes before or after it, and the host has not grown', async (t) => {
  const check = await startCheck(t)
  // What a first round brings in (code, buffers that are kept) is no answer's doing.
  for (const [path] of answers) await check([path])
  for (const [path, what, status] of answers) {
    const before = rssMiB()
    let most = before
    const watch = setInterval(() => {
      most = Math.max(most, rssMiB())
    }, 5)
    const { found, tookMs } = await check([path])
    clearInterval(watch)
    assert.deepEqual(found, [status], what)
    assert.ok(tookMs < 2_000, `${what} took ${Math.round(tookMs)} ms`)
    assert.ok(Math.max(most, rssMiB()) - before < 16, `${what} took ${(most - before).toFixed(1)} MiB`)
  }
})

test('INS-01: the checks of others go on as if nothing was, while all of it comes at once and ten times over', async (t) => {
  const check = await startCheck(t)
  const good = await startReplicas(t)
  const storm = Array.from({ length: 10 }, () => answers.map(([path]) => path)).flat()
  let isOver = false
  const attack = check(storm).finally(() => {
    isOver = true
  })
  const took: number[] = []
  while (!isOver) {
    const { found, tookMs } = await check(Array<string>(20).fill('ok'), [good])
    assert.deepEqual([...new Set(found)], ['healthy'])
    took.push(tookMs)
  }
  const { found, tookMs } = await attack
  assert.ok(tookMs < 5_000, `${Math.round(tookMs)} ms`)
  const expected = storm.map((path) => answers.find(([known]) => known === path)?.[2])
  // On a machine that is short of processor time a status may come too late, never the other way round.
  const wrong = found.filter((status, index) => status === 'healthy' && expected[index] === 'unhealthy')
  assert.deepEqual(wrong, [])
  assert.ok(Math.max(...took) < 2_000, `others took ${Math.round(Math.max(...took))} ms`)
  t.diagnostic(
    `${took.length} rounds of others, ${Math.round(Math.max(...took))} ms at most; all attacks ${Math.round(tookMs)} ms`,
  )
})

test('INS-01: a redirect, to our own API or anywhere, is an answer and leads nowhere', async (t) => {
  let knocks = 0
  const api = createServer((socket) => {
    knocks += 1
    socket.destroy()
  }).listen(0, '127.0.0.1')
  t.after(() => api.close())
  await once(api, 'listening')
  const { port } = api.address() as AddressInfo
  const replica = await startRecordingServer(t, (_request, response) => {
    response.writeHead(307, { location: `http://127.0.0.1:${port}/api/v1/apps/shop/stop` }).end()
  })
  const check = await startCheck(t)
  assert.deepEqual((await check([''], [replica.port])).found, ['healthy'])
  assert.equal(knocks, 0)
})
