/** REDIS-03: a server that answers more than anybody can hold. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { GrantOf } from '../../runtime/capabilities/capability.ts'
import { createRedisCapability } from '../../runtime/capabilities/redis.ts'
import { systemClock } from '../../runtime/clock.ts'
import { bindAs } from '../support/bound.ts'
import { openHostileGuest } from '../support/hostile-guest.ts'
import { waitFor } from '../support/wait-for.ts'

/** Answers every chunk with what `answer` writes; keeps writing until it is hung up on. */
async function startHostileRedis(t: TestContext, answer: (socket: Socket) => void) {
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => {})
    socket.on('data', () => answer(socket))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`, sockets }
}

/** Writes the same bytes again and again, no faster than they are taken. */
function flood(socket: Socket, piece: string, times: number): void {
  let left = times
  const more = () => {
    while (left > 0 && !socket.destroyed) {
      left -= 1
      if (!socket.write(piece)) {
        socket.once('drain', more)
        return
      }
    }
  }
  more()
}

const grantOf = (url: string): GrantOf<'redis'> => ({
  kind: 'redis',
  why: 'test',
  url,
  addresses: ['loopback'],
  commands: ['GET', 'LRANGE'],
  keys: ['queue:'],
})
const capability = createRedisCapability({ clock: systemClock, ownListeners: () => [], secretOf: () => undefined })

const mib = 1024 * 1024
const hostile: readonly (readonly [string, (socket: Socket) => void])[] = [
  ['a million nested arrays', (socket) => flood(socket, '*1\r\n'.repeat(10_000), 100)],
  ['a bulk text of 512 MiB, announced', (socket) => void socket.write('$536870912\r\n')],
  [
    'a bulk text of 512 MiB, sent',
    (socket) => {
      socket.write('$536870912\r\n')
      flood(socket, 'x'.repeat(mib), 512)
    },
  ],
  ['an array of a thousand million', (socket) => void socket.write('*1000000000\r\n')],
  [
    'endless small elements',
    (socket) => {
      socket.write('*65000\r\n')
      flood(socket, '$8\r\nxxxxxxxx\r\n'.repeat(1_000), 65)
    },
  ],
  ['a line without an end', (socket) => flood(socket, `+${'x'.repeat(mib)}`, 64)],
  ['a length without an end', (socket) => flood(socket, '$11111111111111111111'.repeat(10_000), 64)],
]

for (const [what, answer] of hostile)
  test(`REDIS-03: ${what} is ORC_CAPABILITY_LIMIT, and the connection is closed`, async (t) => {
    const server = await startHostileRedis(t, answer)
    const { bound, call } = bindAs(capability, grantOf(server.url))
    t.after(() => bound.dispose())
    const before = process.memoryUsage()
    const refused = { code: 'ORC_CAPABILITY_LIMIT', message: /connection was closed/ }
    await assert.rejects(call('redis.command', 'LRANGE', 'queue:a', 0, -1), refused)
    await waitFor(() => server.sockets.every((socket) => socket.destroyed), { what: 'the connection to be closed' })
    const after = process.memoryUsage()
    assert.ok(after.heapUsed + after.external - before.heapUsed - before.external < 16 * mib)
    const all = (await call('redis.pipeline', [
      ['GET', 'queue:a'],
      ['GET', 'queue:b'],
    ])) as { code: string }[]
    assert.deepEqual(
      all.map(({ code }) => code),
      ['ORC_CAPABILITY_LIMIT', 'ORC_CAPABILITY_LIMIT'],
    )
  })

const strangers: readonly (readonly [string, string])[] = [
  ['a map of RESP3', '%1\r\n+a\r\n+b\r\n'],
  ['a push of RESP3', '>2\r\n+message\r\n+x\r\n'],
  ['no Redis at all', 'HTTP/1.1 400 Bad Request\r\n\r\n'],
  ['a length that is no number', '$0x10\r\n'],
  ['a negative length', '*-2\r\n'],
  ['a bare line feed', '+OK\n'],
]
for (const [what, text] of strangers)
  test(`REDIS-03: ${what} is refused, and the connection is closed`, async (t) => {
    const server = await startHostileRedis(t, (socket) => void socket.write(text))
    const { bound, call } = bindAs(capability, grantOf(server.url))
    t.after(() => bound.dispose())
    await assert.rejects(call('redis.command', 'GET', 'queue:a'), { code: 'ORC_CAPABILITY_FAILED' })
    await waitFor(() => server.sockets.every((socket) => socket.destroyed), { what: 'the connection to be closed' })
  })

test('REDIS-03: an answer that nobody asked for is not taken for the next one', async (t) => {
  const server = await startHostileRedis(t, (socket) => void socket.write('$4\r\nmine\r\n$5\r\nother\r\n'))
  const { bound, call } = bindAs(capability, grantOf(server.url))
  t.after(() => bound.dispose())
  await assert.rejects(call('redis.command', 'GET', 'queue:a'), { code: 'ORC_CAPABILITY_FAILED' })
  await waitFor(() => server.sockets.every((socket) => socket.destroyed), { what: 'the connection to be closed' })
})

test('REDIS-03: the guest is told so, and goes on', async (t) => {
  const server = await startHostileRedis(t, (socket) => flood(socket, '*1\r\n'.repeat(10_000), 100))
  const guest = await openHostileGuest(t, {
    capability,
    grant: grantOf(server.url),
    body: `return [await tell(() => ctx.redis.command('GET', 'queue:a')), await tell(() => ctx.redis.command('GET', 'queue:a'))]`,
  })
  assert.deepEqual(await guest.attack(), ['ORC_CAPABILITY_LIMIT', 'ORC_CAPABILITY_LIMIT'])
})
