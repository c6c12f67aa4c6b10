/** NET-09 and NET-11: origins that answer more than anybody can hold, and a guest that asks more than anybody can. */
import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createNetCapability } from '../../runtime/capabilities/net.ts'
import { systemClock } from '../../runtime/clock.ts'
import { openHostileGuest } from '../support/hostile-guest.ts'
import { startRecordingServer } from '../support/recording-server.ts'

/** [path of the origin, what it answers, how that ends] */
const answers: [string, string, string][] = [
  ['gzip-bomb', 'a gzip bomb of 256 MB', 'ORC_CAPABILITY_LIMIT'],
  ['many-encodings', 'a body packed a thousand times over', 'ORC_CAPABILITY_LIMIT'],
  ['endless', 'chunks without end', 'ORC_CAPABILITY_LIMIT'],
  ['endless-nothing', 'packed chunks without end that unpack to nothing', 'ORC_CAPABILITY_LIMIT'],
  ['headers', 'headers of 10 MB', 'ORC_CAPABILITY_LIMIT'],
  ['drip', 'a byte now and then', 'ORC_NET_TIMEOUT'],
]

/** A process of its own, so that what it writes is not counted as ours. */
async function startOrigin(t: TestContext): Promise<number> {
  const child = fork(fileURLToPath(new URL('./endless-origin.ts', import.meta.url)), { stdio: 'ignore' })
  t.after(() => void child.kill('SIGKILL'))
  const [port] = (await once(child, 'message')) as [number]
  return port
}

const rssMiB = () => process.memoryUsage.rss() / 1024 / 1024

test('NET-09: answers that nobody can hold end in an error within 15 s and take less than 8 MiB of the host', async (t) => {
  const port = await startOrigin(t)
  const guest = await openHostileGuest(t, {
    capability: createNetCapability({ clock: systemClock, ownListeners: () => [] }),
    grant: {
      kind: 'net',
      why: 'test',
      hosts: ['127.0.0.1'],
      ports: [port],
      schemes: ['http'],
      addresses: ['loopback'],
    },
    body: 'return tell(async () => (await ctx.net.fetch({ url: input, timeoutMs: 2000 })).status)',
    timeoutMs: 18_000,
  })
  const attack = (path: string) => guest.attack(`http://127.0.0.1:${port}/${path}`)
  // What a first request brings in (code, buffers that are kept) is no answer's doing.
  for (const [path] of answers.slice(0, -1)) for (let round = 0; round < 5; round += 1) await attack(path)
  for (const [path, what, code] of answers) {
    const startedMs = performance.now()
    const before = rssMiB()
    let most = before
    const watch = setInterval(() => {
      most = Math.max(most, rssMiB())
    }, 5)
    try {
      assert.equal(await attack(path), code, what)
    } finally {
      clearInterval(watch)
    }
    assert.ok(performance.now() - startedMs < 15_000, what)
    most = Math.max(most, rssMiB())
    assert.ok(most - before < 8, `${what} took ${(most - before).toFixed(1)} MiB`)
  }
})

test('NET-11: of 10,000 fetches at once 4 are under way, some wait and the rest are refused', async (t) => {
  let now = 0
  let most = 0
  const origin = await startRecordingServer(t, (_request, response) => {
    now += 1
    most = Math.max(most, now)
    setTimeout(() => {
      now -= 1
      response.end('ok')
    }, 5)
  })
  const guest = await openHostileGuest(t, {
    capability: createNetCapability({ clock: systemClock, ownListeners: () => [] }),
    grant: {
      kind: 'net',
      why: 'test',
      hosts: ['127.0.0.1'],
      ports: [origin.port],
      schemes: ['http'],
      addresses: ['loopback'],
    },
    body: `
      const batch = Array.from({ length: 2000 }, () => ({ url: input }))
      const answers = (await Promise.all([1, 2, 3, 4, 5].map(() => ctx.net.fetchAll(batch)))).flat()
      const count = (test) => answers.filter(test).length
      return [answers.length, count(({ ok }) => ok), count(({ code }) => code === 'ORC_CAPABILITY_LIMIT')]`,
    timeoutMs: 10_000,
  })
  const [all, sent = 0, refused = 0] = (await guest.attack(origin.at())) as number[]
  // How many get a place depends on how many are over when the next are read; none waits beyond the bound of 64.
  assert.deepEqual([all, sent + refused, origin.seen.length], [10_000, 10_000, sent])
  assert.ok(sent >= 64 && sent < 1_000, `${sent} were sent`)
  assert.equal(most, 4)
})
