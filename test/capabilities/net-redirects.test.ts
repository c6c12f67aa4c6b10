import assert from 'node:assert/strict'
import type { RequestListener } from 'node:http'
import { type TestContext, test } from 'node:test'
import type { NetResponse } from '@orchestry/sdk'
import type { Caller, GrantOf } from '../../runtime/capabilities/capability.ts'
import { createNetCapability } from '../../runtime/capabilities/net.ts'
import type { SecretOf } from '../../runtime/capabilities/net-auth.ts'
import { nextHop } from '../../runtime/capabilities/net-redirects.ts'
import type { Resolve } from '../../runtime/capabilities/resolve.ts'
import { systemClock } from '../../runtime/clock.ts'
import { bindAs } from '../support/bound.ts'
import { startRecordingServer } from '../support/recording-server.ts'

const resolve: Resolve = async () => [{ address: '127.0.0.1', family: 4 }]
function bind(t: TestContext, grant: Partial<GrantOf<'net'>>, caller: Partial<Caller> = {}, secretOf?: SecretOf) {
  const capability = createNetCapability({
    clock: systemClock,
    ownListeners: () => [],
    resolve,
    ...(secretOf === undefined ? {} : { secretOf }),
  })
  const whole: GrantOf<'net'> = { kind: 'net', why: 'test', schemes: ['http'], addresses: ['loopback'], ...grant }
  const guest = bindAs(capability, whole, caller)
  t.after(() => guest.bound.dispose())
  return guest
}

/** [status, method, what the next one is sent with] by the fetch standard. */
const hops: [number, string, string][] = [
  [301, 'GET', 'GET'],
  [301, 'POST', 'GET'],
  [301, 'PUT', 'PUT with a body'],
  [302, 'POST', 'GET'],
  [302, 'HEAD', 'HEAD'],
  [303, 'POST', 'GET'],
  [303, 'PUT', 'GET'],
  [303, 'HEAD', 'HEAD'],
  [307, 'POST', 'POST with a body'],
  [308, 'PUT', 'PUT with a body'],
]
for (const [status, method, expected] of hops) {
  test(`C31: a ${method} answered with ${status} goes on as ${expected}`, () => {
    const body = ['POST', 'PUT'].includes(method) ? 'x' : undefined
    const sent = {
      url: new URL('http://a.test/x'),
      method,
      headers: { 'content-type': 'text/plain', 'x-a': '1' },
      body,
    }
    const next = nextHop(sent, status, '../y?z#f', new Set())
    assert.equal(`${next.method}${next.body === undefined ? '' : ' with a body'}`, expected)
    assert.equal(next.address, 'http://a.test/y?z')
    const keepsType = next.method === method
    assert.deepEqual(Object.keys(next.headers), keepsType ? ['content-type', 'x-a'] : ['x-a'])
  })
}

test('C31: credentials and secrets stay at their origin: another port, scheme or host is another origin', () => {
  const headers = { authorization: 'a', cookie: 'b', 'x-token': 'c', 'x-a': 'd' }
  const sent = { url: new URL('https://a.test/'), method: 'GET', headers, body: undefined }
  const kept = (location: string) => Object.keys(nextHop(sent, 302, location, new Set(['x-token'])).headers)
  assert.deepEqual(kept('/other'), Object.keys(headers))
  for (const location of ['http://a.test/', 'https://a.test:444/', 'https://b.test/', '//b.test/', 'https://['])
    assert.deepEqual(kept(location), ['x-a'], location)
})

test('C31: what was dropped on the way stays dropped when the way leads back', async (t) => {
  const answer: RequestListener = ({ url, headers }, response) => {
    const to = { '/': `http://b.test:${server.port}/back`, '/back': `http://a.test:${server.port}/end` }[url ?? '']
    if (to !== undefined) return void response.writeHead(302, { location: to }).end('x'.repeat(1_000_000))
    response.end(String(headers.authorization))
  }
  const server = await startRecordingServer(t, answer)
  const { call } = bind(t, { hosts: ['a.test', 'b.test'], ports: [server.port], redirects: 2 })
  const request = { url: `http://a.test:${server.port}/`, headers: { Authorization: 'mine' } }
  assert.equal(((await call('net.fetch', request)) as NetResponse).body, 'undefined')
  assert.equal(server.seen[0]?.headers.authorization, 'mine')
})

test('C31: the method that a redirect makes must be granted as well, and so must the path', async (t) => {
  const server = await startRecordingServer(t, ({ url }, response) => {
    response.writeHead(url === '/303' ? 303 : 307, { location: url === '/307' ? '/outside' : '/in/x' }).end()
  })
  const grant = { hosts: ['a.test'], ports: [server.port], redirects: 1, methods: ['POST'], paths: ['/303', '/307'] }
  const { call, violations } = bind(t, grant)
  for (const [path, why] of [
    ['/303', /redirect 1, to http:\/\/a\.test:\d+\/in\/x, was not followed: the method GET is not granted/],
    ['/307', /redirect 1, to http:\/\/a\.test:\d+\/outside, was not followed: the path \/outside is not granted/],
  ] as const)
    await assert.rejects(call('net.fetch', { url: `http://a.test:${server.port}${path}`, method: 'POST', body: 'x' }), {
      code: 'ORC_NET_REDIRECT_DENIED',
      message: why,
    })
  assert.deepEqual([server.seen.length, violations.length], [2, 2])
})

test('C31: an app leads a plugin nowhere but around itself, and nobody leads one to an app', async (t) => {
  const server = await startRecordingServer(t, ({ url }, response) => {
    const location = { '/away': `http://a.test:${server.port}/`, '/in': server.at('/'), '/around': '/' }[url ?? '']
    if (location !== undefined) response.writeHead(302, { location })
    response.end()
  })
  const grant = { hosts: ['a.test'], ports: [server.port], addresses: ['loopback', 'instances'], redirects: 3 }
  const { callWith } = bind(t, grant)
  const fetch = (url: string) => callWith({ endpoints: [`127.0.0.1:${server.port}`] }, 'net.fetch', url)
  const denied = { code: 'ORC_NET_REDIRECT_DENIED', message: /leads to or away from an instance/ }
  await assert.rejects(fetch(server.at('/away')), denied)
  await assert.rejects(fetch(`http://a.test:${server.port}/in`), denied)
  assert.equal(((await fetch(server.at('/around'))) as NetResponse).status, 200)
})

test('a secret of the grant is put in by the host; the guest may not set that header', async (t) => {
  const server = await startRecordingServer(t)
  const grant = { hosts: ['a.test'], ports: [server.port], auth: { secret: 'token', prefix: 'Bearer ' } }
  const { call } = bind(t, grant, {}, () => 's3cret')
  const url = `http://a.test:${server.port}/`
  await call('net.fetch', url)
  assert.equal(server.seen[0]?.headers.authorization, 'Bearer s3cret')
  await assert.rejects(call('net.fetch', { url, headers: { AUTHORIZATION: 'x' } }), {
    code: 'ORC_CAPABILITY_ARGUMENT',
    message: /the header authorization is set by the host/,
  })
})

for (const [what, value] of [
  ['is not there', undefined],
  ['is empty', ''],
  ['holds a line break', 'a\r\nx-evil: 1'],
] as const)
  test(`a secret that ${what} fails the request by its name, and nothing is sent`, async (t) => {
    const server = await startRecordingServer(t)
    const grant = { hosts: ['a.test'], ports: [server.port], auth: { secret: 'token' } }
    const { call } = bind(t, grant, {}, () => value)
    await assert.rejects(call('net.fetch', `http://a.test:${server.port}/`), {
      code: 'ORC_CAPABILITY_FAILED',
      message: /the secret "token" (is not there|holds characters)[^\r\n]*Nothing was sent$/,
    })
    assert.equal(server.connections(), 0)
  })

test('secret://name stands for a secret that may be injected, as a whole value, and for no other', async (t) => {
  const server = await startRecordingServer(t, ({ headers }, response) => void response.end(JSON.stringify(headers)))
  const secretOf: SecretOf = (name) => ({ mine: 'm1ne/+"q', other: 'oth3r' })[name]
  const capability = createNetCapability({ clock: systemClock, ownListeners: () => [], resolve, secretOf })
  const told: string[] = []
  const use = capability.use(
    { kind: 'net', why: 'test', schemes: ['http'], addresses: ['loopback'], hosts: ['a.test'], ports: [server.port] },
    {
      plugin: 'test',
      instance: 'one',
      injectable: new Set(['mine']),
      onUse: (_operation, target) => void told.push(target),
    },
  )
  t.after(() => use.dispose?.())
  const invocation = { hook: 'test', endpoints: new Set<string>(), deadlineMs: performance.now() + 5_000 }
  const fetch = async (value: string, path = '/') => {
    const url = `http://a.test:${server.port}${path}`
    return (await use.operations.fetch?.([{ url, headers: { 'x-key': value } }], invocation)) as NetResponse
  }
  assert.equal((JSON.parse((await fetch('secret://mine')).body) as { 'x-key': string })['x-key'], '***')
  assert.equal(server.seen[0]?.headers['x-key'], 'm1ne/+"q')
  await fetch('see secret://mine', '/path?query=1')
  assert.equal(server.seen[1]?.headers['x-key'], 'see secret://mine')
  await assert.rejects(fetch('secret://other'), {
    code: 'ORC_CAPABILITY_DENIED',
    message: /"other" may not be injected/,
  })
  assert.equal(server.seen.length, 2)
  const where = `GET http://a.test:${server.port}`
  assert.deepEqual(told, [`${where}/`, `${where}/path`])
})

test('the secret of a grant goes to its hosts, and to instances only where there are no hosts', async (t) => {
  const server = await startRecordingServer(t)
  const auth = { secret: 'token' }
  const endpoints = [`127.0.0.1:${server.port}`]
  const both = bind(t, { hosts: ['a.test'], addresses: ['instances'], auth }, {}, () => 's3cret')
  await both.callWith({ endpoints }, 'net.fetch', server.at())
  assert.equal(server.seen[0]?.headers.authorization, undefined)
  const alone = bind(t, { addresses: ['instances'], auth }, {}, () => 's3cret')
  await alone.callWith({ endpoints }, 'net.fetch', server.at())
  assert.equal(server.seen[1]?.headers.authorization, 's3cret')
})

test("a header that is not a plugin's to set cannot hold a secret either", () => {
  const capability = createNetCapability({ clock: systemClock, ownListeners: () => [] })
  const grant = { kind: 'net', why: 'test', auth: { secret: 's', header: 'host' } } as const
  assert.match(capability.check?.({ ...grant, hosts: ['a.test'] })?.join() ?? '', /auth: the header host cannot hold/)
})

test('perMinute counts requests and hops; without it named hosts have 600 a minute and instances none', async (t) => {
  const server = await startRecordingServer(t, ({ url }, response) => {
    if (url === '/hop') response.writeHead(302, { location: '/' })
    response.end()
  })
  const { call } = bind(t, { hosts: ['a.test'], ports: [server.port], perMinute: 3, redirects: 1 })
  const url = `http://a.test:${server.port}`
  await call('net.fetch', `${url}/`)
  await call('net.fetch', `${url}/hop`)
  await assert.rejects(call('net.fetch', `${url}/`), {
    code: 'ORC_CAPABILITY_LIMIT',
    message: 'ctx.net: more than 3 requests a minute (perMinute)',
  })
  assert.equal(server.seen.length, 3)
})
