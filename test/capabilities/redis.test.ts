/** `redis` against a real server, over the very connection that plugins use. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { GrantOf } from '../../runtime/capabilities/capability.ts'
import { createRedisCapability } from '../../runtime/capabilities/redis.ts'
import { systemClock } from '../../runtime/clock.ts'
import { bindAs } from '../support/bound.ts'
import { certificateSkip, trustedCertificate } from '../support/certificate.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { freePort } from '../support/proxy.ts'
import { redisSkip, startRedis } from '../support/redis-server.ts'
import { waitFor } from '../support/wait-for.ts'

type Deps = Parameters<typeof createRedisCapability>[0]
const grantOf = (grant: Partial<GrantOf<'redis'>>): GrantOf<'redis'> => ({
  kind: 'redis',
  why: 'test',
  url: 'redis://127.0.0.1:6379',
  addresses: ['loopback'],
  commands: ['GET', 'SET'],
  keys: ['queue:'],
  ...grant,
})
const capabilityOf = (deps: Partial<Deps> = {}) =>
  createRedisCapability({ clock: systemClock, ownListeners: () => [], secretOf: () => undefined, ...deps })

function bind(t: TestContext, grant: Partial<GrantOf<'redis'>>, deps: Partial<Deps> = {}) {
  const guest = bindAs(capabilityOf(deps), grantOf(grant))
  t.after(() => guest.bound.dispose())
  return {
    ...guest,
    command: (...args: unknown[]) => guest.call('redis.command', ...args),
    pipeline: (commands: unknown) => guest.call('redis.pipeline', commands),
  }
}
const rejects = (promise: Promise<unknown>, code: string, message = /./) => assert.rejects(promise, { code, message })

test('granted commands give what Redis says, numbers and lists and nothing as such', { skip: redisSkip }, async (t) => {
  const { url } = await startRedis(t)
  const commands = [
    'set',
    'Get',
    'LPUSH',
    'LLEN',
    'LRANGE',
    'HSET',
    'HGETALL',
    'XADD',
    'XLEN',
    'XRANGE',
    'XINFO',
    'INFO',
    'PING',
  ]
  const { command } = bind(t, { url, commands })
  const cases: [unknown[], unknown][] = [
    [['set', 'queue:a', 'h\u00e9llo'], 'OK'],
    [['GET', 'queue:a'], 'h\u00e9llo'],
    [['get', 'queue:none'], null],
    [['LPUSH', 'queue:l', 1, 'two', 3.5], 3],
    [['LLEN', 'queue:l'], 3],
    [
      ['LRANGE', 'queue:l', 0, -1],
      ['3.5', 'two', '1'],
    ],
    [['HSET', 'queue:h', 'a', 1], 1],
    [
      ['HGETALL', 'queue:h'],
      ['a', '1'],
    ],
    [['XADD', 'queue:s', '1-1', 'f', 'v'], '1-1'],
    [['XLEN', 'queue:s'], 1],
    [['XRANGE', 'queue:s', '-', '+'], [['1-1', ['f', 'v']]]],
    [['PING'], 'PONG'],
  ]
  for (const [args, answer] of cases) assert.deepEqual(await command(...args), answer, JSON.stringify(args))
  assert.match(String(await command('INFO', 'memory')), /used_memory:/)
  assert.ok(Array.isArray(await command('XINFO', 'STREAM', 'queue:s')))
  await rejects(command('LLEN', 'queue:a'), 'ORC_CAPABILITY_FAILED', /the server refused LLEN \(WRONGTYPE\)$/)
})

test('a pipeline tells of each command by itself, in order, and one refusal stops no other', {
  skip: redisSkip,
}, async (t) => {
  const redis = await startRedis(t)
  const { pipeline, violations } = bind(t, { url: redis.url, commands: ['GET', 'SET', 'LLEN'] })
  const answers = (await pipeline([
    ['SET', 'queue:a', 1],
    ['DEL', 'queue:a'],
    ['LLEN', 'queue:a'],
    ['GET', 'other:a'],
    ['GET', 'queue:a'],
  ])) as { ok: boolean; reply?: unknown; code?: string }[]
  assert.deepEqual(
    answers.map(({ ok, reply, code }) => (ok ? reply : code)),
    ['OK', 'ORC_CAPABILITY_DENIED', 'ORC_CAPABILITY_FAILED', 'ORC_CAPABILITY_DENIED', '1'],
  )
  assert.equal(violations.length, 2)
  await rejects(pipeline([]), 'ORC_CAPABILITY_ARGUMENT')
  await rejects(pipeline(Array.from({ length: 129 }, () => ['GET', 'queue:a'])), 'ORC_CAPABILITY_ARGUMENT')
})

test('one connection serves all commands, is made when first used and closed when idle or disposed', {
  skip: redisSkip,
}, async (t) => {
  const redis = await startRedis(t)
  const clock = createFakeClock()
  const { callWith, bound } = bind(t, { url: redis.url }, { clock })
  const clients = async () => Number(/connected_clients:(\d+)/.exec(await redis.tell('INFO clients'))?.[1]) - 1
  const get = () => callWith({ timeoutMs: 1e9 }, 'redis.command', 'GET', 'queue:a')
  assert.equal(await clients(), 0, 'a grant that is not used connects nowhere')
  await Promise.all([get(), get(), get()])
  assert.equal(await clients(), 1)
  await clock.advance(31_000)
  await waitFor(async () => (await clients()) === 0, { what: 'the idle connection to be closed' })
  await get()
  assert.equal(await clients(), 1)
  bound.dispose()
  await waitFor(async () => (await clients()) === 0, { what: 'the connection to be closed with the plugin' })
})

test('a server that is down is told of at once, and found again when it is back', { skip: redisSkip }, async (t) => {
  const redis = await startRedis(t)
  const { command } = bind(t, { url: redis.url })
  await command('SET', 'queue:a', 1)
  await redis.stop()
  const startedMs = performance.now()
  await rejects(command('GET', 'queue:a'), 'ORC_NET_UNREACHABLE')
  await rejects(command('GET', 'queue:a'), 'ORC_NET_UNREACHABLE')
  assert.ok(performance.now() - startedMs < 1_000)
  await startRedis(t, [], redis.port)
  assert.equal(await command('GET', 'queue:a'), null)
})

test('the deadline of the hook call ends a command, and no late answer is taken for another', {
  skip: redisSkip,
}, async (t) => {
  const redis = await startRedis(t)
  const { command, callWith } = bind(t, { url: redis.url })
  await command('SET', 'queue:a', 'mine')
  await redis.tell('CLIENT PAUSE 400 ALL')
  await rejects(callWith({ timeoutMs: 100 }, 'redis.command', 'GET', 'queue:b'), 'ORC_NET_TIMEOUT')
  assert.equal(await command('GET', 'queue:a'), 'mine')
})

test('a URL in a secret brings user, password and database; neither is ever told', { skip: redisSkip }, async (t) => {
  const redis = await startRedis(t, ['--requirepass', 'pass word'])
  const url = (password: string) => `redis://default:${encodeURIComponent(password)}@127.0.0.1:${redis.port}/3`
  let secret: string | undefined = url('pass word')
  const asked: string[] = []
  const secretOf = (name: string) => {
    asked.push(name)
    return secret
  }
  const good = bind(t, { url: 'secret://queue-url' }, { secretOf })
  assert.equal(await good.command('SET', 'queue:a', 1), 'OK')
  assert.deepEqual(asked, ['queue-url'])
  secret = url('wrong')
  const isTold = (error: Error & { code?: string }) => {
    assert.deepEqual(
      [error.code, error.message],
      ['ORC_CAPABILITY_FAILED', 'ctx.redis: the server refused AUTH (WRONGPASS)'],
    )
    return true
  }
  await assert.rejects(bind(t, { url: 'secret://queue-url' }, { secretOf }).command('GET', 'queue:a'), isTold)
  for (const text of [undefined, 'http://user:hidden@x', 'redis://u:hidden@h:1/x']) {
    secret = text
    const { command } = bind(t, { url: 'secret://queue-url' }, { secretOf })
    await assert.rejects(command('GET', 'queue:a'), (error: Error) => !error.message.includes('hidden'))
  }
})

test('rediss:// believes only a certificate for the granted name', {
  skip: redisSkip || certificateSkip,
}, async (t) => {
  const { keyFile, certFile } = await trustedCertificate(t, 'named.test')
  const tlsPort = await freePort()
  const files = ['--tls-cert-file', certFile, '--tls-key-file', keyFile, '--tls-ca-cert-file', certFile]
  await startRedis(t, ['--tls-port', String(tlsPort), '--tls-auth-clients', 'no', ...files])
  const resolve = async () => [{ address: '127.0.0.1', family: 4 }]
  const get = (host: string) => bind(t, { url: `rediss://${host}:${tlsPort}` }, { resolve }).command('GET', 'queue:a')
  assert.equal(await get('named.test'), null)
  await rejects(get('other.test'), 'ORC_NET_UNREACHABLE')
})

test('SCAN finds only keys with a granted prefix, whatever MATCH says', { skip: redisSkip }, async (t) => {
  const redis = await startRedis(t)
  for (const key of ['queue:a', 'queue:b', 'other:a', 'q*x']) await redis.tell(`SET ${key} 1`)
  const one = bind(t, { url: redis.url, commands: ['SCAN'] })
  const scan = async (guest: typeof one, ...args: unknown[]) =>
    ((await guest.command('SCAN', 0, ...args)) as [string, string[]])[1].sort()
  assert.deepEqual(await scan(one, 'COUNT', 1000), ['queue:a', 'queue:b'])
  assert.deepEqual(await scan(one, 'match', 'queue:[b]'), ['queue:b'])
  assert.deepEqual(await scan(one, 'MATCH', 'queue\\:*'), ['queue:a', 'queue:b'])
  for (const pattern of ['*', 'q*', '[q]ueue:*', '', 'other:*', '\\*', '?ueue:*'])
    await rejects(one.command('SCAN', 0, 'MATCH', pattern), 'ORC_CAPABILITY_DENIED')
  await rejects(one.command('SCAN', 0, 'COUNT', 1e6), 'ORC_CAPABILITY_ARGUMENT')
  await rejects(one.command('SCAN', 0, 'MATCH', 'queue:*', 'MATCH', '*'), 'ORC_CAPABILITY_ARGUMENT')
  const star = bind(t, { url: redis.url, commands: ['SCAN'], keys: ['q*', 'other:'] })
  assert.deepEqual(await scan(star, 'MATCH', 'q\\**'), ['q*x'], 'a star in a prefix is only a star')
  await rejects(star.command('SCAN', 0), 'ORC_CAPABILITY_DENIED', /needs a MATCH/)
})

test('addresses that are not granted, or are ours, are not connected to', async (t) => {
  let connections = 0
  const server = createServer((socket) => {
    connections += 1
    socket.destroy()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo
  const get = (grant: Partial<GrantOf<'redis'>>, deps: Partial<Deps> = {}) =>
    bind(t, grant, deps).command('GET', 'queue:a')
  for (const host of ['127.0.0.1', '127.1', '0x7f.1', '2130706433', '[::1]', '[::ffff:7f00:1]', '0.0.0.0'])
    await rejects(get({ url: `redis://${host}:${port}`, addresses: ['public', 'private'] }), 'ORC_NET_BLOCKED_ADDRESS')
  await rejects(
    get({ url: `redis://127.0.0.1:${port}` }, { ownListeners: () => [{ host: '0.0.0.0', port }] }),
    'ORC_NET_BLOCKED_ADDRESS',
  )
  const both = async () => [
    { address: '127.0.0.1', family: 4 },
    { address: '10.0.0.1', family: 4 },
  ]
  await rejects(get({ url: `redis://two.test:${port}` }, { resolve: both }), 'ORC_NET_BLOCKED_ADDRESS')
  await rejects(get({ url: `redis://none.test:${port}` }, { resolve: async () => [] }), 'ORC_NET_UNREACHABLE')
  assert.equal(connections, 0, 'no packet')
  await rejects(get({ url: `redis://127.0.0.1:${port}` }), 'ORC_NET_UNREACHABLE')
  assert.equal(connections, 1)
})

test('grants that cannot be kept are refused before they are given', () => {
  const never = [
    'EVAL',
    'evalsha',
    'SCRIPT',
    'FUNCTION',
    'FCALL',
    'CONFIG',
    'MODULE',
    'DEBUG',
    'KEYS',
    'FLUSHALL',
    'FLUSHDB',
  ]
  const more = [
    'CLIENT',
    'REPLICAOF',
    'SLAVEOF',
    'SELECT',
    'SUBSCRIBE',
    'PSUBSCRIBE',
    'MONITOR',
    'MIGRATE',
    'SORT',
    'AUTH',
  ]
  const last = [
    'SHUTDOWN',
    'ACL',
    'BLPOP',
    'XREAD',
    'MULTI',
    'OBJECT',
    'RESTORE',
    'DUMP',
    'toString',
    '__proto__',
    'GET x',
  ]
  for (const name of [...never, ...more, ...last])
    assert.match(
      capabilityOf()
        .check?.(grantOf({ commands: ['GET', name] }))
        .join() ?? '',
      /cannot be granted/,
      name,
    )
  const cases: [Partial<GrantOf<'redis'>>, RegExp][] = [
    [{ url: 'http://x' }, /url: is no Redis URL/],
    [{ url: 'redis://u:p@h/0' }, /url: must not hold a user or password/],
    [{ url: 'redis://h/0?x=1' }, /url: has more behind the host/],
    [{ url: 'secret://a b' }, /url: is no Redis URL/],
    [{ keys: ['queue:*'] }, /holds a star/],
    [{ addresses: ['instances'] }, /no meaning for redis/],
    [{ addresses: ['0.0.0.0/0'] }, /is everything/],
  ]
  for (const [grant, problem] of cases) assert.match(capabilityOf().check?.(grantOf(grant)).join() ?? '', problem)
  assert.deepEqual(capabilityOf().check?.(grantOf({ url: 'rediss://cache.test/2', commands: ['get', 'XINFO'] })), [])
})

test('what was used is told by command and prefix, and a grant is narrowed to that', { skip: redisSkip }, async (t) => {
  const redis = await startRedis(t)
  const grant = { url: redis.url, commands: ['get', 'MGET', 'PING', 'LLEN'], keys: ['queue:', 'queue:hot:', 'x'] }
  const { command, pipeline, bound } = bind(t, grant)
  await command('GET', 'queue:7')
  await command('MGET', 'queue:hot:1', 'queue:1', 'queue:2')
  await pipeline([['PING']])
  await rejects(command('DEL', 'queue:7'), 'ORC_CAPABILITY_DENIED')
  assert.deepEqual(
    bound.usage()[0]?.targets.map(({ operation, target, allowed, denied }) => [operation, target, allowed, denied]),
    [
      ['command', 'GET queue:', 1, 0],
      ['command', 'MGET queue:hot:', 1, 0],
      ['command', 'MGET queue:', 1, 0],
      ['pipeline', 'PING', 1, 0],
      ['command', 'DEL queue:7', 0, 1],
    ],
  )
  const { narrow } = capabilityOf()
  const full = grantOf(grant)
  assert.deepEqual(narrow?.(full, ['GET queue:', 'PING']), { ...full, commands: ['get', 'PING'], keys: ['queue:'] })
  assert.deepEqual(narrow?.(full, []), full)
})
