/** `grpc` against real servers, which read the same proto text with a library of their own. */
import assert from 'node:assert/strict'
import { promises } from 'node:dns'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { type TestContext, test } from 'node:test'
import { type Metadata, ServerCredentials } from '@grpc/grpc-js'
import type { GrpcAnswer } from '@orchestry/sdk'
import type { GrantOf } from '../../runtime/capabilities/capability.ts'
import { createGrpcCapability } from '../../runtime/capabilities/grpc.ts'
import { systemClock } from '../../runtime/clock.ts'
import { bindAs } from '../support/bound.ts'
import { certificateSkip, trustedCertificate } from '../support/certificate.ts'
import { startGrpc, type Unary } from '../support/grpc-server.ts'

type Deps = Parameters<typeof createGrpcCapability>[0]
const proto = `
syntax = 'proto3'; // a comment
package test.v1;
option java_package = "x.y";
enum Color { RED = 0; BLUE = 5; DARK = -1 [deprecated = true]; }
message All {
  double a_double = 1; float a_float = 2; int32 i32 = 3; int64 i64 = 4; uint32 u32 = 5; uint64 u64 = 6;
  sint32 s32 = 7; sint64 s64 = 8; fixed32 f32 = 9; fixed64 f64 = 10; sfixed32 sf32 = 11; sfixed64 sf64 = 12;
  bool yes = 13; string text = 14; bytes data = 15; Color color = 16 [deprecated = true];
  Inner inner = 17; repeated int64 longs = 18; repeated string texts = 19; repeated Inner inners = 20;
  map<string, int32> counts = 21; map<sint32, Inner> byId = 22; map<bool, Color> flags = 23;
  optional int32 maybe = 24; oneof choice { string left = 25; .test.v1.All.Inner right = 26; }
  repeated Color colors = 27; repeated double doubles = 28;
  reserved 100 to 110, 200; reserved "gone";
  message Inner { string name = 1; All.Inner next = 2; /* itself */ }
}
message Big { bytes data = 1; }
message Empty {}
service Echo {
  option deprecated = true;
  rpc Same(All) returns (All);
  rpc Wait(Empty) returns (Empty) { option idempotency_level = NO_SIDE_EFFECTS; }
  rpc Fail(Empty) returns (Empty);
  rpc Large(Big) returns (Big);
  rpc Stream(stream All) returns (stream All);
}`
const service = 'test.v1.Echo'
const grantOf = (grant: Partial<GrantOf<'grpc'>>): GrantOf<'grpc'> => ({
  kind: 'grpc',
  why: 'test',
  addresses: ['loopback'],
  methods: [`${service}/*`],
  proto,
  ...grant,
})
const capabilityOf = (deps: Partial<Deps> = {}) =>
  createGrpcCapability({ clock: systemClock, ownListeners: () => [], secretOf: () => undefined, ...deps })

function bind(t: TestContext, grant: Partial<GrantOf<'grpc'>>, deps: Partial<Deps> = {}) {
  const guest = bindAs(capabilityOf(deps), grantOf(grant))
  t.after(() => guest.bound.dispose())
  const unary = (target: string, method: string, message: object = {}, more: object = {}) =>
    guest.call('grpc.unary', { target, method: `${service}/${method}`, message, ...more }) as Promise<GrpcAnswer>
  return { ...guest, unary }
}
const rejects = (promise: Promise<unknown>, code: string, message = /./) => assert.rejects(promise, { code, message })

interface Seen {
  message: unknown
  metadata: Metadata
  host: string
}
async function startEcho(t: TestContext, handlers: Record<string, Unary> = {}) {
  const seen: Seen[] = []
  const same: Unary = (call, done) => {
    seen.push({ message: call.request, metadata: call.metadata, host: call.getHost() })
    done(null, call.request)
  }
  const nothing: Unary = () => {}
  const all = { Same: same, Large: same, Wait: nothing, Fail: nothing, Stream: nothing, ...handlers }
  return { seen, ...(await startGrpc(t, { proto, service, handlers: all })) }
}

const full = {
  a_double: 1.5,
  a_float: -0.25,
  i32: -7,
  i64: '-9223372036854775808',
  u32: 4294967295,
  u64: '18446744073709551615',
  s32: -2147483648,
  s64: '-5',
  f32: 4000000000,
  f64: '12345678901234567890',
  sf32: -1,
  sf64: '-2',
  yes: true,
  text: 'h\u00e9llo \u{1f600}',
  data: 'AAH/',
  color: 'BLUE',
  inner: { name: 'x', next: { name: 'y' } },
  longs: ['1', '-1'],
  texts: ['a', ''],
  inners: [{ name: 'p' }, { name: '' }],
  counts: { a: 1, toString: 2 },
  byId: { '-3': { name: 'm' } },
  flags: { true: 'BLUE' },
  maybe: 0,
  right: { name: 'r' },
  colors: ['RED', 'DARK'],
  doubles: [0.5, 2],
}

test('every type of proto3 is sent and read as the library of the server does it', async (t) => {
  const server = await startEcho(t)
  const { unary } = bind(t, { targets: [server.target] })
  const answer = await unary(server.target, 'Same', full)
  assert.deepEqual(answer.message, full)
  assert.deepEqual([answer.status, answer.detail], [0, ''])
  assert.ok(answer.durationMs > 0)
  const { message } = server.seen[0] as { message: typeof full & { data: string } }
  assert.deepEqual([message.i64, message.u64, message.text, message.color], [full.i64, full.u64, full.text, 'BLUE'])
  const empty = (await unary(server.target, 'Same')).message ?? {}
  assert.deepEqual(
    [empty.i64, empty.i32, empty.text, empty.color, empty.texts, empty.counts, 'inner' in empty, 'maybe' in empty],
    ['0', 0, '', 'RED', [], {}, false, false],
    'absent fields have their zero, except where absence means something',
  )
  const infinite = { a_double: 'NaN', doubles: ['Infinity', '-Infinity'] }
  const { a_double, doubles } = (await unary(server.target, 'Same', infinite)).message ?? {}
  assert.deepEqual({ a_double, doubles }, infinite)
})

test('a message that does not fit is told of by its field, and nothing is sent', async (t) => {
  const server = await startEcho(t)
  const { unary } = bind(t, { targets: [server.target] })
  const cases: [object, RegExp][] = [
    [{ i32: 2 ** 31 }, /\/i32 is beyond what int32 can hold/],
    [{ u64: -1 }, /\/u64 is beyond/],
    [{ i64: 2 ** 60 }, /\/i64 is no int64 \(whole numbers beyond 2\^53/],
    [{ i32: 1.5 }, /\/i32 is no int32/],
    [{ yes: 1 }, /\/yes is neither true nor false/],
    [{ data: '%%' }, /\/data is no base64/],
    [{ color: 'GREEN' }, /\/color is no value of test.v1.Color/],
    [{ inner: { next: { nome: 1 } } }, /\/inner\/next has a field "nome" that test.v1.All.Inner has not/],
    [{ texts: ['a', 2] }, /\/texts\/1 is no text/],
    [{ counts: { a: 'b' } }, /\/counts\/a is no int32/],
    [{ inner: [] }, /\/inner is no object/],
  ]
  for (const [message, wrong] of cases)
    await rejects(unary(server.target, 'Same', message), 'ORC_CAPABILITY_ARGUMENT', wrong)
  assert.equal(server.seen.length, 0)
})

test('what a server refuses, lacks or does in too long a time is a status, not an error', async (t) => {
  const server = await startEcho(t, {
    Fail: (_call, done) => done({ code: 9, details: `not now ${'x'.repeat(1_000)}` }),
  })
  const grant = { targets: [server.target, '127.0.0.1:1'], methods: [`${service}/*`, 'grpc.health.v1.Health/Check'] }
  const { unary, call } = bind(t, grant)
  const failed = await unary(server.target, 'Fail')
  assert.deepEqual([failed.status, failed.detail.length, failed.message], [9, 200, undefined])
  assert.match(failed.detail, /^not now/)
  assert.equal((await unary(server.target, 'Wait', {}, { timeoutMs: 50 })).status, 4)
  assert.equal((await unary('127.0.0.1:1', 'Wait')).status, 14)
  const health = { target: server.target, method: 'grpc.health.v1.Health/Check' }
  assert.equal(((await call('grpc.unary', health)) as GrpcAnswer).status, 12, 'UNIMPLEMENTED')
})

test('the deadline is that of the hook call, where it is nearer', async (t) => {
  const server = await startEcho(t)
  const { callWith } = bind(t, { targets: [server.target] })
  const startedMs = performance.now()
  const call = { target: server.target, method: `${service}/Wait`, timeoutMs: 10_000 }
  const answer = (await callWith({ timeoutMs: 300 }, 'grpc.unary', call)) as GrpcAnswer
  assert.equal(answer.status, 4)
  assert.ok(performance.now() - startedMs < 300)
})

test('a secret goes to named targets as metadata, and never comes back', async (t) => {
  const server = await startEcho(t)
  const secretOf = (name: string) => (name === 'token' ? 'p4ssw0rd' : undefined)
  const auth = { secret: 'token', prefix: 'Bearer ' }
  const { unary } = bind(t, { targets: [server.target], auth, metadata: ['x-tenant'] }, { secretOf })
  const answer = await unary(server.target, 'Same', { text: 'say p4ssw0rd' }, { metadata: { 'X-Tenant': 'a b' } })
  assert.deepEqual(server.seen[0]?.metadata.get('authorization'), ['Bearer p4ssw0rd'])
  assert.deepEqual(server.seen[0]?.metadata.get('x-tenant'), ['a b'])
  assert.equal(answer.message?.text, 'say ***')
  const { callWith } = bind(t, { targets: ['named.test:1'], addresses: ['instances'], auth }, { secretOf })
  const toInstance = { target: server.target, method: `${service}/Same` }
  await callWith({ endpoints: [server.target] }, 'grpc.unary', toInstance)
  assert.deepEqual(server.seen[1]?.metadata.get('authorization'), [], 'an instance is a stranger')
  const missing = bind(t, { targets: [server.target], auth: { secret: 'other' } }, { secretOf })
  await rejects(missing.unary(server.target, 'Same'), 'ORC_CAPABILITY_FAILED', /the secret "other" is not there/)
})

test('instances are those of the very call, a name is asked for once, and the server is told it', async (t) => {
  const asksDns = (['resolveTxt', 'resolve4'] as const).map((name) => t.mock.method(promises.Resolver.prototype, name))
  const looksUp = t.mock.method(promises, 'lookup')
  const server = await startEcho(t)
  const { callWith, violations } = bind(t, { addresses: ['instances'] })
  const call = { target: server.target, method: `${service}/Same` }
  await rejects(callWith({}, 'grpc.unary', call), 'ORC_CAPABILITY_DENIED', /the instances handed to this call/)
  assert.equal(((await callWith({ endpoints: [server.target] }, 'grpc.unary', call)) as GrpcAnswer).status, 0)
  assert.equal(violations.length, 1)
  let asked = 0
  const resolve: NonNullable<Deps['resolve']> = async () => {
    asked += 1
    return [{ address: asked === 1 ? '127.0.0.1' : '10.0.0.1', family: 4 }]
  }
  const named = bind(t, { targets: [`Named.test.:${server.port}`] }, { resolve })
  assert.equal((await named.unary(`named.TEST:${server.port}`, 'Same')).status, 0)
  assert.deepEqual([asked, server.seen.at(-1)?.host], [1, `named.test:${server.port}`])
  await rejects(named.unary(`named.test:${server.port}`, 'Same'), 'ORC_NET_BLOCKED_ADDRESS')
  const byLibrary = [...asksDns, looksUp].reduce((sum, { mock }) => sum + mock.callCount(), 0)
  assert.equal(byLibrary, 0, 'the library asks for no name and no service config of its own')
})

test('addresses that are not granted, or are ours, are not connected to, and no proxy is asked', async (t) => {
  let connections = 0
  const listener = createServer((socket) => {
    connections += 1
    socket.destroy()
  }).listen(0, '127.0.0.1')
  await once(listener, 'listening')
  t.after(() => listener.close())
  const { port } = listener.address() as AddressInfo
  for (const host of ['127.0.0.1', '127.1', '0x7f.1', '2130706433', '[::1]', '[::ffff:7f00:1]', '0.0.0.0']) {
    const target = `${host}:${port}`
    const { unary } = bind(t, { targets: [target], addresses: ['public', 'private'] })
    await rejects(unary(target, 'Same'), 'ORC_NET_BLOCKED_ADDRESS')
  }
  const own = bind(t, { targets: [`127.0.0.1:${port}`] }, { ownListeners: () => [{ host: '::', port }] })
  await rejects(own.unary(`127.0.0.1:${port}`, 'Same'), 'ORC_NET_BLOCKED_ADDRESS')
  const two = async () => [
    { address: '127.0.0.1', family: 4 },
    { address: '10.0.0.1', family: 4 },
  ]
  const mixed = bind(t, { targets: [`two.test:${port}`] }, { resolve: two })
  await rejects(mixed.unary(`two.test:${port}`, 'Same'), 'ORC_NET_BLOCKED_ADDRESS')
  const server = await startEcho(t)
  process.env.grpc_proxy = `http://127.0.0.1:${port}`
  t.after(() => delete process.env.grpc_proxy)
  assert.equal((await bind(t, { targets: [server.target] }).unary(server.target, 'Same')).status, 0)
  assert.equal(connections, 0, 'no packet')
})

test('with tls the certificate must be for the granted name, whatever the address', {
  skip: certificateSkip,
}, async (t) => {
  const { key, cert } = await trustedCertificate(t, 'named.test')
  const credentials = ServerCredentials.createSsl(null, [{ private_key: key, cert_chain: cert }])
  const server = await startGrpc(t, { credentials })
  const resolve = async () => [{ address: '127.0.0.1', family: 4 }]
  const methods = ['grpc.health.v1.Health/Check']
  const check = async (host: string) => {
    const target = `${host}:${server.port}`
    const { call } = bind(t, { targets: [target], methods, tls: true }, { resolve })
    const [answer] = (await call('grpc.checkAll', [{ target }])) as { health?: string; status?: number }[]
    return answer?.health ?? answer?.status
  }
  assert.equal(await check('named.test'), 'SERVING')
  assert.equal(await check('other.test'), 14)
})

test('many servers are asked for their health in one crossing, and one channel serves many calls', async (t) => {
  const good = await startGrpc(t, { health: { '': 'SERVING', db: 'NOT_SERVING' } })
  const bare = await startEcho(t)
  const targets = [good.target, bare.target, '127.0.0.1:1']
  const { call, violations, bound } = bind(t, { targets, methods: ['grpc.health.v1.Health/Check'] })
  const checks = [
    { target: good.target },
    { target: good.target, service: 'db' },
    { target: good.target, service: 'none' },
    { target: bare.target },
    { target: '127.0.0.1:1' },
    { target: '127.0.0.1:2' },
  ]
  const answers = (await call('grpc.checkAll', checks)) as Record<string, unknown>[]
  assert.deepEqual(
    answers.map(({ ok, health, status, code }) => (ok === true ? health : [status, code])),
    [
      'SERVING',
      'NOT_SERVING',
      [5, 'ORC_CAPABILITY_FAILED'],
      [12, 'ORC_CAPABILITY_FAILED'],
      [14, 'ORC_NET_UNREACHABLE'],
      [7, 'ORC_CAPABILITY_DENIED'],
    ],
  )
  assert.equal(violations.length, 1)
  good.health.setStatus('', 'NOT_SERVING')
  const [after] = (await call('grpc.checkAll', checks.slice(0, 1))) as { health: string }[]
  assert.equal(after?.health, 'NOT_SERVING')
  const uses = bound.usage()[0]?.targets.map(({ target, allowed, denied }) => [target, allowed, denied])
  assert.deepEqual(uses?.[0], [`${good.target}/grpc.health.v1.Health/Check`, 4, 0])
})

test('a server that was down is found at the first call after it is back', async (t) => {
  const first = await startGrpc(t)
  const { call } = bind(t, { targets: [first.target], methods: ['grpc.health.v1.Health/Check'] })
  const check = async () => ((await call('grpc.checkAll', [{ target: first.target }])) as { ok: boolean }[])[0]?.ok
  assert.equal(await check(), true)
  first.stop()
  assert.equal(await check(), false)
  assert.equal(await check(), false)
  await startGrpc(t, { port: first.port })
  assert.equal(await check(), true)
})

test('grants that cannot be kept are refused before they are given', () => {
  const wrap = (body: string) => `syntax = "proto3"; package p; ${body}`
  const cases: [Partial<GrantOf<'grpc'>>, RegExp][] = [
    [{ proto: 'syntax = "proto2";' }, /proto: line 1: only proto3/],
    [{ proto: wrap('import "x.proto";') }, /proto: line 1: nothing can be imported/],
    [{ proto: wrap('message M { Foo a = 1; }') }, /Foo is not declared here/],
    [{ proto: wrap('message M { int32 a = 1; int32 a = 2; }') }, /a has the name or number of another field/],
    [{ proto: wrap('message M { int32 __proto__ = 1; }') }, /"__proto__" is no name/],
    [{ proto: wrap('message M { int32 a\\u0028 = 1; }') }, /nothing that can be read/],
    [{ proto: wrap('message M { int32 a = 0; }') }, /has no number between/],
    [{ proto: wrap('message M { extensions 1 to 5; }') }, /not of proto3/],
    [{ proto: wrap('message M {') }, /more is missing|is no name/],
    [{ proto: wrap(`${'message M {'.repeat(9)}${'}'.repeat(9)}`) }, /nested deeper than 8/],
    [
      { proto: wrap(`enum E { ${Array.from({ length: 1_001 }, (_, i) => `A${i} = ${i};`).join('')} }`) },
      /more than 1000/,
    ],
    [{ methods: ['test.v1.Echo/None'] }, /is no method that "proto" describes/],
    [{ methods: ['test.v1.Echo/Stream'] }, /streams/],
    [{ methods: ['*'] }, /is no method/],
    [{ methods: ['grpc.reflection.v1.ServerReflection/*'] }, /is no method/],
    [{ targets: ['127.0.0.1'] }, /is no host and port/],
    [{ targets: ['http://x:1'] }, /is no host and port/],
    [{ targets: ['unix:1'], metadata: ['grpc-timeout'] }, /metadata: "grpc-timeout" cannot be granted/],
    [{ metadata: [':authority'] }, /cannot be granted/],
    [{ metadata: ['x-bin'] }, /cannot be granted/],
    [{ addresses: ['instances'], auth: { secret: 'x' } }, /none is named/],
    [{ targets: ['h:1'], auth: { secret: 'x', header: 'te' } }, /cannot hold a secret/],
  ]
  for (const [grant, problem] of cases) assert.match(capabilityOf().check?.(grantOf(grant)).join('\n') ?? '', problem)
  assert.match(capabilityOf().check?.(grantOf({})).join() ?? '', /targets: is missing/)
  const { proto: _text, ...bare } = grantOf({ targets: ['[::1]:443'], methods: ['grpc.health.v1.Health/*'] })
  assert.deepEqual(capabilityOf().check?.(bare), [])
  assert.deepEqual(capabilityOf().check?.(grantOf({ targets: ['Api.test:443'], metadata: ['x-a'], tls: true })), [])
})

test('a grant is narrowed to the targets and methods that were called', () => {
  const { narrow } = capabilityOf()
  const grant = grantOf({ targets: ['Api.test:443', 'b.test:1'], addresses: ['public', 'instances'] })
  const { targets: _named, ...rest } = grant
  assert.deepEqual(narrow?.(grant, ['api.test:443/test.v1.Echo/Same']), {
    ...rest,
    targets: ['Api.test:443'],
    addresses: ['public'],
    methods: ['test.v1.Echo/Same'],
  })
  assert.deepEqual(narrow?.(grant, ['10.0.0.5:8080/test.v1.Echo/Wait', '10.0.0.6:8080/test.v1.Echo/Same']), {
    ...rest,
    addresses: ['instances'],
    methods: ['test.v1.Echo/Same', 'test.v1.Echo/Wait'],
  })
  assert.deepEqual(narrow?.(grant, []), grant)
})
