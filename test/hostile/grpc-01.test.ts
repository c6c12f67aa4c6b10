/** GRPC-01: methods that were not granted, metadata that is not the plugin's to set, and servers that answer too much. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type Metadata, Server, ServerCredentials, type UntypedServiceImplementation } from '@grpc/grpc-js'
import type { GrantOf } from '../../runtime/capabilities/capability.ts'
import { createGrpcCapability } from '../../runtime/capabilities/grpc.ts'
import { systemClock } from '../../runtime/clock.ts'
import { bindAs } from '../support/bound.ts'
import { openHostileGuest } from '../support/hostile-guest.ts'

const proto = `syntax = "proto3"; package hostile;
message Node { Node next = 1; repeated Node nodes = 2; bytes data = 3; repeated int32 numbers = 4; map<string, Node> byName = 5; }
service Hostile { rpc Get(Node) returns (Node); rpc Secret(Node) returns (Node); }`
const capability = createGrpcCapability({ clock: systemClock, ownListeners: () => [], secretOf: () => 'token' })
const grantOf = (target: string): GrantOf<'grpc'> => ({
  kind: 'grpc',
  why: 'test',
  targets: [target],
  addresses: ['loopback'],
  methods: ['hostile.Hostile/Get'],
  metadata: ['x-tenant'],
  auth: { secret: 'token' },
  proto,
})

/** Answers both methods with these bytes. */
async function startHostile(t: TestContext, reply: () => Buffer) {
  const seen: { path: string; metadata: Metadata }[] = []
  const server = new Server()
  const asIs = (bytes: Buffer) => bytes
  const handlers: UntypedServiceImplementation = {}
  const definition = Object.fromEntries(
    ['Get', 'Secret'].map((name) => {
      const path = `/hostile.Hostile/${name}`
      handlers[name] = ((call: { metadata: Metadata }, done: (error: null, reply: Buffer) => void) => {
        seen.push({ path, metadata: call.metadata })
        done(null, reply())
      }) as UntypedServiceImplementation[string]
      const sides = {
        requestSerialize: asIs,
        requestDeserialize: asIs,
        responseSerialize: asIs,
        responseDeserialize: asIs,
      }
      return [name, { path, requestStream: false, responseStream: false, ...sides }]
    }),
  )
  server.addService(definition, handlers)
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  )
  t.after(() => server.forceShutdown())
  return { target: `127.0.0.1:${port}`, seen }
}

function bind(t: TestContext, target: string) {
  const { bound, call } = bindAs(capability, grantOf(target))
  t.after(() => bound.dispose())
  return () =>
    call('grpc.unary', { target, method: 'hostile.Hostile/Get' }) as Promise<{ status: number; detail: string }>
}

const mib = 1024 * 1024
const nothing = Buffer.alloc(0)

test('GRPC-01: nothing is sent to a method or target that was not granted, nor with metadata of the host', async (t) => {
  const server = await startHostile(t, () => nothing)
  const call = { target: server.target, method: 'hostile.Hostile/Get' }
  const denied = [
    { ...call, method: 'hostile.Hostile/Secret' },
    { ...call, method: 'hostile.Hostile/get' },
    { ...call, method: '/hostile.Hostile/Get' },
    { ...call, method: 'hostile.Hostile/Get?' },
    { ...call, method: 'hostile.Hostile/../hostile.Hostile/Secret' },
    { ...call, method: 'grpc.health.v1.Health/Check' },
    { ...call, method: 'grpc.reflection.v1.ServerReflection/ServerReflectionInfo' },
    { ...call, target: '127.0.0.1:1' },
    { ...call, target: `ipv4:${server.target}` },
    { ...call, target: `dns:///${server.target}` },
    { ...call, target: 'unix:/var/run/docker.sock' },
    { ...call, target: `${server.target},10.0.0.1:1` },
    ...[
      'grpc-timeout',
      ':authority',
      ':path',
      'te',
      'content-type',
      'user-agent',
      'host',
      'x-forwarded-for',
      'X-Other',
    ].map((key) => ({ ...call, metadata: { [key]: 'x' } })),
    { ...call, metadata: { 'x-tenant-bin': 'AAAA' } },
    { ...call, metadata: { 'x-tenant\r\nx-evil': 'x' } },
  ]
  const wrong = [
    { ...call, metadata: { authorization: 'mine' } },
    { ...call, metadata: { Authorization: 'mine' } },
    { ...call, metadata: { 'x-tenant': 'a\r\nx-evil: b' } },
    { ...call, metadata: { 'x-tenant': '\u00e9' } },
    { ...call, metadata: { 'x-tenant': 'x'.repeat(9_000) } },
    { ...call, deadline: 'never' },
  ]
  const guest = await openHostileGuest(t, {
    capability,
    grant: grantOf(server.target),
    body: `
      const told = []
      for (const call of input.calls) told.push(await tell(() => ctx.grpc.unary(call)))
      told.push(await tell(async () => (await ctx.grpc.unary({ ...input.call, metadata: { 'x-tenant': 'mine' } })).status))
      return told`,
  })
  assert.deepEqual(await guest.attack({ calls: [...denied, ...wrong], call }), [
    ...denied.map(() => 'ORC_CAPABILITY_DENIED'),
    ...wrong.map(() => 'ORC_CAPABILITY_ARGUMENT'),
    0,
  ])
  assert.deepEqual(
    server.seen.map(({ path, metadata }) => [path, metadata.get('x-tenant'), metadata.get('authorization')]),
    [['/hostile.Hostile/Get', ['mine'], ['token']]],
    'the server saw the granted call only',
  )
  const known = new Set([
    'x-tenant',
    'authorization',
    'user-agent',
    'content-type',
    'accept-encoding',
    'grpc-accept-encoding',
  ])
  const others = Object.keys(server.seen[0]?.metadata.getMap() ?? {}).filter((key) => !known.has(key))
  assert.deepEqual(others, [])
  assert.equal(guest.violations.length, denied.length)
})

/** In a process of its own, so that only what the client holds is weighed here. */
async function startFlood(t: TestContext, ...args: string[]): Promise<string> {
  const file = fileURLToPath(new URL('../support/grpc-flood.ts', import.meta.url))
  const child = spawn(process.execPath, [file, ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  t.after(() => child.kill('SIGKILL'))
  const [port] = (await once(child.stdout, 'data')) as [Buffer]
  return `127.0.0.1:${String(port).trim()}`
}

for (const [what, ...args] of [
  ['a reply of 100 MiB', '100'],
  ['a reply of 100 MiB that is small while it is compressed', '100', 'gzip'],
] as const)
  test(`GRPC-01: ${what} is RESOURCE_EXHAUSTED, and its bytes are not kept`, async (t) => {
    const small = await startHostile(t, () => nothing)
    assert.equal((await bind(t, small.target)()).status, 0)
    const get = bind(t, await startFlood(t, ...args))
    const before = process.memoryUsage().rss
    let most = 0
    const watch = setInterval(() => {
      most = Math.max(most, process.memoryUsage().rss - before)
    }, 1)
    t.after(() => clearInterval(watch))
    for (let round = 0; round < 5; round += 1) {
      const { status, detail } = await get()
      assert.deepEqual([status, /larger than/.test(detail)], [8, true])
    }
    t.diagnostic(`${(most / mib).toFixed(1)} MiB more at most`)
    assert.ok(most < 32 * mib, `${most / mib} MiB more`)
  })

/** A length-delimited field. */
function field(number: number, content: Buffer): Buffer {
  const length: number[] = []
  for (let rest = content.length; ; rest >>>= 7) {
    length.push(rest > 127 ? (rest & 127) | 128 : rest)
    if (rest <= 127) break
  }
  return Buffer.concat([Buffer.from([number * 8 + 2, ...length]), content])
}
function nested(depth: number): Buffer {
  let message: Buffer = nothing
  for (let level = 0; level < depth; level += 1) message = field(1, message)
  return message
}
const tooMuch: readonly (readonly [string, () => Buffer])[] = [
  ['nested a thousand times', () => nested(1_000)],
  ['half a million empty messages', () => Buffer.alloc(mib - 2, field(2, nothing))],
  ['half a million unknown fields', () => Buffer.alloc(mib - 2, Buffer.from([15 * 8, 0]))],
  ['a million packed numbers', () => field(4, Buffer.alloc(mib - 16, 1))],
  ['a map of many', () => Buffer.alloc(mib - 2, field(5, nothing))],
]
for (const [what, reply] of tooMuch)
  test(`GRPC-01: ${what} is ORC_CAPABILITY_LIMIT, quickly`, async (t) => {
    const bytes = reply()
    const server = await startHostile(t, () => bytes)
    const startedMs = performance.now()
    await assert.rejects(bind(t, server.target)(), { code: 'ORC_CAPABILITY_LIMIT' })
    assert.ok(performance.now() - startedMs < 2_000)
  })

const noMessages: readonly (readonly [string, Buffer])[] = [
  ['a group', Buffer.from([1 * 8 + 3, 1 * 8 + 4])],
  ['a length beyond the end', Buffer.from([1 * 8 + 2, 200, 1, 0])],
  ['a length of many bytes', Buffer.from([1 * 8 + 2, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1])],
  ['a number without an end', Buffer.alloc(20, 0xff)],
  ['a number where a message should be', Buffer.from([1 * 8, 1])],
  ['a key no object should have', field(5, field(1, Buffer.from('__proto__')))],
]
for (const [what, bytes] of noMessages)
  test(`GRPC-01: ${what} is no message, and is said to be none`, async (t) => {
    const server = await startHostile(t, () => bytes)
    await assert.rejects(bind(t, server.target)(), { code: 'ORC_CAPABILITY_FAILED' })
  })
