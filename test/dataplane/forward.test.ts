import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import { connect, createServer as createTcpServer } from 'node:net'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { freePort, startProxy, startReplica } from '../support/proxy.ts'
import { waitFor } from '../support/wait-for.ts'

interface Answer {
  status: number
  headers: IncomingMessage['headers']
  raw: string[]
  body: string
}

async function call(url: string, options: RequestOptions = {}, body?: string | Buffer): Promise<Answer> {
  const request = httpRequest(url, options)
  request.end(body)
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    raw: response.rawHeaders,
    body: await text(response),
  }
}

/** Sends bytes as they are and resolves with all that comes back. */
async function speak(port: number, bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.write(bytes)
  return text(socket)
}

test('several apps are served side by side, by path and by host', async (t) => {
  const proxy = await startProxy(t)
  const [shop, blog, pay] = await Promise.all([
    startReplica(t, 'shop'),
    startReplica(t, 'blog'),
    startReplica(t, 'pay'),
  ])
  proxy.route('shop', [shop])
  proxy.route('blog', [blog])
  proxy.route('pay', [pay], { route: { host: 'pay.example', path: '/' } })
  assert.equal((await call(`${proxy.url}/shop/`)).body, 'shop')
  assert.equal((await call(`${proxy.url}/blog/post`)).body, 'blog')
  assert.equal((await call(`${proxy.url}/shop/`, { headers: { host: 'pay.example' } })).body, 'pay')
  assert.match(
    await speak(proxy.port, 'GET http://pay.example/x HTTP/1.1\r\nHost: ignored\r\nConnection: close\r\n\r\n'),
    /\r\n\r\npay$/,
  )
})

test('the app sees its own path, the prefix beside it, and who asks', async (t) => {
  const proxy = await startProxy(t)
  const seen: { url?: string | undefined; headers: IncomingMessage['headers'] }[] = []
  const replica = await startReplica(t, 'a', (request, response) => {
    seen.push({ url: request.url, headers: request.headers })
    response.writeHead(302, { location: '/login', 'set-cookie': ['a=1', 'b=2'], 'x-case': 'Kept' }).end()
  })
  proxy.route('shop', [replica])
  const answer = await call(`${proxy.url}/shop/cart?x=1`, {
    headers: {
      'x-forwarded-for': '6.6.6.6',
      'x-real-ip': '6.6.6.6',
      te: 'trailers',
      connection: 'close, x-hop',
      'x-hop': '1',
    },
  })
  assert.equal(seen[0]?.url, '/cart?x=1')
  const headers = seen[0]?.headers ?? {}
  assert.equal(headers['x-forwarded-for'], '127.0.0.1')
  assert.equal(headers['x-forwarded-proto'], 'http')
  assert.equal(headers['x-forwarded-host'], `127.0.0.1:${proxy.port}`)
  assert.equal(headers['x-forwarded-prefix'], '/shop')
  assert.equal(headers.host, `127.0.0.1:${proxy.port}`)
  for (const name of ['x-real-ip', 'te', 'x-hop']) assert.equal(headers[name], undefined, name)
  assert.equal(answer.headers.location, '/shop/login')
  assert.deepEqual(answer.headers['set-cookie'], ['a=1', 'b=2'])
  assert.deepEqual(
    answer.raw.filter((field) => field === 'x-case' || field === 'Kept'),
    ['x-case', 'Kept'],
  )
})

test('a prefix without its slash is redirected, whatever the method', async (t) => {
  const proxy = await startProxy(t)
  proxy.route('shop', [await startReplica(t, 'a')])
  const answer = await call(`${proxy.url}/shop?x=1`, { method: 'POST' })
  assert.equal(answer.status, 308)
  assert.equal(answer.headers.location, '/shop/?x=1')
})

test('problems say why: no route is 404, no replica is 503 with Retry-After, a refusing one is 502', async (t) => {
  const proxy = await startProxy(t)
  const problem = async (path: string) => {
    const answer = await call(`${proxy.url}${path}`)
    assert.equal(answer.headers['content-type'], 'application/problem+json')
    return { ...answer, problem: JSON.parse(answer.body) as { code: string; detail: string; status: number } }
  }
  const unknown = await problem('/nobody/x')
  assert.equal(unknown.status, 404)
  assert.equal(unknown.problem.code, 'ORC_DATAPLANE_NO_ROUTE')
  assert.match(unknown.problem.detail, /\/nobody\/x/)
  proxy.route('shop', [])
  const empty = await problem('/shop/')
  assert.equal(empty.status, 503)
  assert.equal(empty.headers['retry-after'], '1')
  assert.match(empty.problem.detail, /shop/)
  const gone = { id: 'gone', host: '127.0.0.1', port: await freePort() }
  proxy.route('shop', [], { endpoints: [gone] })
  const refused = await problem('/shop/')
  assert.equal(refused.status, 502)
  assert.equal(refused.problem.code, 'ORC_DATAPLANE_ENDPOINT_FAILED')
  assert.equal(proxy.rotation.status('shop')?.endpoints[0]?.state, 'refusing')
  const head = await call(`${proxy.url}/shop/`, { method: 'HEAD' })
  assert.equal(head.status, 502)
  assert.equal(head.body, '')
})

test('HEAD, 204, 304 and chunked answers keep their form', async (t) => {
  const proxy = await startProxy(t)
  const replica = await startReplica(t, 'a', (request, response) => {
    if (request.url === '/204') return response.writeHead(204).end()
    if (request.url === '/304') return response.writeHead(304, { etag: '"1"' }).end()
    if (request.url === '/chunked') {
      response.write('one,')
      return response.end('two')
    }
    return response.writeHead(200, { 'content-length': '5' }).end(request.method === 'HEAD' ? undefined : 'hello')
  })
  proxy.route('shop', [replica])
  const head = await call(`${proxy.url}/shop/x`, { method: 'HEAD' })
  assert.deepEqual([head.status, head.headers['content-length'], head.body], [200, '5', ''])
  assert.equal((await call(`${proxy.url}/shop/204`)).status, 204)
  assert.equal((await call(`${proxy.url}/shop/304`)).headers.etag, '"1"')
  const chunked = await call(`${proxy.url}/shop/chunked`)
  assert.deepEqual([chunked.headers['transfer-encoding'], chunked.body], ['chunked', 'one,two'])
  const old = await speak(proxy.port, 'GET /shop/chunked HTTP/1.0\r\n\r\n')
  assert.match(old, /^HTTP\/1\.1 200 /)
  assert.match(old, /\r\n\r\none,two$/)
})

test('bodies pass with a length, chunked, and on methods that usually have none', async (t) => {
  const proxy = await startProxy(t)
  const replica = await startReplica(t, 'a', async (request, response) => {
    const body = await text(request)
    const { 'content-length': length, 'transfer-encoding': encoding } = request.headers
    response.end(JSON.stringify([request.method, length ?? null, encoding ?? null, body]))
  })
  proxy.route('shop', [replica])
  const sent = async (method: string, headers: Record<string, string>, body?: string) =>
    JSON.parse((await call(`${proxy.url}/shop/`, { method, headers }, body)).body) as unknown[]
  assert.deepEqual(await sent('POST', { 'content-length': '5' }, 'hello'), ['POST', '5', null, 'hello'])
  assert.deepEqual(await sent('POST', { 'content-length': '0' }), ['POST', '0', null, ''])
  assert.deepEqual(await sent('PUT', { 'transfer-encoding': 'chunked' }, 'hello'), ['PUT', null, 'chunked', 'hello'])
  assert.deepEqual(await sent('GET', { 'content-length': '5' }, 'hello'), ['GET', '5', null, 'hello'])
  assert.deepEqual(await sent('DELETE', { 'content-length': '5' }, 'hello'), ['DELETE', '5', null, 'hello'])
})

test('Expect: 100-continue is answered only when a replica is there to take the body', async (t) => {
  const proxy = await startProxy(t)
  const replica = await startReplica(t, 'a', async (request, response) => {
    assert.equal(request.headers.expect, undefined)
    response.end(await text(request))
  })
  proxy.route('shop', [replica])
  proxy.route('empty', [])
  const ask = async (path: string) => {
    const headers = { expect: '100-continue', 'content-length': '5' }
    const request = httpRequest(`${proxy.url}${path}`, { method: 'POST', headers })
    let hasContinued = false
    request.on('continue', () => {
      hasContinued = true
      request.end('hello')
    })
    request.on('error', () => {})
    request.flushHeaders()
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    const body = await text(response)
    request.destroy()
    return { status: response.statusCode, hasContinued, body }
  }
  assert.deepEqual(await ask('/shop/'), { status: 200, hasContinued: true, body: 'hello' })
  const refused = await ask('/empty/')
  assert.deepEqual([refused.status, refused.hasContinued], [503, false])
})

test('early hints reach the client before the answer', async (t) => {
  const proxy = await startProxy(t)
  const replica = await startReplica(t, 'a', (_request, response) => {
    response.writeEarlyHints({ link: '</style.css>; rel=preload' })
    response.end('page')
  })
  proxy.route('shop', [replica])
  const request = httpRequest(`${proxy.url}/shop/`)
  const hints: unknown[] = []
  request.on('information', ({ statusCode, headers }) => hints.push([statusCode, headers.link]))
  request.end()
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  assert.equal(await text(response), 'page')
  assert.deepEqual(hints, [[103, '</style.css>; rel=preload']])
})

test('a client connection stays open across upstream changes', async (t) => {
  const proxy = await startProxy(t)
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.after(() => agent.destroy())
  const sockets = new Set<unknown>()
  for (const id of ['a', 'b', 'c']) {
    proxy.route('shop', [await startReplica(t, id)])
    const request = httpRequest(`${proxy.url}/shop/`, { agent })
    request.on('socket', (socket) => sockets.add(socket))
    request.end()
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    assert.equal(await text(response), id)
  }
  assert.equal(sockets.size, 1)
})

test('a request that nobody has seen goes to another replica, whatever its method, and the refusing one is avoided', async (t) => {
  const proxy = await startProxy(t)
  let served = 0
  const alive = await startReplica(t, 'alive', async (request, response) => {
    served += 1
    response.end(await text(request))
  })
  const dead = { id: 'dead', host: '127.0.0.1', port: await freePort() }
  proxy.route('shop', [], { endpoints: [dead, alive.endpoint] })
  for (let round = 0; round < 10; round += 1) {
    const answer = await call(`${proxy.url}/shop/`, { method: 'POST' }, `order ${round}`)
    assert.deepEqual([answer.status, answer.body], [200, `order ${round}`])
  }
  assert.equal(served, 10)
  assert.deepEqual(
    proxy.rotation.status('shop')?.endpoints.map(({ state }) => state),
    ['refusing', 'serving'],
  )
})

/** Replicas that take a request and drop the connection without a word. */
async function droppers(t: Parameters<typeof startReplica>[0], count: number) {
  const seen: string[] = []
  const replicas = await Promise.all(
    Array.from({ length: count }, (_, index) =>
      startReplica(t, `dropper-${index}`, (request) => {
        seen.push(`${request.method} ${request.url}`)
        request.socket.destroy()
      }),
    ),
  )
  return { seen, replicas }
}

test('a POST that was sent is never sent again', async (t) => {
  const proxy = await startProxy(t)
  const { seen, replicas } = await droppers(t, 3)
  proxy.route('shop', replicas)
  for (const body of [undefined, 'order']) {
    seen.length = 0
    const answer = await call(`${proxy.url}/shop/buy`, { method: 'POST' }, body)
    assert.equal(answer.status, 502)
    assert.deepEqual(seen, ['POST /buy'])
  }
})

test('a PUT whose body was begun is not sent again; one without a body is', async (t) => {
  const proxy = await startProxy(t)
  const { seen, replicas } = await droppers(t, 2)
  const good = await startReplica(t, 'good', (_request, response) => response.end('good'))
  proxy.route('shop', replicas)
  assert.equal((await call(`${proxy.url}/shop/x`, { method: 'PUT' }, 'body')).status, 502)
  assert.deepEqual(seen, ['PUT /x'])
  proxy.route('shop', [...replicas, good])
  assert.equal((await call(`${proxy.url}/shop/x`, { method: 'DELETE' })).body, 'good')
})

test('a GET goes on to another replica when its connection dies, and gives up after a bounded number of tries', async (t) => {
  const proxy = await startProxy(t)
  const { seen, replicas } = await droppers(t, 2)
  const good = await startReplica(t, 'good')
  proxy.route('shop', [...replicas, good])
  for (let round = 0; round < 6; round += 1) assert.equal((await call(`${proxy.url}/shop/`)).body, 'good')
  proxy.route('shop', replicas)
  seen.length = 0
  assert.equal((await call(`${proxy.url}/shop/`)).status, 502)
  assert.ok(seen.length >= 2 && seen.length <= 4, `${seen.length} tries`)
})

test('an answer that breaks off in the middle is cut off for the client too, not completed', async (t) => {
  const proxy = await startProxy(t)
  const replica = await startReplica(t, 'a', (_request, response) => {
    response.writeHead(200, { 'content-length': '1000' })
    response.write('half')
    setTimeout(() => response.destroy(), 20)
  })
  proxy.route('shop', [replica])
  await assert.rejects(call(`${proxy.url}/shop/`), /aborted|ECONNRESET/)
})

test('a replica that talks nonsense is 502', async (t) => {
  const proxy = await startProxy(t)
  const server = createTcpServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => socket.end('SSH-2.0-nonsense\r\n\r\n'))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const { port } = server.address() as { port: number }
  proxy.route('shop', [], { endpoints: [{ id: 'ssh', host: '127.0.0.1', port }] })
  assert.equal((await call(`${proxy.url}/shop/`)).status, 502)
})

test('a replica that does not begin an answer in time is 504, and nobody else is asked', async (t) => {
  const proxy = await startProxy(t, { headersMs: 100 })
  let seen = 0
  const silent = () =>
    startReplica(t, 'silent', () => {
      seen += 1
    })
  proxy.route('shop', await Promise.all([silent(), silent()]))
  const answer = await call(`${proxy.url}/shop/`)
  assert.equal(answer.status, 504)
  assert.match(answer.body, /ORC_DATAPLANE_ENDPOINT_TIMEOUT/)
  assert.equal(seen, 1)
})

test('an answer that comes before the upload is over reaches the client, and its connection can go on', async (t) => {
  const proxy = await startProxy(t)
  const replica = await startReplica(t, 'a', (_request, response) => response.writeHead(413).end('too much'))
  proxy.route('shop', [replica])
  for (let round = 0; round < 5; round += 1) {
    const answer = await call(`${proxy.url}/shop/`, { method: 'POST' }, Buffer.alloc(2_000_000))
    assert.deepEqual([answer.status, answer.body], [413, 'too much'])
  }
})

test('a client that goes away ends its request at the replica', async (t) => {
  const proxy = await startProxy(t)
  let isOpen = false
  const replica = await startReplica(t, 'a', (request) => {
    isOpen = true
    request.once('close', () => {
      isOpen = false
    })
  })
  proxy.route('shop', [replica])
  const request = httpRequest(`${proxy.url}/shop/`)
  request.on('error', () => {})
  request.end()
  await waitFor(() => isOpen)
  assert.equal(proxy.rotation.status('shop')?.endpoints[0]?.activeConnections, 1)
  request.destroy()
  await waitFor(() => !isOpen)
  await waitFor(() => proxy.rotation.status('shop')?.endpoints[0]?.activeConnections === 0)
  await waitFor(() => proxy.server.active === 0)
  assert.equal(
    proxy.rotation.samples().find(({ metric }) => metric === 'errorPercent'),
    undefined,
  )
})

test('a client that goes away in the middle of an upload ends it at the replica', async (t) => {
  const proxy = await startProxy(t)
  let bytes = 0
  let hasEnded = false
  const replica = await startReplica(t, 'a', (request) => {
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length
    })
    request.once('error', () => {})
    request.once('close', () => {
      hasEnded = true
    })
  })
  proxy.route('shop', [replica])
  const request = httpRequest(`${proxy.url}/shop/`, { method: 'POST', headers: { 'content-length': '1000000' } })
  request.on('error', () => {})
  request.write(Buffer.alloc(1000))
  await waitFor(() => bytes === 1000)
  request.destroy()
  await waitFor(() => hasEnded && proxy.server.active === 0)
})

test('traffic of an app is measured where it passes: rate, latency, errors, open requests', async (t) => {
  const proxy = await startProxy(t)
  const replica = await startReplica(t, 'a', (request, response) => {
    response.writeHead(request.url === '/bad' ? 500 : 200)
    setTimeout(() => response.end(), 20)
  })
  proxy.route('shop', [replica])
  proxy.route('idle', [replica])
  await waitFor(() => proxy.rotation.samples().some(({ metric }) => metric === 'rps'))
  for (let round = 0; round < 3; round += 1) await call(`${proxy.url}/shop/`)
  await call(`${proxy.url}/shop/bad`)
  const of = (app: string) =>
    new Map(
      proxy.rotation
        .samples()
        .filter((sample) => sample.app === app)
        .map(({ metric, value }) => [metric, value]),
    )
  const shop = of('shop')
  assert.equal(shop.get('errorPercent'), 25)
  assert.ok((shop.get('rps') ?? 0) > 0)
  assert.ok((shop.get('latencyP95Ms') ?? 0) > 0)
  assert.deepEqual(Object.fromEntries(of('idle')), { activeConnections: 0, rps: 0 })
})

test('what was seen of endpoints is told once: nobody there, no answer, one that broke off; not what clients gave up', async (t) => {
  const proxy = await startProxy(t)
  const good = await startReplica(t, 'good')
  const breaking = await startReplica(t, 'breaking', (_request, response) => {
    response.writeHead(200, { 'content-length': '100' }).write('some')
    setTimeout(() => response.destroy(), 20)
  })
  const dying = await startReplica(t, 'dying', (request) => request.socket.destroy())
  const patient = await startReplica(t, 'patient', () => {})
  const gone = { ...good, endpoint: { id: 'gone', host: '127.0.0.1', port: await freePort() } }
  proxy.route('shop', [good])
  proxy.route('torn', [breaking])
  proxy.route('dead', [dying])
  proxy.route('none', [gone])
  proxy.route('slow', [patient])
  for (let times = 0; times < 3; times += 1) await call(`${proxy.url}/shop/`)
  await assert.rejects(call(`${proxy.url}/torn/`))
  assert.equal((await call(`${proxy.url}/dead/`, { method: 'POST' })).status, 502)
  assert.equal((await call(`${proxy.url}/none/`)).status, 502)
  await assert.rejects(fetch(`${proxy.url}/slow/`, { signal: AbortSignal.timeout(50) }))
  const told = proxy.rotation.takeSignals().map(({ app, id, answered, failed }) => `${app} ${id} ${answered} ${failed}`)
  assert.deepEqual(told.sort(), ['dead dying 0 1', 'none gone 0 1', 'torn breaking 1 1'])
  assert.deepEqual(proxy.rotation.takeSignals(), [])
})
