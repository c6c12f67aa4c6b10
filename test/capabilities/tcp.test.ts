import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { Chunk } from '@orchestry/sdk'
import type { GrantOf } from '../../runtime/capabilities/capability.ts'
import type { Listener } from '../../runtime/capabilities/own-listeners.ts'
import type { Resolve } from '../../runtime/capabilities/resolve.ts'
import { createTcpCapability } from '../../runtime/capabilities/tcp.ts'
import { systemClock } from '../../runtime/clock.ts'
import type { Invocation } from '../../runtime/sandbox/sandbox.ts'
import { bindAs } from '../support/bound.ts'
import { openHostileGuest } from '../support/hostile-guest.ts'
import { startStreamServer } from '../support/stream-server.ts'
import { waitFor } from '../support/wait-for.ts'

type Outcome = { ok: true; response: Chunk } | { ok: false; code: string; message: string }

function bind(
  t: TestContext,
  grant: Partial<GrantOf<'tcp'>>,
  options: { resolve?: Resolve; own?: readonly Listener[] } = {},
) {
  const { own = [], resolve } = options
  const capability = createTcpCapability({
    clock: systemClock,
    ownListeners: () => own,
    ...(resolve === undefined ? {} : { resolve }),
  })
  const guest = bindAs(capability, { kind: 'tcp', why: 'test', addresses: ['loopback'], ...grant })
  t.after(() => guest.bound.dispose())
  return guest
}

/** Calls of one hook call: they share what the host knows of it. */
function hookCall(guest: ReturnType<typeof bind>, timeoutMs = 5_000) {
  const invocation: Invocation = { hook: 'test', endpoints: new Set(), deadlineMs: performance.now() + timeoutMs }
  return async (operation: string, ...args: unknown[]) =>
    JSON.parse(await guest.bound.onHostCall(`tcp.${operation}`, JSON.stringify(args), invocation)) as never
}

const echo = (socket: Socket) => void socket.pipe(socket)
const rejects = (promise: Promise<unknown>, code: string, message = /./) => assert.rejects(promise, { code, message })

test('a connection is opened, written to, read from and closed', async (t) => {
  const server = await startStreamServer(t, echo)
  const guest = bind(t, { targets: [`127.0.0.1:${server.port}`] })
  const call = hookCall(guest)
  const id = await call('open', `127.0.0.1:${server.port}`)
  await call('write', id, 'h\u00e9llo\nand more')
  assert.deepEqual(await call('read', id, { until: '\n' }), { data: 'h\u00e9llo\n', isEnd: false })
  assert.deepEqual(await call('read', id, { maxBytes: 3 }), { data: 'and', isEnd: false })
  assert.deepEqual(await call('read', id, { encoding: 'base64' }), { data: 'IG1vcmU=', isEnd: false })
  await call('write', id, 'AAH/', 'base64')
  assert.deepEqual(await call('read', id, { encoding: 'base64' }), { data: 'AAH/', isEnd: false })
  await call('close', id)
  await waitFor(() => server.open() === 0, { what: 'the connection to close' })
  await rejects(call('read', id), 'ORC_CAPABILITY_ARGUMENT', /no open connection/)
  const targets = guest.bound.usage()[0]?.targets ?? []
  assert.ok(
    targets.some(({ operation, target }) => `${operation} ${target}` === `open CONNECT 127.0.0.1:${server.port}`),
  )
})

test('the end of the other side is told with the last bytes, or alone; a broken connection is an error', async (t) => {
  const ending = await startStreamServer(t, (socket) => void socket.end('bye'))
  const breaking = await startStreamServer(t, (socket) => {
    socket.write('half')
    socket.once('data', () => socket.resetAndDestroy())
  })
  const targets = [ending.port, breaking.port].map((port) => `127.0.0.1:${port}`)
  const call = hookCall(bind(t, { targets }))
  const id = await call('open', targets[0])
  let text = ''
  for (let isEnd = false; !isEnd; ) {
    const chunk: Chunk = await call('read', id)
    text += chunk.data
    isEnd = chunk.isEnd
  }
  assert.equal(text, 'bye')
  assert.deepEqual(await call('read', id), { data: '', isEnd: true })
  const broken = await call('open', targets[1])
  await call('write', broken, 'x')
  await rejects(call('read', broken, { until: '\n' }), 'ORC_NET_UNREACHABLE', /ECONNRESET/)
})

test('a connection belongs to the hook call that opened it, and ends with its deadline', async (t) => {
  const server = await startStreamServer(t, echo)
  const target = `127.0.0.1:${server.port}`
  const guest = bind(t, { targets: [target] })
  const mine = hookCall(guest, 300)
  const id = await mine('open', target)
  for (const [operation, ...args] of [['read'], ['write', 'x'], ['close']])
    await rejects(hookCall(guest)(operation ?? '', id, ...args), 'ORC_CAPABILITY_ARGUMENT', /no open connection/)
  assert.equal(server.open(), 1)
  await waitFor(() => server.open() === 0, { what: 'the connection to end with the deadline' })
  await rejects(mine('read', id), 'ORC_CAPABILITY_ARGUMENT')
})

test('eight connections are open at most, and none of them is left over by a new isolate', async (t) => {
  const server = await startStreamServer(t, echo)
  const target = `127.0.0.1:${server.port}`
  const guest = bind(t, { targets: [target] })
  const call = hookCall(guest)
  const all = await Promise.allSettled(Array.from({ length: 12 }, () => call('open', target)))
  assert.equal(all.filter(({ status }) => status === 'fulfilled').length, 8)
  await rejects(call('open', target), 'ORC_CAPABILITY_LIMIT', /8 connections are open/)
  guest.bound.reset()
  await waitFor(() => server.open() === 0, { what: 'all to close' })
  await call('open', target)
  guest.bound.dispose()
  await waitFor(() => server.open() === 0, { what: 'the last to close' })
})

test('an exchange is whole: send, read to a mark, close; without either it only connects', async (t) => {
  const server = await startStreamServer(t, (socket) => {
    socket.on('data', (data) => socket.write(`+${String(data)}\r\nmore`))
  })
  const target = `127.0.0.1:${server.port}`
  const { call } = bind(t, { targets: [target] })
  const answer = (await call('tcp.exchange', { target, send: 'PING', until: '\r\n' })) as Chunk & { durationMs: number }
  assert.deepEqual([answer.data, answer.isEnd, answer.durationMs > 0], ['+PING\r\n', false, true])
  assert.equal(((await call('tcp.exchange', { target })) as Chunk).data, '')
  assert.equal(server.connections(), 2)
  await waitFor(() => server.open() === 0, { what: 'both to close' })
})

test('what is read is bounded in bytes and in time, also when it drips for ever', async (t) => {
  const flood = await startStreamServer(t, (socket) => {
    const more = () => {
      while (!socket.destroyed && socket.write('x'.repeat(16_384)));
    }
    socket.on('drain', more)
    more()
  })
  const drip = await startStreamServer(t, (socket) => {
    const timer = setInterval(() => socket.write('x'), 5)
    socket.on('close', () => clearInterval(timer))
  })
  const silent = await startStreamServer(t, () => {})
  const [flooding, dripping, nothing] = [flood, drip, silent].map(({ port }) => `127.0.0.1:${port}`)
  const guest = bind(t, { targets: [flooding ?? '', dripping ?? '', nothing ?? ''], maxReadKb: 2 })
  const { call, callWith } = guest
  await rejects(call('tcp.exchange', { target: flooding, until: '!' }), 'ORC_CAPABILITY_LIMIT', /2048 bytes/)
  const first = (await call('tcp.exchange', { target: flooding, send: 'x', maxBytes: 1_000_000 })) as Chunk
  assert.ok(first.data.length <= 2_048)
  await rejects(call('tcp.exchange', { target: dripping, until: '!', timeoutMs: 100 }), 'ORC_NET_TIMEOUT')
  await rejects(callWith({ timeoutMs: 100 }, 'tcp.exchange', { target: nothing, until: '!' }), 'ORC_NET_TIMEOUT')
  await rejects(callWith({ timeoutMs: 1 }, 'tcp.exchange', { target: nothing }), 'ORC_HOOK_OVERLOADED')
  await waitFor(() => flood.open() + drip.open() + silent.open() === 0, { what: 'all to close' })
})

test('what is written is bounded, also when nobody takes it', async (t) => {
  const server = await startStreamServer(t, (socket) => void socket.pause())
  const target = `127.0.0.1:${server.port}`
  const call = hookCall(bind(t, { targets: [target] }))
  const id = await call('open', target)
  await rejects(call('write', id, 'x'.repeat(64 * 1024 + 1)), 'ORC_CAPABILITY_LIMIT', /64 KB/)
  await rejects(call('write', id, 'no base64!', 'base64'), 'ORC_CAPABILITY_ARGUMENT')
  const piece = 'x'.repeat(64 * 1024)
  const written = Array.from({ length: 200 }, () =>
    call('write', id, piece).then(
      () => 'ok',
      (error: { code: string }) => error.code,
    ),
  )
  assert.ok((await Promise.all(written.slice(-10))).every((code) => code === 'ORC_CAPABILITY_LIMIT'))
})

test('exchangeAll asks many, 64 at once, each with its own outcome', async (t) => {
  let now = 0
  let most = 0
  const server = await startStreamServer(t, (socket) => {
    socket.once('data', () => {
      now += 1
      most = Math.max(most, now)
      setTimeout(() => {
        now -= 1
        socket.end('ok')
      }, 5)
    })
  })
  const target = `127.0.0.1:${server.port}`
  const { call, violations } = bind(t, { targets: [target] })
  const requests = Array.from({ length: 1_000 }, (_, index) => ({
    target: index === 500 ? '127.0.0.1:1' : target,
    send: 'x',
  }))
  const outcomes = (await call('tcp.exchangeAll', requests)) as Outcome[]
  assert.equal(outcomes.filter((outcome) => outcome.ok && outcome.response.data === 'ok').length, 999)
  assert.equal(outcomes[500]?.ok === false && outcomes[500].code, 'ORC_CAPABILITY_DENIED')
  assert.ok(most <= 64 && most > 20, `${most}`)
  assert.equal(violations.length, 1)
  await rejects(call('tcp.exchangeAll', [...requests, { target }]), 'ORC_CAPABILITY_ARGUMENT')
})

test('answers that are too much together are refused one by one, from where there is no more room', async (t) => {
  const server = await startStreamServer(t, (socket) => void socket.end(`${'x'.repeat(500_000)}!`))
  const target = `127.0.0.1:${server.port}`
  const { call } = bind(t, { targets: [target], maxReadKb: 1_024 })
  const outcomes = (await call('tcp.exchangeAll', Array(20).fill({ target, until: '!' }))) as Outcome[]
  assert.equal(outcomes.filter(({ ok }) => ok).length, 8)
  assert.ok(outcomes.every((outcome) => outcome.ok || outcome.code === 'ORC_CAPABILITY_LIMIT'))
})

test('a sandboxed guest uses its connection over several crossings, and has lost it in the next hook call', async (t) => {
  const server = await startStreamServer(t, echo)
  const target = `127.0.0.1:${server.port}`
  const guest = await openHostileGuest(t, {
    capability: createTcpCapability({ clock: systemClock, ownListeners: () => [] }),
    grant: { kind: 'tcp', why: 'test', targets: [target], addresses: ['loopback'] },
    body: `
      if (input.kept) return tell(() => ctx.tcp.read(input.kept))
      const kept = await ctx.tcp.open(input.target)
      await ctx.tcp.write(kept, 'ping\\n')
      return [kept, (await ctx.tcp.read(kept, { until: '\\n' })).data]`,
  })
  const [kept, data] = (await guest.attack({ target })) as [string, string]
  assert.equal(data, 'ping\n')
  assert.equal(await guest.attack({ kept }), 'ORC_CAPABILITY_ARGUMENT')
})

/** [granted targets, target, whether it is granted] */
const matching: [string[], string, boolean][] = [
  [['db.good.test:5432'], 'db.good.test:5432', true],
  [['db.good.test:5432'], 'DB.Good.Test.:5432', true],
  [['db.good.test:5432'], 'db.good.test:5433', false],
  [['db.good.test:5432'], 'db.good.test', false],
  [['db.good.test:5432'], 'db.good.test.evil.test:5432', false],
  [['db.good.test:5432'], 'db.good.test:5432@evil.test:5432', false],
  [['db.good.test:5432'], 'db.good.test:5432#:1', false],
  [['db.good.test:5432'], 'db.good.test:05432', false],
  [['db.good.test:5432'], ' db.good.test:5432', false],
  [['127.0.0.1:80'], '127.1:80', true],
  [['127.0.0.1:80'], '[::ffff:7f00:1]:80', true],
  [['[::1]:80'], '::1:80', true],
]
for (const [targets, target, isGranted] of matching)
  test(`C38: ${targets.join()} ${isGranted ? 'covers' : 'does not cover'} ${target}`, async (t) => {
    const { call } = bind(
      t,
      { targets, addresses: ['203.0.113.0/24'] },
      { resolve: async () => [{ address: '127.0.0.1', family: 4 }] },
    )
    // Granted or not is decided before the address, which is never granted here.
    await rejects(call('tcp.exchange', { target }), isGranted ? 'ORC_NET_BLOCKED_ADDRESS' : 'ORC_CAPABILITY_DENIED')
  })

test('C29, C38: a name is asked for once; one bad address refuses them all; what is ours is never reached', async (t) => {
  const server = await startStreamServer(t, echo)
  const { port } = server
  let asked = 0
  const resolve: Resolve = async (host) => {
    asked += 1
    const addresses = host === 'two.test' ? ['127.0.0.1', '10.0.0.1'] : [asked === 1 ? '127.0.0.1' : '10.0.0.1']
    return addresses.map((address) => ({ address, family: 4 }))
  }
  const targets = [`one.test:${port}`, `two.test:${port}`, `127.0.0.1:${port}`]
  const { call } = bind(t, { targets }, { resolve })
  await call('tcp.exchange', { target: targets[0] })
  assert.deepEqual([asked, server.connections()], [1, 1])
  for (const target of targets.slice(0, 2)) await rejects(call('tcp.exchange', { target }), 'ORC_NET_BLOCKED_ADDRESS')
  const own = bind(
    t,
    { targets },
    { own: [{ host: '0.0.0.0', port }], resolve: async () => [{ address: '127.0.0.1', family: 4 }] },
  )
  for (const target of targets) await rejects(own.call('tcp.exchange', { target }), 'ORC_NET_BLOCKED_ADDRESS')
  assert.equal(server.connections(), 1)
})

test('instances: only those handed to this very call', async (t) => {
  const server = await startStreamServer(t, echo)
  const target = `127.0.0.1:${server.port}`
  const { callWith, bound } = bind(t, { addresses: ['instances'] })
  await callWith({ endpoints: [target] }, 'tcp.exchange', { target })
  await rejects(callWith({ endpoints: [] }, 'tcp.exchange', { target }), 'ORC_CAPABILITY_DENIED')
  await rejects(callWith({ endpoints: [target] }, 'tcp.exchange', { target: '127.0.0.1:1' }), 'ORC_CAPABILITY_DENIED')
  assert.equal(server.connections(), 1)
  assert.ok(bound.usage()[0]?.targets.some((row) => row.target === 'CONNECT instances:*' && row.allowed === 1))
})

test('a name that nobody resolves ends with the time of the request', async (t) => {
  const { call } = bind(t, { targets: ['slow.test:80'] }, { resolve: () => new Promise(() => {}) })
  await rejects(call('tcp.exchange', { target: 'slow.test:80', timeoutMs: 50 }), 'ORC_NET_TIMEOUT')
})

test('a grant names a host and a port, or instances', () => {
  const { check } = createTcpCapability({ clock: systemClock, ownListeners: () => [] })
  const problems = (grant: Partial<GrantOf<'tcp'>>) => check?.({ kind: 'tcp', why: 'test', ...grant }).join() ?? ''
  assert.match(problems({}), /targets: is missing/)
  for (const target of ['db', 'db:0', 'db:65536', 'http://db:80', '*:80', '*.good.test:80', 'a b:80', ':80', 'u@db:80'])
    assert.match(problems({ targets: [target] }), /no host and port/, target)
  assert.equal(problems({ targets: ['db.internal:5432', '[fd12::1]:6379'] }), '')
  assert.equal(problems({ addresses: ['instances'] }), '')
})

test('narrowing keeps the targets that were used', () => {
  const { narrow } = createTcpCapability({ clock: systemClock, ownListeners: () => [] })
  const grant = {
    kind: 'tcp',
    why: 'test',
    targets: ['A.test:1', 'b.test:2'],
    addresses: ['private', 'instances'],
  } as const
  const given = { ...grant, targets: [...grant.targets], addresses: [...grant.addresses] }
  assert.deepEqual(narrow?.(given, ['CONNECT a.test:1', 'read', 'CONNECT evil.test:1']), {
    kind: 'tcp',
    why: 'test',
    targets: ['A.test:1'],
    addresses: ['private'],
  })
  assert.deepEqual(narrow?.(given, ['CONNECT instances:*']), { kind: 'tcp', why: 'test', addresses: ['instances'] })
  assert.equal(narrow?.(given, ['read']), undefined)
})
