import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { RequestListener } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { type TestContext, test } from 'node:test'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import type { NetOutcome, NetResponse } from '@orchestry/sdk'
import type { GrantOf } from '../../runtime/capabilities/capability.ts'
import { createNetCapability } from '../../runtime/capabilities/net.ts'
import type { Listener } from '../../runtime/capabilities/own-listeners.ts'
import type { Resolve } from '../../runtime/capabilities/resolve.ts'
import { systemClock } from '../../runtime/clock.ts'
import { bindAs } from '../support/bound.ts'
import { startRecordingServer } from '../support/recording-server.ts'
import { waitFor } from '../support/wait-for.ts'

function bind(
  t: TestContext,
  grant: Partial<GrantOf<'net'>>,
  options: { resolve?: Resolve; ownListeners?: readonly Listener[] } = {},
) {
  const { ownListeners = [], resolve } = options
  const capability = createNetCapability({
    clock: systemClock,
    ownListeners: () => ownListeners,
    ...(resolve === undefined ? {} : { resolve }),
  })
  const guest = bindAs(capability, { kind: 'net', why: 'test', schemes: ['http'], ...grant })
  t.after(() => guest.bound.dispose())
  return guest
}

const local = (port: number): Partial<GrantOf<'net'>> => ({
  hosts: ['127.0.0.1'],
  ports: [port],
  addresses: ['loopback'],
  methods: ['GET', 'POST', 'HEAD', 'PUT'],
})
const rejects = (promise: Promise<unknown>, code: string, message = /./) => assert.rejects(promise, { code, message })
const ok: RequestListener = (_request, response) => response.end('ok')

test('a granted request is answered with status, headers, text and duration', async (t) => {
  const server = await startRecordingServer(t, (_request, response) => {
    response.writeHead(201, { 'X-Thing': 'a', 'Set-Cookie': 'secret=1' }).end('h\u00e9llo')
  })
  const { call } = bind(t, local(server.port))
  const url = server.at('/x?y=1')
  const answer = (await call('net.fetch', {
    url,
    method: 'POST',
    headers: { 'X-Key': 'v' },
    body: '{"a":1}',
  })) as NetResponse
  assert.deepEqual([answer.status, answer.body, answer.headers['x-thing']], [201, 'h\u00e9llo', 'a'])
  assert.equal(answer.headers['set-cookie'], undefined)
  assert.ok(answer.durationMs > 0)
  const [request] = server.seen
  assert.deepEqual(
    [request?.url, request?.method, request?.headers['x-key'], request?.body],
    ['/x?y=1', 'POST', 'v', '{"a":1}'],
  )
  assert.equal(((await call('net.fetch', server.at())) as NetResponse).status, 201, 'a bare address is enough')
})

test('NET-01, NET-02: without a grant for it no spelling of a local address is connected to', async (t) => {
  const server = await startRecordingServer(t, ok, '::')
  const hosts = [
    '127.0.0.1',
    '0.0.0.0',
    '::1',
    '::ffff:127.0.0.1',
    '::127.0.0.1',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
    '2001:0:7f00:1::1',
  ]
  const { call, violations } = bind(t, { hosts, ports: [server.port] })
  const spellings = [
    '127.0.0.1',
    '127.1',
    '0x7f.1',
    '2130706433',
    '0177.0.0.1',
    '\uff11\uff12\uff17.0.0.1',
    '0.0.0.0',
    '0',
  ]
  const literals = ['::1', '::ffff:7f00:1', '::127.0.0.1', '64:ff9b::7f00:1', '2002:7f00:1::', '2001:0:7f00:1::1']
  const all = [...spellings, ...literals.map((address) => `[${address}]`)]
  for (const host of all) await rejects(call('net.fetch', `http://${host}:${server.port}/`), 'ORC_NET_BLOCKED_ADDRESS')
  assert.equal(server.connections(), 0, 'no packet')
  assert.equal(violations.length, all.length)
})

test('NET-03: metadata services are never connected to, whatever is granted', async (t) => {
  const addresses = ['public', 'private', 'loopback', '169.254.0.0/16', 'fd00::/8']
  const { call } = bind(
    t,
    { hosts: ['169.254.169.254', '168.63.129.16', 'fd00:ec2::254', 'meta.test'], addresses },
    {
      resolve: async () => [{ address: '169.254.169.254', family: 4 }],
    },
  )
  for (const host of ['169.254.169.254', '168.63.129.16', '[fd00:ec2::254]', 'meta.test'])
    await rejects(call('net.fetch', `http://${host}/latest/`), 'ORC_NET_BLOCKED_ADDRESS')
})

test('NET-04: a name is asked for once, and what was checked is what is connected to', async (t) => {
  const server = await startRecordingServer(t, ok)
  let asked = 0
  const resolve: Resolve = async () => {
    asked += 1
    return [{ address: asked === 1 ? '127.0.0.1' : '127.0.0.2', family: 4 }]
  }
  const { call } = bind(t, { hosts: ['rebind.test'], ports: [server.port], addresses: ['127.0.0.1/32'] }, { resolve })
  const answer = (await call('net.fetch', `http://rebind.test:${server.port}/`)) as NetResponse
  assert.deepEqual([answer.body, asked, server.seen[0]?.headers.host], ['ok', 1, `rebind.test:${server.port}`])
})

test('NET-05: one bad address among several refuses them all', async (t) => {
  const server = await startRecordingServer(t, ok)
  const resolve: Resolve = async () => [
    { address: '127.0.0.1', family: 4 },
    { address: '10.0.0.1', family: 4 },
  ]
  const { call } = bind(t, { hosts: ['two.test'], ports: [server.port], addresses: ['loopback'] }, { resolve })
  await rejects(call('net.fetch', `http://two.test:${server.port}/`), 'ORC_NET_BLOCKED_ADDRESS')
  assert.equal(server.connections(), 0)
})

test('C31: a redirect is an answer and is not followed', async (t) => {
  const target = await startRecordingServer(t, ok)
  const server = await startRecordingServer(t, (_request, response) =>
    response.writeHead(302, { Location: target.at() }).end(),
  )
  const { call } = bind(t, local(server.port))
  const answer = (await call('net.fetch', server.at())) as NetResponse
  assert.deepEqual([answer.status, answer.headers.location, target.connections()], [302, target.at(), 0])
})

const badHeaders: [string, Record<string, string>][] = [
  ['Host', { Host: 'evil.test' }],
  ['Content-Length', { 'Content-Length': '5' }],
  ['Transfer-Encoding', { 'Transfer-Encoding': 'chunked' }],
  ['Connection', { connection: 'upgrade' }],
  ['X-Forwarded-For', { 'X-Forwarded-For': '1.2.3.4' }],
  ['Forwarded', { forwarded: 'for=x' }],
  ['Proxy-Authorization', { 'Proxy-Authorization': 'x' }],
  ['a line break', { 'x-a': 'b\r\nx-evil: 1' }],
  ['a line break in the name', { 'x\r\na': 'b' }],
  ['a letter beyond ASCII', { 'x-a': '\u00e9' }],
  ['an empty name', { '': 'x' }],
  ['2000 headers', Object.fromEntries(Array.from({ length: 2_000 }, (_, index) => [`x-${index}`, 'v']))],
  ['headers of 9 KB', { 'x-a': 'x'.repeat(9_000) }],
]
for (const [what, headers] of badHeaders) {
  test(`C32, NET-08: a request with ${what} is refused and not sent`, async (t) => {
    const server = await startRecordingServer(t, ok)
    const { call } = bind(t, local(server.port))
    await rejects(call('net.fetch', { url: server.at(), headers }), 'ORC_CAPABILITY_ARGUMENT')
    assert.equal(server.connections(), 0)
  })
}

const bodies: [string, RequestListener, string][] = [
  ['is larger than granted', (_q, s) => s.end('x'.repeat(2_000)), 'ORC_CAPABILITY_LIMIT'],
  [
    'never ends',
    (_q, s) => {
      const timer = setInterval(() => s.write('x'.repeat(100)), 1)
      s.on('close', () => clearInterval(timer))
    },
    'ORC_CAPABILITY_LIMIT',
  ],
  [
    'unpacks to far more',
    (_q, s) => s.setHeader('content-encoding', 'gzip').end(gzipSync('x'.repeat(500_000))),
    'ORC_CAPABILITY_LIMIT',
  ],
  ['is packed many times', (_q, s) => s.setHeader('content-encoding', 'gzip, gzip').end('x'), 'ORC_CAPABILITY_LIMIT'],
  [
    'is packed in a way nobody asked for',
    (_q, s) => s.setHeader('content-encoding', 'zstd').end('x'),
    'ORC_CAPABILITY_FAILED',
  ],
  ['is not what it says', (_q, s) => s.setHeader('content-encoding', 'gzip').end('x'), 'ORC_CAPABILITY_FAILED'],
  ['has headers of 12 KB', (_q, s) => s.setHeader('x-a', 'x'.repeat(12_000)).end(), 'ORC_CAPABILITY_LIMIT'],
  [
    'breaks off',
    (_q, s) => {
      s.writeHead(200, { 'content-length': '10' }).write('x')
      setTimeout(() => s.destroy(), 20)
    },
    'ORC_NET_UNREACHABLE',
  ],
]
for (const [what, answer, code] of bodies) {
  test(`C33, NET-09: an answer that ${what} is an error and leaves no connection behind`, async (t) => {
    const server = await startRecordingServer(t, answer)
    const { call } = bind(t, { ...local(server.port), maxBodyKb: 1 })
    await rejects(call('net.fetch', { url: server.at(), timeoutMs: 3_000 }), code)
  })
}

test('a packed answer is unpacked', async (t) => {
  const server = await startRecordingServer(t, ({ url }, response) => {
    if (url === '/br') response.setHeader('content-encoding', 'br').end(brotliCompressSync('brotli'))
    else response.setHeader('content-encoding', 'gzip').end(gzipSync('gzip'))
  })
  const { call } = bind(t, local(server.port))
  assert.equal(((await call('net.fetch', server.at('/br'))) as NetResponse).body, 'brotli')
  assert.equal(((await call('net.fetch', server.at('/gz'))) as NetResponse).body, 'gzip')
})

test('with maxBodyKb 0 the body is not read, whatever its size', async (t) => {
  const server = await startRecordingServer(t, (_request, response) => response.end('x'.repeat(100_000)))
  const { call } = bind(t, { ...local(server.port), maxBodyKb: 0 })
  const answer = (await call('net.fetch', server.at())) as NetResponse
  assert.deepEqual([answer.status, answer.body], [200, ''])
})

test('a body that is to be skipped is not waited for, whatever its size and its end', async (t) => {
  let gone = 0
  const server = await startRecordingServer(t, ({ url }, response) => {
    response.on('close', () => {
      gone += 1
    })
    if (url === '/large') response.end('x'.repeat(10_000_000))
    else response.write('and ')
  })
  const { call } = bind(t, local(server.port))
  for (const path of ['/large', '/endless']) {
    const answer = (await call('net.fetch', { url: server.at(path), skipBody: true })) as NetResponse
    assert.deepEqual([answer.status, answer.body], [200, ''])
  }
  await waitFor(() => gone === 2)
})

for (const [what, code] of [
  ['one that is followed by others without end', 103],
  ['one that says to go on, without end', 100],
] as const)
  test(`an interim answer is no answer, not even ${what}`, async (t) => {
    const server = createTcpServer((socket) => {
      socket.on('error', () => {})
      const pour = () => {
        while (!socket.destroyed && socket.write(`HTTP/1.1 ${code} Wait\r\n\r\n`.repeat(100)));
      }
      socket.once('data', pour).on('drain', pour)
    }).listen(0, '127.0.0.1')
    t.after(() => server.close())
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const { call } = bind(t, local(port))
    const startedMs = performance.now()
    await rejects(call('net.fetch', { url: `http://127.0.0.1:${port}/`, timeoutMs: 10_000 }), 'ORC_NET_UNREACHABLE')
    assert.ok(performance.now() - startedMs < 5_000)
  })

test('a request ends at its own timeout, and at the deadline of the call it was made from', async (t) => {
  const server = await startRecordingServer(t, () => {})
  const { call, callWith } = bind(t, local(server.port))
  for (const run of [
    () => call('net.fetch', { url: server.at(), timeoutMs: 80 }),
    () => callWith({ timeoutMs: 80 }, 'net.fetch', { url: server.at(), timeoutMs: 60_000 }),
  ]) {
    const startedMs = performance.now()
    await rejects(run(), 'ORC_NET_TIMEOUT')
    assert.ok(performance.now() - startedMs < 1_000)
  }
  await rejects(callWith({ timeoutMs: 1 }, 'net.fetch', server.at()), 'ORC_HOOK_OVERLOADED', /was over/)
})

test('what does not answer, speaks something else, or has no name is said in few words of ours', async (t) => {
  const closed = await startRecordingServer(t, ok)
  const nonsense = createTcpServer((socket) => socket.end('SSH-2.0-OpenSSH\r\n')).listen(0, '127.0.0.1')
  await once(nonsense, 'listening')
  t.after(() => nonsense.close())
  const { port } = nonsense.address() as AddressInfo
  const grant = { hosts: ['127.0.0.1', 'none.test'], ports: [port, 1, 80], addresses: ['loopback'] }
  const { call } = bind(t, grant, { resolve: () => Promise.reject(new Error('ENOTFOUND /etc/resolv.conf')) })
  await rejects(call('net.fetch', `http://127.0.0.1:${port}/`), 'ORC_NET_UNREACHABLE')
  await rejects(call('net.fetch', 'http://127.0.0.1:1/'), 'ORC_NET_UNREACHABLE', /refused/)
  await rejects(
    call('net.fetch', 'http://none.test/'),
    'ORC_NET_UNREACHABLE',
    /^ctx.net: the name none.test cannot be resolved$/,
  )
  assert.equal(closed.connections(), 0)
})

test('NET-12: what Orchestry itself listens on is never reached, however it is granted', async (t) => {
  const server = await startRecordingServer(t, ok, '0.0.0.0')
  const grant = {
    hosts: ['127.0.0.1', '127.0.0.2', 'api.test', '::1'],
    ports: [server.port],
    addresses: ['loopback', 'private', 'instances'],
  }
  const { port } = server
  const resolve: Resolve = async () => [{ address: '::ffff:127.0.0.1', family: 6 }]
  const { callWith } = bind(t, grant, { ownListeners: [{ host: '0.0.0.0', port }], resolve })
  for (const host of ['127.0.0.1', '127.0.0.2', 'api.test'])
    await rejects(
      callWith({ endpoints: [`127.0.0.1:${port}`] }, 'net.fetch', `http://${host}:${port}/`),
      'ORC_NET_BLOCKED_ADDRESS',
    )
  assert.equal(server.connections(), 0)
  const other = bind(t, grant, { ownListeners: [{ host: '127.0.0.2', port }] })
  assert.equal(((await other.call('net.fetch', `http://127.0.0.1:${port}/`)) as NetResponse).status, 200)
})

test('instances: only those handed to this very call, each on a connection of its own', async (t) => {
  const server = await startRecordingServer(t, ok)
  const { callWith, violations } = bind(t, { addresses: ['instances'] })
  const endpoints = [`127.0.0.1:${server.port}`]
  for (let index = 0; index < 3; index += 1) await callWith({ endpoints }, 'net.fetch', server.at('/healthz'))
  assert.equal(server.connections(), 3)
  await rejects(callWith({ endpoints: [] }, 'net.fetch', server.at()), 'ORC_CAPABILITY_DENIED')
  await rejects(callWith({ endpoints }, 'net.fetch', 'http://127.0.0.1:1/'), 'ORC_CAPABILITY_DENIED')
  assert.equal(violations.length, 2)
})

test('a granted name keeps its connection for the next request', async (t) => {
  const server = await startRecordingServer(t, ok)
  const { call } = bind(t, local(server.port))
  for (let index = 0; index < 10; index += 1) await call('net.fetch', server.at())
  assert.ok(server.connections() < 5, `${server.connections()} connections for 10 requests`)
})

test('fetchAll answers in order, and one failure disturbs no other', async (t) => {
  const server = await startRecordingServer(t, ({ url }, response) => response.end(url))
  const { call, violations, bound } = bind(t, local(server.port))
  const urls = [server.at('/1'), 'http://evil.test/', server.at('/2'), 'nonsense', server.at('/3')]
  const outcomes = (await call(
    'net.fetchAll',
    urls.map((url) => ({ url })),
  )) as NetOutcome[]
  assert.deepEqual(
    outcomes.map((outcome) => (outcome.ok ? outcome.response.body : outcome.code)),
    ['/1', 'ORC_CAPABILITY_DENIED', '/2', 'ORC_CAPABILITY_DENIED', '/3'],
  )
  assert.equal(violations.length, 2)
  assert.deepEqual(
    bound.usage().map(({ allowed, denied }) => [allowed, denied]),
    [[3, 2]],
  )
  assert.deepEqual(await call('net.fetchAll', []), [])
})

test('at most 64 requests are under way at once', async (t) => {
  let now = 0
  let most = 0
  const server = await startRecordingServer(t, (_request, response) => {
    now += 1
    most = Math.max(most, now)
    setTimeout(() => {
      now -= 1
      response.end()
    }, 20)
  })
  const { callWith } = bind(t, { addresses: ['instances'] })
  const requests = Array.from({ length: 300 }, () => ({ url: server.at() }))
  const endpoints = [`127.0.0.1:${server.port}`]
  const outcomes = (await callWith({ endpoints, timeoutMs: 20_000 }, 'net.fetchAll', requests)) as NetOutcome[]
  assert.equal(outcomes.filter(({ ok }) => ok).length, 300)
  assert.ok(most <= 64 && most > 30, `${most}`)
})

for (const [what, args] of [
  ['nothing', []],
  ['a number', [5]],
  ['an unknown field', [{ url: 'http://x/', redirect: 'follow' }]],
  ['headers that are numbers', [{ url: 'http://x/', headers: { a: 1 } }]],
  ['a negative timeout', [{ url: 'http://x/', timeoutMs: -1 }]],
] as const) {
  test(`fetch of ${what} is an argument that does not fit`, async (t) => {
    const { call } = bind(t, local(1))
    await rejects(call('net.fetch', ...args), 'ORC_CAPABILITY_ARGUMENT')
  })
}

test('what waits for its turn when the instance is closed is not sent any more', async (t) => {
  const held: (() => void)[] = []
  const server = await startRecordingServer(t, (_request, response) => void held.push(() => response.end('ok')))
  const { call, bound } = bind(t, local(server.port))
  const urls = Array.from({ length: 12 }, (_, index) => ({ url: server.at(`/${index}`) }))
  const all = call('net.fetchAll', urls) as Promise<NetOutcome[]>
  await waitFor(() => held.length === 4)
  bound.dispose()
  const outcomes = await all
  assert.deepEqual(new Set(outcomes.map((one) => (one.ok ? 'ok' : one.code))), new Set(['ORC_NET_UNREACHABLE']))
  assert.deepEqual([server.seen.length, server.connections()], [4, 4])
})
