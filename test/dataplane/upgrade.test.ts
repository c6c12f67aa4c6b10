import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { type WebSocket, WebSocketServer } from 'ws'
import { freePort, startProxy, startReplica, type TestReplica } from '../support/proxy.ts'
import { waitFor } from '../support/wait-for.ts'

/** Answers every message with the same, and counts who is connected. */
function echo(replica: TestReplica, seen: IncomingMessage[] = []): WebSocketServer {
  const sockets = new WebSocketServer({ server: replica.server })
  sockets.on('connection', (socket: WebSocket, request: IncomingMessage) => {
    seen.push(request)
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
  })
  return sockets
}

async function open(url: string): Promise<globalThis.WebSocket> {
  const socket = new globalThis.WebSocket(url.replace(/^http/, 'ws'))
  socket.binaryType = 'arraybuffer'
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener('open', () => resolve(), { once: true })
    socket.addEventListener('error', () => reject(new Error('the WebSocket was not opened')), { once: true })
  })
  return socket
}

async function ask(socket: globalThis.WebSocket, data: string | Uint8Array<ArrayBuffer>): Promise<unknown> {
  const answer = new Promise<unknown>((resolve) => {
    socket.addEventListener('message', (event) => resolve(event.data), { once: true })
  })
  socket.send(data)
  return answer
}

const activeOf = (proxy: Awaited<ReturnType<typeof startProxy>>) =>
  proxy.rotation.status('shop')?.endpoints.map(({ activeConnections }) => activeConnections)

test('messages pass both ways, small and large, and the app sees its path and who asks', async (t) => {
  const proxy = await startProxy(t)
  const replica = await startReplica(t, 'a')
  const seen: IncomingMessage[] = []
  echo(replica, seen)
  proxy.route('shop', [replica])
  const socket = await open(`${proxy.url}/shop/chat?room=1`)
  assert.equal(await ask(socket, 'hello'), 'hello')
  const big = new Uint8Array(5_000_000).fill(7)
  assert.deepEqual(new Uint8Array((await ask(socket, big)) as ArrayBuffer), big)
  assert.equal(seen[0]?.url, '/chat?room=1')
  assert.equal(seen[0]?.headers['x-forwarded-for'], '127.0.0.1')
  assert.equal(seen[0]?.headers['x-forwarded-prefix'], '/shop')
  socket.close()
  await waitFor(() => proxy.server.active === 0)
})

test('an open WebSocket counts as one active connection until either side ends it', async (t) => {
  const proxy = await startProxy(t)
  const replica = await startReplica(t, 'a')
  const server = echo(replica)
  proxy.route('shop', [replica])
  const first = await open(`${proxy.url}/shop/`)
  const second = await open(`${proxy.url}/shop/`)
  assert.deepEqual(activeOf(proxy), [2])
  assert.equal(proxy.rotation.samples().find(({ metric }) => metric === 'activeConnections')?.value, 2)
  first.close()
  await waitFor(() => activeOf(proxy)?.[0] === 1)
  const closed = once(second, 'close')
  for (const client of server.clients) client.terminate()
  await closed
  await waitFor(() => activeOf(proxy)?.[0] === 0 && proxy.server.active === 0)
})

test('a WebSocket on a draining replica stays open, new ones go elsewhere', async (t) => {
  const proxy = await startProxy(t)
  const [old, fresh] = await Promise.all([startReplica(t, 'old'), startReplica(t, 'fresh')])
  echo(old)
  const seen: IncomingMessage[] = []
  echo(fresh, seen)
  proxy.route('shop', [old])
  const socket = await open(`${proxy.url}/shop/`)
  proxy.route('shop', [fresh], { draining: [old.endpoint] })
  assert.equal(await ask(socket, 'still here'), 'still here')
  const next = await open(`${proxy.url}/shop/`)
  assert.equal(seen.length, 1)
  assert.deepEqual(activeOf(proxy), [1, 1])
  proxy.route('shop', [fresh])
  assert.equal(await ask(socket, 'even now'), 'even now')
  assert.deepEqual(
    proxy.rotation.status('shop')?.endpoints.map(({ state }) => state),
    ['serving', 'removed'],
  )
  socket.close()
  next.close()
  await waitFor(() => activeOf(proxy)?.join() === '0')
})

test('a replica that refuses the upgrade is heard, and a refused connection is tried elsewhere', async (t) => {
  const proxy = await startProxy(t)
  const plain = await startReplica(t, 'plain')
  plain.server.on('upgrade', (_request, socket) => {
    socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nno!\n')
  })
  proxy.route('shop', [plain])
  const speak = async (path: string) => {
    const socket = connect(proxy.port, '127.0.0.1')
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    )
    return text(socket)
  }
  const refused = await speak('/shop/')
  assert.match(refused, /^HTTP\/1\.1 403 /)
  assert.match(refused, /no!\n$/)
  assert.match(await speak('/nobody/'), /^HTTP\/1\.1 404 [\s\S]*ORC_DATAPLANE_NO_ROUTE/)
  const good = await startReplica(t, 'good')
  echo(good)
  const dead = { id: 'dead', host: '127.0.0.1', port: await freePort() }
  proxy.route('shop', [], { endpoints: [dead, good.endpoint] })
  for (let round = 0; round < 3; round += 1) {
    const socket = await open(`${proxy.url}/shop/`)
    assert.equal(await ask(socket, 'x'), 'x')
    socket.close()
  }
  proxy.route('shop', [], { endpoints: [dead] })
  assert.match(await speak('/shop/'), /^HTTP\/1\.1 502 /)
  await waitFor(() => proxy.server.active === 0)
})

test('an offer of another protocol is ignored and answered plainly', async (t) => {
  const proxy = await startProxy(t)
  const replica = await startReplica(t, 'a', (request, response) => {
    response.end(`upgrade: ${request.headers.upgrade ?? 'none'}`)
  })
  proxy.route('shop', [replica])
  const socket = connect(proxy.port, '127.0.0.1')
  socket.write(
    'GET /shop/ HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n',
  )
  assert.match(await text(socket), /^HTTP\/1\.1 200 [\s\S]*upgrade: none/)
})
