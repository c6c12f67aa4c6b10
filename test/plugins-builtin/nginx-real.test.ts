/** The nginx plugin in its sandbox, with its grants, and a real nginx that it starts. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { appendFile, chmod, copyFile, mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { createServer, request } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Endpoint } from '@orchestry/sdk'
import { nginxPath, startNginx, withoutNginx } from '../support/nginx.ts'
import { isAlive } from '../support/processes.ts'
import { freePort, startReplica } from '../support/proxy.ts'
import { startLoad } from '../support/steady-load.ts'
import { removeDir, tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'

const real = { skip: withoutNginx }

/** Shows what arrived, and answers as the path says. */
const mirror =
  (id: string) => (incoming: import('node:http').IncomingMessage, response: import('node:http').ServerResponse) => {
    const url = new URL(incoming.url ?? '/', 'http://x')
    const location = url.searchParams.get('location')
    if (location !== null) response.setHeader('location', location)
    response.statusCode = Number(url.searchParams.get('status') ?? 200)
    response.end(JSON.stringify({ id, method: incoming.method, url: incoming.url, headers: incoming.headers }))
  }
interface Mirrored {
  readonly id: string
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
}

/** Whole bytes in, whole bytes out: what no client library would send. */
function raw(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text))
    let answer = ''
    socket.on('data', (chunk) => (answer += chunk.toString('latin1')))
    socket.on('close', () => resolve(answer))
    socket.on('error', reject)
  })
}
const get = async (url: string, headers: Record<string, string> = {}, method = 'GET') => {
  const response = await new Promise<{ status: number; headers: Record<string, unknown>; text: string }>(
    (resolve, reject) => {
      const sent = request(url, { headers, method, agent: false }, (answer) => {
        let text = ''
        answer.on('data', (chunk) => (text += chunk))
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text }))
      })
      sent.on('error', reject)
      sent.end()
    },
  )
  return { ...response, mirrored: () => JSON.parse(response.text) as Mirrored }
}

test(
  'APP-04: requests arrive as from the embedded proxy: prefix, host, forwarded fields, redirects, problems',
  real,
  async (t) => {
    const nginx = await startNginx(t)
    const [shop, docs] = [await startReplica(t, 'shop', mirror('shop')), await startReplica(t, 'docs', mirror('docs'))]
    await nginx.apply('shop', { endpoints: [shop.endpoint] })
    await nginx.apply('docs', { endpoints: [docs.endpoint], route: { host: 'docs.example', path: '/' } })
    await nginx.apply('idle')
    await nginx.apply('dead', { endpoints: [{ id: 'x', host: '127.0.0.1', port: await freePort() }] })

    const forged = {
      'x-forwarded-for': '6.6.6.6',
      forwarded: 'for=6.6.6.6',
      'x-real-ip': '6.6.6.6',
      x_forwarded_for: '6.6.6.6',
    }
    const seen = (
      await get(`${nginx.url}/shop/a%2Fb//c?q=1%20&r`, { ...forged, 'x-forwarded-prefix': '/evil' })
    ).mirrored()
    assert.equal(seen.url, '/a%2Fb//c?q=1%20&r', 'the path goes on as it was written')
    assert.equal(seen.headers.host, `127.0.0.1:${nginx.port}`)
    const { headers } = seen
    assert.deepEqual(
      [
        headers['x-forwarded-for'],
        headers['x-forwarded-proto'],
        headers['x-forwarded-host'],
        headers['x-forwarded-prefix'],
      ],
      ['127.0.0.1', 'http', `127.0.0.1:${nginx.port}`, '/shop'],
    )
    assert.doesNotMatch(JSON.stringify(seen), /6\.6\.6\.6/)

    const byHost = (await get(`${nginx.url}/shop/x`, { host: 'docs.example' })).mirrored()
    assert.deepEqual([byHost.id, byHost.url, byHost.headers['x-forwarded-prefix']], ['docs', '/shop/x', undefined])
    assert.equal((await get(`${nginx.url}/x`, { host: 'docs.example:80' })).mirrored().headers.host, 'docs.example:80')

    const redirect = await get(`${nginx.url}/shop?a=1`)
    assert.deepEqual([redirect.status, redirect.headers.location], [308, '/shop/?a=1'])
    for (const [given, told] of [
      ['/login', '/shop/login'],
      ['/shop/login', '/shop/login'],
      ['/shop', '/shop'],
      ['/shopping', '/shop/shopping'],
      ['//other/x', '//other/x'],
      ['https://other/x', 'https://other/x'],
      [`http://127.0.0.1:${nginx.port}/x`, `http://127.0.0.1:${nginx.port}/shop/x`],
      [`http://127.0.0.1:${nginx.port}/shop/x`, `http://127.0.0.1:${nginx.port}/shop/x`],
      ['next', 'next'],
    ] as const) {
      const { status, headers: back } = await get(`${nginx.url}/shop/?status=302&location=${encodeURIComponent(given)}`)
      assert.deepEqual([status, back.location], [302, told], given)
    }

    for (const [path, status, code] of [
      ['/nobody', 404, 'ORC_DATAPLANE_NO_ROUTE'],
      ['/%73hop/x', 404, 'ORC_DATAPLANE_NO_ROUTE'],
      ['/idle/', 503, 'ORC_DATAPLANE_NO_ENDPOINT'],
      ['/dead/', 502, 'ORC_DATAPLANE_ENDPOINT_FAILED'],
    ] as const) {
      const answer = await get(nginx.url + path)
      assert.deepEqual(
        [answer.status, answer.headers['content-type'], (JSON.parse(answer.text) as { code: string }).code],
        [status, 'application/problem+json', code],
        path,
      )
      assert.doesNotMatch(String(answer.headers.server), /\d/)
    }
    assert.equal(
      (await get(`${nginx.url}/shop/?status=502`)).mirrored().id,
      'shop',
      'an answer of the app stays its own',
    )
    for (const [what, text] of [
      ['two hosts', 'GET /shop/ HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n'],
      [
        'two lengths',
        'POST /shop/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n',
      ],
    ] as const)
      assert.match(await raw(nginx.port, text), /^HTTP\/1\.1 400 /, what)
    const absolute = await raw(
      nginx.port,
      `GET http://docs.example/abs?x HTTP/1.1\r\nHost: docs.example\r\nConnection: close\r\n\r\n`,
    )
    assert.match(absolute, /"id":"docs","method":"GET","url":"\/abs\?x"/)
    assert.equal((await nginx.status('shop'))?.url, nginx.url)
  },
)

test('WebSockets, streams and uploads pass at once, and connections to replicas are kept', real, async (t) => {
  const nginx = await startNginx(t)
  const sockets = new Set<unknown>()
  const app = await startReplica(t, 'app', (incoming, response) => {
    sockets.add(incoming.socket)
    if (incoming.url === '/echo') return incoming.pipe(response)
    if (incoming.url === '/events') return response.write('data: 1\n\n')
    response.end('ok')
  })
  app.server.on('upgrade', (_incoming, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n')
    socket.pipe(socket)
  })
  await nginx.apply('app', { endpoints: [app.endpoint] })
  for (let index = 0; index < 20; index += 1) assert.equal((await get(`${nginx.url}/app/`)).text, 'ok')
  assert.ok(sockets.size <= 4, `20 requests came over ${sockets.size} connections of two workers`)

  const socket = connect(nginx.port, '127.0.0.1')
  let heard = ''
  socket.on('data', (chunk) => (heard += chunk))
  t.after(() => socket.destroy())
  socket.write('GET /app/ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
  await waitFor(() => heard.includes('101 Switching'), { what: 'the upgrade' })
  socket.write('hello')
  await waitFor(() => heard.endsWith('hello'), { what: 'the echo' })
  // A change does not cut it, and what it is connected to is told to be in use by nobody knows how many.
  const other = await startReplica(t, 'other')
  await nginx.apply('app', { endpoints: [other.endpoint], draining: [app.endpoint] })
  assert.equal((await get(`${nginx.url}/app/`)).text, 'other')
  socket.write(' again')
  await waitFor(() => heard.endsWith('again'), { what: 'the echo after a reload' })
  const [, draining] = (await nginx.status('app'))?.endpoints ?? []
  assert.deepEqual(draining, { id: 'app', state: 'draining' })
  socket.destroy()
  await waitFor(async () => (await nginx.status('app'))?.endpoints[1]?.activeConnections === 0, { what: 'the drain' })

  await nginx.apply('app', { endpoints: [app.endpoint] })
  const events = await fetch(`${nginx.url}/app/events`)
  const reader = events.body?.getReader()
  assert.equal(new TextDecoder().decode((await reader?.read())?.value), 'data: 1\n\n')
  await reader?.cancel()
  const body = 'x'.repeat(3_000_000)
  const echoed = await fetch(`${nginx.url}/app/echo`, { method: 'POST', body })
  assert.equal((await echoed.text()).length, body.length)
})

test('a request is repeated where that is safe, and nowhere else', real, async (t) => {
  const nginx = await startNginx(t)
  let broken = 0
  const good = await startReplica(t, 'good')
  const breaking = await startReplica(t, 'breaking', (incoming) => {
    broken += 1
    incoming.socket.destroy()
  })
  const refusing: Endpoint = { id: 'refusing', host: '127.0.0.1', port: await freePort() }
  await nginx.apply('app', { endpoints: [good.endpoint, refusing] })
  for (let index = 0; index < 10; index += 1)
    for (const method of ['GET', 'POST'])
      assert.equal((await get(`${nginx.url}/app/`, {}, method)).text, 'good', `${method}: not a byte of it was sent`)
  await nginx.apply('app', { endpoints: [breaking.endpoint, good.endpoint] })
  for (let index = 0; index < 6; index += 1) assert.equal((await get(`${nginx.url}/app/`)).text, 'good')
  assert.ok(broken > 0)
  broken = 0
  await nginx.apply('app', { endpoints: [breaking.endpoint, refusing] })
  const post = await get(`${nginx.url}/app/`, {}, 'POST')
  assert.deepEqual([post.status, broken], [502, 1])
  await waitFor(
    async () => {
      const found = await nginx.signals()
      return found.some(({ id, failed }) => id === 'breaking' && failed > 0)
    },
    { what: 'a signal of what failed' },
  )
})

test(
  'many apps at once are few changes, the same again is none, and a restart of the sandbox changes nothing',
  real,
  async (t) => {
    const nginx = await startNginx(t)
    const replica = await startReplica(t, 'r')
    const endpoints = [replica.endpoint]
    const names = Array.from({ length: 30 }, (_, index) => `app-${index}`)
    const upstreams = await Promise.all(names.map((app) => nginx.apply(app, { endpoints })))
    for (const app of names) assert.equal((await get(`${nginx.url}/${app}/`)).status, 200, app)
    assert.ok(nginx.reloads() <= 6, `${nginx.reloads()} reloads for 30 apps`)
    const before = nginx.reloads()
    await Promise.all(upstreams.map(({ app, ...rest }) => nginx.apply(app, rest)))
    assert.equal(nginx.reloads(), before)

    const pid = nginx.plugins.show('nginx').pid ?? 0
    const { pid: server } = await nginx.server()
    process.kill(pid, 'SIGKILL')
    await waitFor(() => nginx.plugins.show('nginx').state !== 'serving', { everyMs: 1 })
    assert.equal((await get(`${nginx.url}/app-7/`)).status, 200, 'nginx does not need the plugin')
    await waitFor(() => nginx.plugins.show('nginx').state === 'serving', { what: 'the plugin to be back' })
    const status = await waitFor(() => nginx.status('app-7').catch(() => undefined), { what: 'its status' })
    assert.equal(status?.endpoints.length, 1)
    await nginx.apply('app-7', { endpoints })
    assert.equal(nginx.reloads(), before)
    assert.equal((await nginx.server()).pid, server, 'it is the same nginx')
    await nginx.remove('app-7')
    assert.deepEqual([(await get(`${nginx.url}/app-7/`)).status, (await get(`${nginx.url}/app-8/`)).status], [404, 200])
  },
)

test('a killed nginx is back with all it had, and leaves no worker behind', real, async (t) => {
  const nginx = await startNginx(t)
  const replica = await startReplica(t, 'r')
  await nginx.apply('app', { endpoints: [replica.endpoint] })
  const { pid } = await nginx.server()
  process.kill(pid ?? 0, 'SIGKILL')
  await waitFor(
    async () => {
      const now = await nginx.server()
      return now.isRunning && now.pid !== pid && now.processes === 3
    },
    { timeoutMs: 10_000, what: 'another nginx' },
  )
  await waitFor(async () => (await get(`${nginx.url}/app/`).catch(() => undefined))?.status === 200)
  assert.ok(!isAlive(pid ?? 0))
  await nginx.plugins.disable('nginx')
  await waitFor(async () => (await get(`${nginx.url}/app/`).catch(() => undefined)) === undefined)
  assert.equal((await nginx.server()).isRunning, false, 'disabled, it ends')
})

test('what nginx cannot do is told in its own words, and what was live stays live', real, async (t) => {
  const holder = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => holder.once('listening', resolve))
  const taken = (holder.address() as { port: number }).port
  t.after(() => new Promise((resolve) => holder.close(resolve)))
  const nginx = await startNginx(t)
  const replica = await startReplica(t, 'r')
  const endpoints = [replica.endpoint]
  await nginx.apply('app', { endpoints })
  await nginx.plugins.configure('nginx', { ...nginx.settings, port: taken })
  await assert.rejects(nginx.apply('two', { endpoints }), new RegExp(`bind\\(\\) to 127\\.0\\.0\\.1:${taken} failed`))
  assert.equal((await get(`${nginx.url}/app/`)).status, 200, 'the generation before is live')
  assert.equal((await get(`${nginx.url}/two/`)).status, 404)
  await nginx.plugins.configure('nginx', nginx.settings)
  await nginx.apply('two', { endpoints })
  assert.equal((await get(`${nginx.url}/two/`)).status, 200)
})

test('a port that is taken at the first start is said, and once it is free nginx comes up', real, async (t) => {
  const port = await freePort()
  const holder = createServer().listen(port, '127.0.0.1')
  await new Promise((resolve) => holder.once('listening', resolve))
  t.after(() => void holder.close())
  const nginx = await startNginx(t, { port })
  const replica = await startReplica(t, 'r')
  await assert.rejects(
    nginx.apply('app', { endpoints: [replica.endpoint] }),
    /nginx did not start: .*Address already in use/,
  )
  await new Promise((resolve) => holder.close(resolve))
  await nginx.apply('app', { endpoints: [replica.endpoint] })
  assert.equal((await get(`${nginx.url}/app/`)).text, 'r')
})

test(
  'traffic is measured per app from the first byte, signals tell of replicas, and the log stays small',
  real,
  async (t) => {
    const nginx = await startNginx(t)
    const slow = await startReplica(t, 'slow', (_incoming, response) => void setTimeout(() => response.end('late'), 60))
    await nginx.apply('slow', { endpoints: [slow.endpoint] })
    await nginx.apply('still', { endpoints: [slow.endpoint] })
    await nginx.metrics()
    const load = startLoad(t, `${nginx.url}/slow/`, 50)
    await waitFor(() => load.sent() > 100)
    await load.stop()
    const samples = await waitFor(
      async () => {
        const found = await nginx.metrics()
        return found.some(({ metric }) => metric === 'latencyP50Ms') ? found : undefined
      },
      { what: 'latencies' },
    )
    const value = (app: string, metric: string) =>
      samples.find((one) => one.app === app && one.metric === metric)?.value
    assert.ok(Number(value('slow', 'rps')) > 10, `rps ${value('slow', 'rps')}`)
    assert.ok(Number(value('slow', 'latencyP50Ms')) >= 58, `p50 ${value('slow', 'latencyP50Ms')}`)
    assert.equal(value('slow', 'errorPercent'), 0)
    assert.deepEqual([value('still', 'rps'), value('still', 'latencyP95Ms')], [0, undefined])
    const [signal] = await nginx.signals()
    assert.ok(signal?.id === 'slow' && signal.answered > 50 && signal.failed === 0, JSON.stringify(signal))
    await appendFile(join(nginx.dir, 'access.log'), `${'x'.repeat(99)}\n`.repeat(180_000))
    await nginx.metrics()
    await waitFor(
      async () => ((await stat(join(nginx.dir, 'access.log')).catch(() => undefined))?.size ?? 99e9) < 1e6,
      {
        what: 'a new log',
      },
    )
    assert.equal((await get(`${nginx.url}/slow/`)).text, 'late')
  },
)

test(
  'EXEC-02: another nginx on the disk is not run until it was agreed to, and the way to do that is told',
  real,
  async (t) => {
    const dir = await tempDir(t)
    await chmod(dir, 0o755)
    const path = join(dir, 'nginx')
    await copyFile(nginxPath ?? '', path)
    await chmod(path, 0o755)
    const nginx = await startNginx(t, { path })
    const replica = await startReplica(t, 'r')
    const endpoints = [replica.endpoint]
    await nginx.apply('app', { endpoints })
    const { pid } = await nginx.server()
    // As a package is upgraded: another file under the name.
    await copyFile(path, `${path}.new`)
    await appendFile(`${path}.new`, 'other')
    await rename(`${path}.new`, path)
    await assert.rejects(nginx.apply('two', { endpoints }), /orchestry plugin approve @orchestry\/nginx/)
    assert.equal((await get(`${nginx.url}/app/`)).text, 'r')
    await nginx.plugins.approve('nginx')
    await nginx.apply('two', { endpoints })
    assert.equal((await get(`${nginx.url}/two/`)).text, 'r')
    assert.equal((await nginx.server()).pid, pid, 'the one that works is not ended for it')
    await assert.rejects(nginx.plugins.approve('nginx'), { code: 'ORC_PLUGIN_NOTHING_PENDING' })
  },
)

test('under load no change costs a request', real, async (t) => {
  const nginx = await startNginx(t)
  const [a, b] = [await startReplica(t, 'a'), await startReplica(t, 'b')]
  await nginx.apply('app', { endpoints: [a.endpoint] })
  const load = startLoad(t, `${nginx.url}/app/`, 200)
  await waitFor(() => load.sent() > 20)
  for (let index = 0; index < 8; index += 1)
    await nginx.apply(
      'app',
      index % 2 === 0 ? { endpoints: [a.endpoint, b.endpoint] } : { endpoints: [b.endpoint], draining: [a.endpoint] },
    )
  const { failures, sent, longestGapMs } = await load.stop()
  t.diagnostic(
    `${nginx.reloads()} reloads, ${failures.length} of ${sent} requests failed, longest gap ${Math.round(longestGapMs)} ms`,
  )
  assert.deepEqual(failures, [])
})

test('a replica that dies costs no request of another app', real, async (t) => {
  const nginx = await startNginx(t)
  const app = await startReplica(t, 'app')
  const left = await startReplica(t, 'left')
  await nginx.apply('app', { endpoints: [app.endpoint] })
  await nginx.apply('other', { endpoints: [left.endpoint] })
  const loads = [1, 2, 3].map(() => startLoad(t, `${nginx.url}/app/`, 150))
  for (let round = 0; round < 8; round += 1) {
    const dying = await startReplica(t, `dying-${round}`)
    await nginx.apply('other', { endpoints: [left.endpoint, dying.endpoint] })
    await dying.stop()
    // Gone without having been drained.
    await nginx.apply('other', { endpoints: [left.endpoint] })
  }
  const results = await Promise.all(loads.map((load) => load.stop()))
  assert.deepEqual(
    results.flatMap(({ failures }) => failures),
    [],
  )
})

test('an nginx that runs already takes its part from a directory, and others reload it', real, async (t) => {
  const dir = await tempDir(t)
  const place = {
    dir: join('/tmp', `orchestry-nginx-${process.pid}`),
    logs: join('/tmp', `orchestry-nginx-logs-${process.pid}`),
  }
  for (const folder of Object.values(place)) {
    await mkdir(folder, { recursive: true })
    await chmod(folder, 0o777)
    t.after(() => removeDir(folder))
  }
  const conf = join(dir, 'theirs.conf')
  const theirPort = await freePort()
  await writeFile(
    conf,
    `daemon off; pid ${JSON.stringify(join(dir, 'pid'))}; error_log stderr;
     events { worker_connections 512; }
     http { server_tokens on; sendfile on; keepalive_timeout 10; access_log off; include ${place.dir}/*.conf;
       server { listen 127.0.0.1:${theirPort}; location / { return 200 theirs; } } }`,
  )
  const theirs = spawn(nginxPath ?? '', ['-c', conf, '-e', 'stderr'], { stdio: 'ignore' })
  t.after(() => theirs.kill('SIGTERM'))
  await waitFor(async () => (await get(`http://127.0.0.1:${theirPort}/`).catch(() => undefined))?.text === 'theirs')
  // As a unit of systemd does that watches the directory.
  let seen = ''
  const watch = setInterval(async () => {
    const now = await readFile(join(place.dir, 'orchestry.conf'), 'utf8').catch(() => '')
    if (now !== seen) theirs.kill('SIGHUP')
    seen = now
  }, 50)
  t.after(() => clearInterval(watch))
  const nginx = await startNginx(t, { existing: { dir: place.dir, logDir: place.logs } })
  const replica = await startReplica(t, 'r')
  await nginx.apply('app', { endpoints: [replica.endpoint] })
  assert.equal((await get(`${nginx.url}/app/`)).text, 'r')
  assert.equal((await get(`http://127.0.0.1:${theirPort}/`)).text, 'theirs')
  assert.equal((await nginx.server()).isRunning, false, 'none of our own was started')
  const status = await nginx.status('app')
  assert.deepEqual(status?.endpoints, [{ id: 'r', state: 'serving' }])
  await nginx.metrics()
  await get(`${nginx.url}/app/`)
  await waitFor(async () => (await nginx.metrics()).some(({ metric }) => metric === 'latencyP50Ms'), {
    what: 'metrics',
  })
})
