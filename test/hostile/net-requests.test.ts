/** NET-07 and NET-08: URLs that look like the granted one, and headers that are not a plugin's to send. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { createNetCapability } from '../../runtime/capabilities/net.ts'
import type { Resolve } from '../../runtime/capabilities/resolve.ts'
import { systemClock } from '../../runtime/clock.ts'
import { openHostileGuest } from '../support/hostile-guest.ts'
import { startRecordingServer } from '../support/recording-server.ts'

async function stage(t: TestContext) {
  const asked: string[] = []
  const resolve: Resolve = async (host) => {
    asked.push(host)
    return [{ address: '127.0.0.1', family: 4 }]
  }
  const origin = await startRecordingServer(t)
  const guest = await openHostileGuest(t, {
    capability: createNetCapability({ clock: systemClock, ownListeners: () => [], resolve }),
    grant: {
      kind: 'net',
      why: 'test',
      hosts: ['api.good.test'],
      schemes: ['http'],
      ports: [origin.port],
      addresses: ['loopback'],
    },
    body: 'return Promise.all(input.map((request) => tell(async () => (await ctx.net.fetch(request)).status)))',
  })
  return { origin, asked, attack: (requests: readonly unknown[]) => guest.attack(requests) }
}

test('NET-07: hosts that only look granted are denied; a trailing dot and upper case are the granted host', async (t) => {
  const { origin, asked, attack } = await stage(t)
  const { port } = origin
  const alike = [
    `http://api.good.test.evil.test:${port}/`,
    `http://api.good.test@evil.test:${port}/`,
    `http://evil.test:${port}#api.good.test`,
    `http://evil.test:${port}?api.good.test`,
    `http://evil.test:${port}\\@api.good.test/`,
    `http://xapi.good.test:${port}/`,
    `http://api.good.test:${port}/#fragment`,
  ]
  assert.deepEqual(await attack(alike), Array(alike.length).fill('ORC_CAPABILITY_DENIED'))
  assert.deepEqual([asked, origin.connections()], [[], 0])
  assert.deepEqual(await attack([`http://api.good.test.:${port}/a`, `http://API.Good.TEST:${port}/b`]), [200, 200])
  assert.deepEqual([...new Set(asked)], ['api.good.test'])
  assert.deepEqual(
    origin.seen.map(({ headers }) => headers.host),
    Array(2).fill(`api.good.test:${port}`),
  )
})

test('NET-08: headers that would steer the message or forge a sender are refused, and the origin sees none', async (t) => {
  const { origin, attack } = await stage(t)
  const url = `http://api.good.test:${origin.port}/`
  const headers: Record<string, string>[] = [
    { 'x-a': 'b\r\nx-evil: 1' },
    { 'x-a': 'b\nx-evil: 1' },
    { 'x-a\r\nx-evil': 'b' },
    { 'x-a: b\r\nx-evil': 'c' },
    { Host: 'evil.test' },
    { 'Transfer-Encoding': 'chunked', 'Content-Length': '4' },
    { 'Content-Length': '0' },
    { TE: 'trailers' },
    { 'X-Forwarded-For': '127.0.0.1' },
    { Forwarded: 'for=127.0.0.1' },
    { 'Proxy-Authorization': 'x' },
    { Upgrade: 'websocket', Connection: 'upgrade' },
    Object.fromEntries(Array.from({ length: 2_000 }, (_, index) => [`x-${index}`, 'v'])),
  ]
  const codes = await attack(headers.map((given) => ({ url, headers: given })))
  assert.deepEqual(codes, Array(headers.length).fill('ORC_CAPABILITY_ARGUMENT'))
  assert.deepEqual([origin.seen, origin.connections()], [[], 0])
})
