/** What only a real socket shows: hosts, streams, sizes, slow clients, closing. */
import assert from 'node:assert/strict'
import { type IncomingHttpHeaders, request } from 'node:http'
import { connect, createServer } from 'node:net'
import { type TestContext, test } from 'node:test'
import { createApi } from '../../runtime/api/app.ts'
import type { ApiDeps } from '../../runtime/api/deps.ts'
import { type ApiServer, type ListenOptions, listen } from '../../runtime/api/server.ts'
import { OrchestryError } from '../../runtime/errors.ts'
import { createFakeRooms, type FakeRooms } from '../support/fake-rooms.ts'
import { waitFor } from '../support/wait-for.ts'

async function serve(
  t: TestContext,
  changes: Partial<ApiDeps> = {},
  options: Partial<ListenOptions> = {},
): Promise<ApiServer & { rooms: FakeRooms }> {
  const rooms = createFakeRooms(changes)
  rooms.addApp('shop')
  const server = await listen({ api: createApi(rooms.deps), host: '127.0.0.1', port: 0, ...options })
  t.after(() => server.close())
  return { ...server, rooms }
}

type Answer = { status: number; headers: IncomingHttpHeaders; body: string }
function ask(
  port: number,
  path: string,
  headers: Record<string, string> = {},
  method = 'GET',
  body = '',
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }))
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

/** Sends bytes as they are; resolves with all that came back when the other side has closed. */
function raw(port: number, bytes: string, keepSending?: () => string): Promise<string> {
  return new Promise((resolve) => {
    let received = ''
    const socket = connect(port, '127.0.0.1', () => {
      socket.write(bytes)
      const pump = () => {
        while (keepSending && !socket.destroyed && socket.writable)
          if (!socket.write(keepSending())) return void socket.once('drain', pump)
      }
      pump()
    })
    socket.on('data', (chunk) => {
      received += chunk.toString('utf8')
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve(received))
  })
}

test('C55: only loopback names with the bound port are answered, on every kind of route', async (t) => {
  const { port } = await serve(t)
  const cases: [string, number][] = [
    [`127.0.0.1:${port}`, 200],
    [`localhost:${port}`, 200],
    [`LOCALHOST:${port}`, 200],
    [`[::1]:${port}`, 200],
    ['evil.test', 421],
    [`evil.test:${port}`, 421],
    [`127.0.0.1:${port + 1}`, 421],
    ['127.0.0.1', 421],
    [`127.0.0.1.evil.test:${port}`, 421],
    [`localhost.:${port}`, 421],
    [`2130706433:${port}`, 421],
  ]
  for (const [host, status] of cases)
    for (const path of ['/api/v1/apps/shop', '/api/v1/nothing', '/'])
      await t.test(`${host} ${path}`, async () => {
        const answer = await ask(port, path, { host })
        const expected = status === 200 && path === '/api/v1/nothing' ? 404 : status
        assert.equal(answer.status, expected, answer.body)
        if (status === 421) assert.equal(JSON.parse(answer.body).code, 'ORC_API_HOST_REFUSED')
      })
  await t.test('an event stream', async () => {
    assert.equal((await ask(port, '/api/v1/stream', { host: 'evil.test' })).status, 421)
  })
  await t.test('a host in the request target', async () => {
    const answer = await raw(
      port,
      `GET http://evil.test/api/v1/apps HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n\r\n`,
    )
    assert.match(answer, /^HTTP\/1\.1 421 /)
  })
  await t.test('no host', async () => {
    assert.match(await raw(port, 'GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n'), /^HTTP\/1\.1 400 /)
  })
})

test('C55: a page may send requests only from this very server, and none is told that others may', async (t) => {
  const { port, rooms } = await serve(t)
  const cases: [string, number][] = [
    [`http://127.0.0.1:${port}`, 202],
    [`http://localhost:${port}`, 202],
    [`https://127.0.0.1:${port}`, 403],
    [`http://127.0.0.1:${port + 1}`, 403],
    ['http://evil.test', 403],
    ['null', 403],
    ['', 403],
  ]
  for (const [origin, status] of cases)
    await t.test(origin || '(empty)', async () => {
      rooms.addApp('shop')
      const { status: got, headers } = await ask(port, '/api/v1/apps/shop/stop', { origin }, 'POST')
      assert.equal(got, status)
      assert.equal(rooms.records.get('shop')?.isRunning, status === 403)
      assert.equal(headers['access-control-allow-origin'], undefined)
    })
})

test('C58: a body is counted while it comes in, and the next request on the connection is answered', async (t) => {
  const { port, url } = await serve(t)
  const yaml = { 'content-type': 'application/yaml' }
  await t.test('as long as it says', async () => {
    const answer = await ask(
      port,
      '/api/v1/apps',
      { ...yaml, 'content-length': '1200000' },
      'POST',
      'x'.repeat(1_200_000),
    )
    assert.deepEqual([answer.status, JSON.parse(answer.body).code], [413, 'ORC_API_BODY_TOO_LARGE'])
  })
  await t.test('without an end', async () => {
    const head = `POST /api/v1/apps HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/yaml\r\nTransfer-Encoding: chunked\r\n\r\n`
    const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`
    let sentBytes = 0
    const answer = await raw(port, head, () => {
      sentBytes += 65_536
      return chunk
    })
    assert.match(answer, /^HTTP\/1\.1 413 /)
    assert.ok(sentBytes < 64 * 1024 * 1024, `${sentBytes} bytes were taken`)
  })
  await t.test('a chunked body below the limit', async () => {
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode('metadata: '))
        controller.enqueue(new TextEncoder().encode('{ name: fresh }'))
        controller.close()
      },
    })
    const init = { method: 'POST', headers: yaml, body, duplex: 'half' }
    assert.equal((await fetch(`${url}/api/v1/apps`, init as RequestInit)).status, 201)
  })
  await t.test('a refused body does not stop its connection', async () => {
    const body = 'x'.repeat(300_000)
    for (let round = 0; round < 3; round += 1) {
      const refused = await fetch(`${url}/api/v1/apps`, {
        method: 'POST',
        body,
        headers: { 'content-type': 'text/plain' },
      })
      await refused.text()
      assert.equal(refused.status, 415)
      const startedAt = performance.now()
      assert.equal((await fetch(`${url}/healthz`)).status, 200)
      assert.ok(performance.now() - startedAt < 1_000)
    }
  })
})

test('C58: headers have a size and a time, and other clients do not notice', async (t) => {
  const { port, url } = await serve(
    t,
    {},
    { timeouts: { headersTimeout: 300, requestTimeout: 600, connectionsCheckingInterval: 50 } },
  )
  await t.test('64 KiB of headers', async () => {
    const answer = await raw(
      port,
      `GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nX-Long: ${'x'.repeat(65_536)}\r\n\r\n`,
    )
    assert.match(answer, /^HTTP\/1\.1 431 /)
  })
  await t.test('headers that never end', async () => {
    const slow = raw(port, 'GET /healthz HTTP/1.1\r\nHost: ')
    assert.equal((await fetch(`${url}/healthz`)).status, 200)
    assert.match(await slow, /^HTTP\/1\.1 408 /)
  })
  await t.test('a body that never ends', async () => {
    const head = `POST /api/v1/apps HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/yaml\r\nContent-Length: 100\r\n\r\nmeta`
    assert.match(await raw(port, head), /^HTTP\/1\.1 (408|4\d\d) /)
  })
})

test('a port in use is refused with its number and the flag that chooses another', async (t) => {
  const taken = createServer()
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
  t.after(() => taken.close())
  const address = taken.address()
  assert.ok(address && typeof address === 'object')
  const { port } = address
  await assert.rejects(serve(t, {}, { port }), (error: Error & { code?: string }) => {
    assert.equal(error.code, 'ORC_CONFIG_PORT_IN_USE')
    assert.match(error.message, new RegExp(`${port}.*--port`))
    return true
  })
})

interface Reader {
  readonly text: () => string
  readonly closed: Promise<void>
  stop(): void
}
function follow(url: string, headers: Record<string, string> = {}): Reader {
  const abort = new AbortController()
  let text = ''
  const read = async () => {
    const response = await fetch(url, { headers, signal: abort.signal })
    assert.match(response.headers.get('content-type') ?? '', /^text\/event-stream/)
    assert.equal(response.headers.get('x-content-type-options'), 'nosniff')
    for await (const chunk of response.body ?? []) text += new TextDecoder().decode(chunk)
  }
  const closed = read().catch((error: Error) => {
    if (error.name !== 'AbortError') throw error
  })
  return { text: () => text, closed, stop: () => abort.abort() }
}
const idsIn = (text: string) => [...text.matchAll(/^id: (.*)$/gm)].map(([, id]) => id)

test('a stream of events goes on after Last-Event-ID, misses none and repeats none', async (t) => {
  const { url, rooms } = await serve(t)
  for (let index = 0; index < 1_200; index += 1) rooms.appendEvent(index % 2 ? 'app.scaled' : 'app.changed', 'shop')
  const reader = follow(`${url}/api/v1/events/stream`, { 'last-event-id': '00000100' })
  await waitFor(() => idsIn(reader.text()).length >= 1_100)
  for (let index = 0; index < 50; index += 1) rooms.appendEvent('app.scaled', 'shop')
  await waitFor(() => idsIn(reader.text()).length >= 1_150)
  reader.stop()
  const expected = Array.from({ length: 1_150 }, (_, index) => String(index + 101).padStart(8, '0'))
  assert.deepEqual(idsIn(reader.text()), expected)
})

test('a stream without a last id begins now, and keeps to its app and its type', async (t) => {
  const { url, rooms } = await serve(t)
  rooms.addApp('blog')
  rooms.appendEvent('app.scaled', 'shop')
  const reader = follow(`${url}/api/v1/apps/shop/events/stream?type=app.scaled`)
  await waitFor(() => reader.text().includes('still here'))
  rooms.appendEvent('app.scaled', 'blog')
  rooms.appendEvent('app.changed', 'shop')
  const wanted = rooms.appendEvent('app.scaled', 'shop', { text: 'a\nb\r\n\ndata: forged' })
  await waitFor(() => idsIn(reader.text()).length > 0)
  reader.stop()
  assert.deepEqual(idsIn(reader.text()), [wanted.id])
  const data = /^data: (.*)$/m.exec(reader.text())?.[1] ?? ''
  assert.deepEqual(JSON.parse(data), wanted)
})

test('a last id that is none is refused before the stream begins', async (t) => {
  const list: ApiDeps['events']['list'] = async ({ after }) => {
    if (after === undefined || /^\d+$/.test(after)) return []
    throw new OrchestryError('ORC_API_VALIDATION', `${after} is not the id of an event.`)
  }
  const { url } = await serve(t, { events: { list, subscribe: () => () => {} } })
  const response = await fetch(`${url}/api/v1/events/stream`, { headers: { 'last-event-id': 'x' } })
  assert.deepEqual([response.status, ((await response.json()) as { code: string }).code], [400, 'ORC_API_VALIDATION'])
})

test('the stream for pages brings a snapshot at once and then one each second', async (t) => {
  const { url } = await serve(t)
  const reader = follow(`${url}/api/v1/stream`)
  const seen = await waitFor(() => (reader.text().match(/^event: snapshot$/gm)?.length === 2 ? reader.text() : ''), {
    timeoutMs: 3_000,
  })
  reader.stop()
  const first = JSON.parse(/^data: (.*)$/m.exec(seen)?.[1] ?? '')
  assert.deepEqual([first.apps[0].name, first.apps[0].load.rps], ['shop', 12])
  assert.ok(Array.isArray(first.decisions) && Array.isArray(first.plugins))
})

test('the stream of logs brings each new line once, per replica', async (t) => {
  const { url, rooms } = await serve(t)
  const write = (instance: string, line: string) => rooms.logs.push({ instance, stream: 'stdout', line })
  write('shop-1', 'old')
  const reader = follow(`${url}/api/v1/apps/shop/logs/stream`)
  await waitFor(() => reader.text().includes('still here'))
  write('shop-1', 'new')
  write('shop-2', 'other')
  await waitFor(() => reader.text().includes('"other"'))
  write('shop-1', 'new')
  const lines = () => [...reader.text().matchAll(/^data: (.*)$/gm)].map(([, data]) => JSON.parse(data ?? '').line)
  await waitFor(() => lines().length === 3)
  reader.stop()
  assert.deepEqual(new Set(lines()), new Set(['new', 'other']))
})

test('streams are bounded in number, and a reader that leaves makes room', async (t) => {
  const { url } = await serve(t)
  const readers = Array.from({ length: 64 }, () => follow(`${url}/api/v1/events/stream`))
  await waitFor(() => readers.every((reader) => reader.text() !== ''))
  const refused = await fetch(`${url}/api/v1/events/stream`)
  assert.deepEqual(
    [refused.status, ((await refused.json()) as { code: string }).code],
    [429, 'ORC_API_TOO_MANY_STREAMS'],
  )
  for (const reader of readers) reader.stop()
  const again = await waitFor(async () => {
    const reader = follow(`${url}/api/v1/events/stream`)
    await waitFor(() => reader.text() !== '', { timeoutMs: 500 })
    return reader
  })
  again.stop()
})

test('closing ends streams at once and lets a request that waits answer', async (t) => {
  const { rooms, ...server } = await serve(t)
  rooms.settleMs = 20_000
  const streams = [follow(`${server.url}/api/v1/events/stream`), follow(`${server.url}/api/v1/stream`)]
  await waitFor(() => streams.every((reader) => reader.text() !== ''))
  const waiting = fetch(`${server.url}/api/v1/apps/shop/start?wait=60`, { method: 'POST' })
  await waitFor(() => rooms.records.get('shop')?.revision === 2)
  const startedAt = performance.now()
  await Promise.all([server.close(), server.close(), ...streams.map((reader) => reader.closed)])
  assert.ok(performance.now() - startedAt < 1_000, `it took ${performance.now() - startedAt} ms`)
  assert.equal((await waiting).status, 202)
  await assert.rejects(fetch(`${server.url}/healthz`))
})
