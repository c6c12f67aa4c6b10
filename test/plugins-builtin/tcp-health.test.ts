/** The TCP health check against real listeners, through the real capability: what it may reach is decided there. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { Compile } from 'typebox/compile'
import { resultOf } from '../../plugins-builtin/tcp-health/check.ts'
import plugin from '../../plugins-builtin/tcp-health/plugin.ts'
import type { GrantOf } from '../../runtime/capabilities/capability.ts'
import { createTcpCapability } from '../../runtime/capabilities/tcp.ts'
import { systemClock } from '../../runtime/clock.ts'
import { type HealthCheck, type HealthInput, type HealthResult, Manifest } from '../../sdk/index.ts'
import { createHarness } from '../../sdk/testing.ts'
import { sampleCheck } from '../support/fake-apps.ts'

const packageText = await readFile(new URL('../../plugins-builtin/tcp-health/package.json', import.meta.url), 'utf8')
const manifest = Compile(Manifest).Parse(JSON.parse(packageText).orchestry)
const isTcp = (record: { kind: string }): record is GrantOf<'tcp'> => record.kind === 'tcp'
const [grant] = (manifest.capabilities ?? []).filter(isTcp)
assert.ok(grant, 'the manifest asks for tcp')

type Cleanup = Pick<TestContext, 'after'>

/** A replica that takes connections and says nothing, and the port it does so on. */
async function listener(
  t: Cleanup,
  host = '127.0.0.1',
): Promise<{ server: Server; port: number; taken: () => number }> {
  let taken = 0
  const server = createServer((socket) => {
    taken += 1
    socket.on('error', () => {})
  })
  server.listen(0, host)
  await once(server, 'listening')
  t.after(() => server.close())
  return { server, port: (server.address() as AddressInfo).port, taken: () => taken }
}

async function closedPort(t: Cleanup): Promise<number> {
  const { server, port } = await listener(t)
  server.close()
  await once(server, 'close')
  return port
}

function inputOf(port: number, check: Partial<HealthCheck> = {}, host = '127.0.0.1'): HealthInput {
  return {
    app: 'queue',
    instance: { id: `queue-${port}`, host, port },
    healthCheck: sampleCheck({ protocol: 'TCP', ...check }),
  }
}

/** Runs the plugin as the host does, with what its manifest asks for. `reachable`: the instances handed to the call. */
async function checkAll(
  inputs: readonly HealthInput[],
  options: { reachable?: readonly string[]; deadlineMs?: number } = {},
): Promise<{ results: HealthResult[]; crossings: number }> {
  assert.ok(grant)
  const use = createTcpCapability({ clock: systemClock, ownListeners: () => [] }).use(grant, {
    plugin: '@orchestry/tcp-health',
    instance: 'tcp-health',
  })
  const ofInput = ({ instance, healthCheck }: HealthInput) => `${instance.host}:${healthCheck.port ?? instance.port}`
  const invocation = {
    hook: 'healthCheck',
    endpoints: new Set(options.reachable ?? inputs.map(ofInput)),
    deadlineMs: systemClock.monotonic() + (options.deadlineMs ?? 10_000),
  }
  let crossings = 0
  const exchangeAll = async (requests: unknown) => {
    crossings += 1
    return await use.operations.exchangeAll?.([requests], invocation)
  }
  try {
    const call = plugin.healthCheck?.checkAll as unknown as (
      inputs: readonly HealthInput[],
      tools: { ctx: unknown },
    ) => Promise<HealthResult[]>
    return { results: await call(inputs, { ctx: { tcp: { exchangeAll } } }), crossings }
  } finally {
    use.dispose?.()
  }
}

async function checkOne(...input: Parameters<typeof inputOf>): Promise<HealthResult> {
  const { results } = await checkAll([inputOf(...input)])
  const [result] = results
  assert.ok(result)
  return result
}

test('a replica that takes the connection is healthy, and nothing is asked of it', async (t) => {
  const { port, taken } = await listener(t)
  const result = await checkOne(port)
  assert.deepEqual([result.status, result.message], ['healthy', 'accepts connections'])
  assert.ok((result.responseTimeMs ?? -1) >= 0)
  assert.equal(taken(), 1)
})

test('a replica behind an IPv6 address is reached too', async (t) => {
  const { port } = await listener(t, '::1').catch(() => ({ port: 0 }))
  if (port === 0) return t.skip('this machine has no IPv6 loopback')
  assert.equal((await checkOne(port, {}, '::1')).status, 'healthy')
})

test('the port of the spec is asked instead of the one that takes the traffic', async (t) => {
  const health = await listener(t)
  const traffic = await closedPort(t)
  assert.equal((await checkOne(traffic, { port: health.port })).status, 'healthy')
  assert.equal((await checkOne(health.port, { port: traffic })).status, 'unhealthy')
})

describe('what the replica does wrong is unhealthy', () => {
  test('a refused connection', async (t) => {
    const result = await checkOne(await closedPort(t))
    assert.deepEqual([result.status, result.message], ['unhealthy', 'the connection was refused'])
  })
  test('a connection that nobody takes in time', () => {
    const outcome = { ok: false, code: 'ORC_NET_TIMEOUT', message: 'ctx.tcp: there was no connection in time' } as const
    assert.deepEqual(
      [resultOf(outcome).status, resultOf(outcome).message],
      ['unhealthy', 'there was no connection in time'],
    )
  })
})

describe('what is no fault of the replica is unknown', () => {
  test('an address that was not handed to the call', async (t) => {
    const { port, taken } = await listener(t)
    const { results } = await checkAll([inputOf(port)], { reachable: [] })
    assert.equal(results[0]?.status, 'unknown')
    assert.equal(results[0]?.details?.code, 'ORC_CAPABILITY_DENIED')
    assert.equal(taken(), 0)
  })
  test('a call whose time was over before the connection was tried', async (t) => {
    const { port } = await listener(t)
    const { results } = await checkAll([inputOf(port)], { deadlineMs: 0 })
    assert.equal(results[0]?.status, 'unknown')
  })
})

test('a batch crosses once and answers in order', async (t) => {
  const [open, other] = [await listener(t), await listener(t)]
  const closed = await closedPort(t)
  const { results, crossings } = await checkAll([open.port, closed, other.port].map((port) => inputOf(port)))
  assert.deepEqual(
    results.map(({ status }) => status),
    ['healthy', 'unhealthy', 'healthy'],
  )
  assert.equal(crossings, 1)
})

test('the harness that authors get accepts its answers', async () => {
  const harness = createHarness(plugin, { grants: { tcp: { '[::1]:80': '' } } })
  const [outcome] = await harness.batch('healthCheck', 'check', [inputOf(80, {}, '::1')])
  assert.ok(outcome?.ok)
  assert.equal(outcome.value.status, 'healthy')
})
