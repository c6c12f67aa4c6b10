/** NET-06 and NET-10: answers that lead elsewhere. */
import assert from 'node:assert/strict'
import type { RequestListener } from 'node:http'
import { type TestContext, test } from 'node:test'
import type { CapabilityRecord } from '@orchestry/sdk'
import { createNetCapability } from '../../runtime/capabilities/net.ts'
import type { Resolve } from '../../runtime/capabilities/resolve.ts'
import { systemClock } from '../../runtime/clock.ts'
import { openHostileGuest } from '../support/hostile-guest.ts'
import { startRecordingServer } from '../support/recording-server.ts'

const resolve: Resolve = async () => [{ address: '127.0.0.1', family: 4 }]
const secret = 'tell-nobody-4711'

function open(t: TestContext, grant: Partial<Extract<CapabilityRecord, { kind: 'net' }>>) {
  return openHostileGuest(t, {
    capability: createNetCapability({
      clock: systemClock,
      ownListeners: () => [],
      resolve,
      secretOf: (name) => (name === 'token' ? secret : undefined),
    }),
    grant: { kind: 'net', why: 'test', schemes: ['http'], addresses: ['loopback'], redirects: 3, ...grant },
    body: `return Promise.all(input.map((url) => tell(async () => {
      const { status, headers, body } = await ctx.net.fetch(url)
      return { status, headers, body }
    }).then((told) => told, String)))`,
  })
}

test('NET-06: a redirect to where nothing is granted, to a file, or for ever is denied, and the hop is recorded', async (t) => {
  const hidden = await startRecordingServer(t)
  const places: Record<string, string> = {
    '/inside': hidden.at('/admin?x=1'),
    '/file': 'file:///etc/passwd',
    '/user': 'http://user:pw@good.test/',
    '/nowhere': 'http://',
    '/1': '/2',
    '/2': '/3',
    '/3': '/4',
    '/4': '/5',
  }
  const answer: RequestListener = ({ url = '' }, response) =>
    void (places[url] === undefined ? response : response.writeHead(302, { location: places[url] })).end('arrived')
  const good = await startRecordingServer(t, answer)
  const { guest, attack } = await openAt(good.port)
  const codes = await attack(['/inside', '/file', '/user', '/nowhere', '/1'])
  assert.deepEqual(codes, Array(5).fill('ORC_NET_REDIRECT_DENIED'))
  assert.equal(hidden.connections(), 0)
  assert.equal(
    good.seen.some(({ url }) => url === '/5'),
    false,
    'the fourth hop was not made',
  )
  const denied = guest.bound.usage()[0]?.targets.filter((row) => row.denied > 0)
  const [where, inside] = [`http://good.test:${good.port}`, `http://127.0.0.1:${hidden.port}/admin`]
  assert.deepEqual(
    new Set(denied?.map(({ target }) => target)),
    new Set(['GET (no URL)', 'GET file:///etc/passwd', 'GET http://good.test:80/', `GET ${inside}`, `GET ${where}/5`]),
  )
  const said = guest.violations.map(({ message }) => message)
  assert.ok(
    said.some((message) => message.startsWith(`ctx.net: redirect 1, to ${inside}, was not followed`)),
    said.join('\n'),
  )
  assert.ok(said.some((message) => message.startsWith(`ctx.net: redirect 4, to ${where}/5, was not followed`)))
  assert.deepEqual(await attack(['/2']), [200], 'three hops are granted')

  async function openAt(port: number) {
    const guest = await open(t, { hosts: ['good.test'], ports: [port] })
    const attack = async (paths: readonly string[]) => {
      const told = (await guest.attack(paths.map((path) => `http://good.test:${port}${path}`))) as { status?: number }[]
      return told.map((one) => one.status ?? one)
    }
    return { guest, attack }
  }
})

test('NET-06: a granted name that leads to an address that is not granted is denied as a redirect, too', async (t) => {
  const first = await startRecordingServer(t, (_request, response) => {
    response.writeHead(302, { location: `http://[::1]:${first.port}/` }).end()
  })
  const guest = await open(t, { hosts: ['127.0.0.1', '::1'], ports: [first.port], addresses: ['127.0.0.1/32'] })
  assert.deepEqual(await guest.attack([first.at()]), ['ORC_NET_REDIRECT_DENIED'])
})

test('NET-10: a secret that the host put into a header is not sent to a second origin, nor shown to the guest', async (t) => {
  const second = await startRecordingServer(t, ({ headers }, response) => void response.end(JSON.stringify(headers)))
  const first = await startRecordingServer(t, ({ url, headers }, response) => {
    if (url === '/echo') return void response.setHeader('x-echo', headers['x-token'] ?? '').end(JSON.stringify(headers))
    response.writeHead(307, { location: `http://two.test:${second.port}/` }).end()
  })
  const guest = await open(t, {
    hosts: ['one.test', 'two.test'],
    ports: [first.port, second.port],
    auth: { secret: 'token', header: 'x-token', prefix: 'Bearer ' },
  })
  const at = (path: string) => `http://one.test:${first.port}${path}`
  const told = (await guest.attack([at('/'), at('/echo')])) as { status: number }[]
  assert.deepEqual(
    told.map(({ status }) => status),
    [200, 200],
  )
  assert.equal(first.seen[0]?.headers['x-token'], `Bearer ${secret}`)
  assert.equal(second.seen.length, 1)
  assert.equal(JSON.stringify(second.seen).includes(secret), false)
  assert.equal(JSON.stringify(told).includes(secret), false, 'nor does an answer that echoes it show it')
})
