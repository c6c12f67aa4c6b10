/** The HTTP health check against real servers, through the real capability: what it may reach is decided there. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, describe, test } from 'node:test'
import { Compile } from 'typebox/compile'
import plugin from '../../plugins-builtin/http-health/plugin.ts'
import type { GrantOf } from '../../runtime/capabilities/capability.ts'
import { createNetCapability } from '../../runtime/capabilities/net.ts'
import { systemClock } from '../../runtime/clock.ts'
import { type HealthCheck, type HealthInput, type HealthResult, Manifest, type NetOutcome } from '../../sdk/index.ts'
import { createHarness } from '../../sdk/testing.ts'
import { sampleCheck } from '../support/fake-apps.ts'

const packageText = await readFile(new URL('../../plugins-builtin/http-health/package.json', import.meta.url), 'utf8')
const manifest = Compile(Manifest).Parse(JSON.parse(packageText).orchestry)
const isNet = (record: { kind: string }): record is GrantOf<'net'> => record.kind === 'net'
const [asked] = (manifest.capabilities ?? []).filter(isNet)
assert.ok(asked, 'the manifest asks for net')
const grant: GrantOf<'net'> = asked

type Handler = (request: IncomingMessage, response: ServerResponse) => void
const closers: (() => void)[] = []
after(() => {
  for (const close of closers) close()
})

/** A replica with its own way of answering; its port. */
async function replica(handle: Handler): Promise<number> {
  const server = createServer(handle)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closers.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

/** A port on which nobody listens. */
async function closedPort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

const answering =
  (status: number, headers: Record<string, string> = {}): Handler =>
  (_request, response) => {
    response.writeHead(status, headers).end('ok')
  }

function inputOf(port: number, check: Partial<HealthCheck> = {}): HealthInput {
  return { app: 'shop', instance: { id: `shop-${port}`, host: '127.0.0.1', port }, healthCheck: sampleCheck(check) }
}

interface Crossings {
  fetchAll: number
}

/** Runs the plugin as the host does, with what its manifest asks for. `reachable`: the instances handed to the call. */
async function checkAll(
  inputs: HealthInput[],
  options: { reachable?: number[]; deadlineMs?: number; crossings?: Crossings } = {},
): Promise<HealthResult[]> {
  const net = createNetCapability({ clock: systemClock, ownListeners: () => [] }).use(grant, {
    plugin: '@orchestry/http-health',
    instance: 'http-health',
  })
  const ports = options.reachable ?? inputs.map((input) => input.healthCheck.port ?? input.instance.port)
  const invocation = {
    hook: 'healthCheck',
    endpoints: new Set(ports.map((port) => `127.0.0.1:${port}`)),
    deadlineMs: systemClock.monotonic() + (options.deadlineMs ?? 10_000),
  }
  const ctx = {
    net: {
      async fetchAll(requests: unknown) {
        if (options.crossings) options.crossings.fetchAll += 1
        return (await net.operations.fetchAll?.([requests], invocation)) as NetOutcome[]
      },
    },
  }
  try {
    const call = plugin.healthCheck?.checkAll as unknown as (
      inputs: HealthInput[],
      tools: { ctx: unknown },
    ) => Promise<HealthResult[]>
    return await call(inputs, { ctx })
  } finally {
    net.dispose?.()
  }
}

async function checkOne(port: number, check: Partial<HealthCheck> = {}): Promise<HealthResult> {
  const [result] = await checkAll([inputOf(port, check)])
  assert.ok(result)
  return result
}

describe('a status code', () => {
  const rows: [
    sentence: string,
    answered: number,
    expected: number[],
    status: HealthResult['status'],
    message: RegExp,
  ][] = [
    ['200 is healthy', 200, [], 'healthy', /^status 200$/],
    ['204 is healthy', 204, [], 'healthy', /204/],
    ['399 is healthy where the spec names none', 399, [], 'healthy', /399/],
    ['400 is not', 400, [], 'unhealthy', /^status 400, expected 200-399$/],
    ['503 is not', 503, [], 'unhealthy', /503/],
    ['that the spec names is healthy, whatever it is', 503, [200, 503], 'healthy', /503/],
    ['that the spec does not name is not', 201, [200, 202], 'unhealthy', /^status 201, expected 200, 202$/],
  ]
  for (const [sentence, answered, expectedStatusCodes, status, message] of rows) {
    test(sentence, async () => {
      const result = await checkOne(await replica(answering(answered)), { expectedStatusCodes })
      assert.equal(result.status, status)
      assert.match(result.message ?? '', message)
      assert.ok((result.responseTimeMs ?? -1) >= 0)
    })
  }
})

test('a redirect is an answer and is not followed', async () => {
  let visits = 0
  const target = await replica((_request, response) => {
    visits += 1
    response.end()
  })
  const port = await replica(answering(302, { location: `http://127.0.0.1:${target}/` }))
  const [result] = await checkAll([inputOf(port)], { reachable: [port, target] })
  assert.equal(result?.status, 'healthy')
  assert.equal(visits, 0)
})

test('path, method, headers and body are those of the spec', async () => {
  const seen: unknown[] = []
  const port = await replica((request, response) => {
    let body = ''
    request.setEncoding('utf8')
    request.on('data', (chunk: string) => {
      body += chunk
    })
    request.on('end', () => {
      seen.push([request.method, request.url, request.headers['x-probe'], body])
      response.end()
    })
  })
  const result = await checkOne(port, {
    path: '/healthz?deep=1',
    method: 'POST',
    headers: { 'X-Probe': 'orchestry' },
    body: 'ping',
  })
  assert.deepEqual(seen, [['POST', '/healthz?deep=1', 'orchestry', 'ping']])
  assert.equal(result.status, 'healthy')
})

test('the port of the spec is asked instead of the one that takes the traffic', async () => {
  const traffic = await replica(answering(500))
  const health = await replica(answering(200))
  assert.equal((await checkOne(traffic, { port: health })).status, 'healthy')
  assert.equal((await checkOne(traffic)).status, 'unhealthy')
})

describe('the status decides, whatever body follows it, and the body costs nothing (INS-01)', () => {
  const rows: [sentence: string, handle: Handler][] = [
    ['when it is far larger than anyone should send', (_request, response) => response.end('x'.repeat(2_000_000))],
    [
      'when it never ends',
      (_request, response) => {
        response.writeHead(200)
        response.write('and ')
      },
    ],
  ]
  for (const [sentence, handle] of rows) {
    test(sentence, async () => {
      const startedAtMs = performance.now()
      assert.equal((await checkOne(await replica(handle), { timeoutSeconds: 5 })).status, 'healthy')
      assert.ok(performance.now() - startedAtMs < 2000)
    })
  }
})

describe('what the replica does wrong is unhealthy', () => {
  test('a refused connection', async () => {
    const result = await checkOne(await closedPort())
    assert.equal(result.status, 'unhealthy')
    assert.match(result.message ?? '', /refuse|cannot be reached|ECONNREFUSED/i)
  })
  test('no answer in time', async () => {
    const startedAtMs = performance.now()
    const result = await checkOne(await replica(() => {}), { timeoutSeconds: 0.2 })
    assert.equal(result.status, 'unhealthy')
    assert.match(result.message ?? '', /within 200 ms/)
    assert.ok(performance.now() - startedAtMs < 2000)
  })
  test('something that is not HTTP', async () => {
    const port = await replica((request) => request.socket.end('what?\r\n\r\n'))
    assert.equal((await checkOne(port)).status, 'unhealthy')
  })
})

describe('what is no fault of the replica is unknown', () => {
  test('an address that was not handed to the call', async () => {
    const port = await replica(answering(200))
    const [result] = await checkAll([inputOf(port)], { reachable: [] })
    assert.equal(result?.status, 'unknown')
    assert.equal(result?.details?.code, 'ORC_CAPABILITY_DENIED')
  })
  test('a call whose time was over before the request was sent', async () => {
    const port = await replica(answering(200))
    const [result] = await checkAll([inputOf(port)], { deadlineMs: 0 })
    assert.equal(result?.status, 'unknown')
  })
  test('a header that no plugin may set', async () => {
    const port = await replica(answering(200))
    assert.equal((await checkOne(port, { headers: { 'transfer-encoding': 'chunked' } })).status, 'unknown')
  })
})

test('a batch crosses once, answers in order, and the slow do not hold up the others longer than their timeout', async () => {
  const ports = await Promise.all([replica(answering(200)), replica(() => {}), replica(answering(500)), closedPort()])
  const crossings = { fetchAll: 0 }
  const inputs = ports.map((port) => inputOf(port, { timeoutSeconds: 0.3 }))
  const results = await checkAll(inputs, { crossings })
  assert.deepEqual(
    results.map((result) => result.status),
    ['healthy', 'unhealthy', 'unhealthy', 'unhealthy'],
  )
  assert.equal(crossings.fetchAll, 1)
})

test('the harness that authors get accepts its answers', async () => {
  const harness = createHarness(plugin, { grants: { net: { 'http://[::1]:80/ready': { status: 204 } } } })
  const input = { ...inputOf(80, { path: 'ready' }), instance: { id: 'a', host: '::1', port: 80 } }
  const [outcome] = await harness.batch('healthCheck', 'check', [input])
  assert.ok(outcome?.ok)
  assert.equal(outcome.value.status, 'healthy')
})
