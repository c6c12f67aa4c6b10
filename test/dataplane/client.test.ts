import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, readdir, readFile, rm, stat } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import type { Upstream } from '@orchestry/sdk'
import type { OrchestryError } from '../../runtime/errors.ts'
import { makeDataplane, pidOf } from '../support/dataplane.ts'
import { startReplica, type TestReplica } from '../support/proxy.ts'
import { tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'

const of = (replica: TestReplica, changes: Partial<Upstream> = {}): Upstream => ({
  app: 'shop',
  generation: 1,
  route: { path: '/shop/' },
  endpoints: [replica.endpoint],
  draining: [],
  ...changes,
})
const get = async (url: string) => {
  const response = await fetch(url)
  return { status: response.status, body: await response.text() }
}
const isGone = (pid: number) => {
  try {
    process.kill(pid, 0)
    return false
  } catch {
    return true
  }
}

test('from start to stop: serves, tells status and traffic, and leaves no process', async (t) => {
  const { dataplane, dataDir, url, pid } = await makeDataplane(t)
  assert.equal(dataplane.address(), undefined)
  await assert.rejects(dataplane.traffic(), { code: 'ORC_DATAPLANE_UNAVAILABLE' })
  await dataplane.start()
  await dataplane.start()
  const replica = await startReplica(t, 'a')
  await dataplane.apply(of(replica))
  assert.deepEqual(await get(`${url()}/shop/`), { status: 200, body: 'a' })
  assert.deepEqual(await dataplane.status('shop'), {
    app: 'shop',
    generation: 1,
    endpoints: [{ id: 'a', state: 'serving', activeConnections: 0 }],
    url: url(),
  })
  assert.equal(await dataplane.status('nobody'), null)
  assert.ok((await dataplane.traffic()).some(({ app, metric }) => app === 'shop' && metric === 'latencyP95Ms'))
  assert.equal((await stat(join(dataDir, 'proxy.sock'))).mode & 0o777, 0o600)
  assert.match(await readFile(join(dataDir, 'proxy.log'), 'utf8'), /proxy started/)
  await dataplane.remove('shop')
  await dataplane.remove('shop')
  assert.equal((await get(`${url()}/shop/`)).status, 404)
  const process = await pid()
  await dataplane.stop({ keep: false })
  await dataplane.stop({ keep: false })
  await waitFor(() => isGone(process))
  assert.equal(dataplane.address(), undefined)
  await assert.rejects(stat(join(dataDir, 'proxy.sock')), { code: 'ENOENT' })
})

test('an older generation does not replace a newer one; the same again changes nothing', async (t) => {
  const { dataplane, url } = await makeDataplane(t)
  await dataplane.start()
  const [old, fresh] = await Promise.all([startReplica(t, 'old'), startReplica(t, 'fresh')])
  await dataplane.apply(of(fresh, { generation: 7 }))
  await dataplane.apply(of(old, { generation: 6 }))
  assert.equal((await get(`${url()}/shop/`)).body, 'fresh')
  await dataplane.apply(of(fresh, { generation: 7 }))
  assert.equal((await dataplane.status('shop'))?.generation, 7)
})

test('a proxy process that is killed is back in a moment, on the same port, and knows every app', async (t) => {
  const { dataplane, dataDir, events, url, pid } = await makeDataplane(t)
  await dataplane.start()
  const replica = await startReplica(t, 'a')
  await dataplane.apply(of(replica))
  await dataplane.apply(of(replica, { app: 'blog', route: { path: '/blog/' } }))
  let restarts = 0
  dataplane.onRestarted(() => {
    restarts += 1
  })
  // The first process of a data directory compiles its code, and leaves the result for those after it.
  const cache = join(dataDir, 'compile-cache')
  await waitFor(async () => (await readdir(cache, { recursive: true })).length > 20)
  const [before, address] = [await pid(), url()]
  const killedAt = performance.now()
  process.kill(before, 'SIGKILL')
  await waitFor(async () => (await get(`${address}/shop/`)).status === 200, { everyMs: 5 })
  t.diagnostic(`serving again after ${Math.round(performance.now() - killedAt)} ms`)
  assert.equal((await get(`${address}/blog/`)).body, 'a')
  await waitFor(() => restarts === 1)
  assert.notEqual(await pid(), before)
  assert.deepEqual(
    events.map(({ type }) => type),
    ['dataplane.restarted'],
  )
  process.kill(await pid(), 'SIGKILL')
  await waitFor(() => restarts === 2)
  assert.equal((await get(`${address}/shop/`)).status, 200)
})

test('a proxy process that no longer answers is replaced', async (t) => {
  const { dataplane, url, pid } = await makeDataplane(t)
  await dataplane.start()
  await dataplane.apply(of(await startReplica(t, 'a')))
  const deaf = await pid()
  const restarted = new Promise<void>((resolve) => dataplane.onRestarted(resolve))
  process.kill(deaf, 'SIGSTOP')
  await restarted
  assert.ok(isGone(deaf))
  assert.equal((await get(`${url()}/shop/`)).status, 200)
})

/** Another controller, in a process of its own. */
async function controller(
  t: TestContext,
  dataDir: string,
  upstream: Upstream,
): Promise<{ child: ChildProcess; url: string }> {
  const script = join(import.meta.dirname, '../support/dataplane-controller.ts')
  const child = spawn(
    process.execPath,
    ['--conditions=@orchestry/source', script, dataDir, '127.0.0.1', '0', JSON.stringify(upstream)],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  t.after(() => child.kill('SIGKILL'))
  const died = once(child, 'exit').then(() => Promise.reject(new Error('the controller ended')))
  died.catch(() => {})
  const [line] = (await Promise.race([once(createInterface(child.stdout), 'line'), died])) as [string]
  const { host, port } = JSON.parse(line) as { host: string; port: number }
  return { child, url: `http://${host}:${port}` }
}

test('traffic flows on when the controller is killed, and the next one adopts the same process', async (t) => {
  const dataDir = await tempDir(t)
  const [first, second] = await Promise.all([startReplica(t, 'first'), startReplica(t, 'second')])
  const { child, url } = await controller(t, dataDir, of(first))
  const pid = await pidOf(dataDir)
  let requests = 0
  let isOver = false
  const load = (async () => {
    while (!isOver) {
      const { status } = await get(`${url}/shop/`)
      assert.equal(status, 200)
      requests += 1
    }
  })()
  await waitFor(() => requests > 20)
  child.kill('SIGKILL')
  await once(child, 'exit')
  const after = requests
  await waitFor(() => requests > after + 20)
  const next = await makeDataplane(t, { dataDir })
  await next.dataplane.start()
  assert.equal(next.url(), url)
  assert.equal(await next.pid(), pid)
  assert.equal((await next.dataplane.status('shop'))?.generation, 1)
  await next.dataplane.apply(of(second, { generation: 2 }))
  const adopted = requests
  await waitFor(() => requests > adopted + 20)
  isOver = true
  await load
  assert.equal((await get(`${url}/shop/`)).body, 'second')
  process.kill(pid, 'SIGKILL')
  await waitFor(async () => (await get(`${url}/shop/`)).body === 'second')
})

test('keep leaves the process serving for the next controller', async (t) => {
  const first = await makeDataplane(t)
  await first.dataplane.start()
  await first.dataplane.apply(of(await startReplica(t, 'a')))
  const [url, pid] = [first.url(), await first.pid()]
  await first.dataplane.stop({ keep: true })
  assert.equal((await get(`${url}/shop/`)).body, 'a')
  const second = await makeDataplane(t, { dataDir: first.dataDir, port: Number(new URL(url).port) })
  await second.dataplane.start()
  assert.equal(await second.pid(), pid)
})

test('a process that was left behind and no longer answers does not keep the next controller from starting', async (t) => {
  const first = await makeDataplane(t)
  await first.dataplane.start()
  const [pid, port] = [await first.pid(), first.dataplane.address()?.port ?? 0]
  await first.dataplane.stop({ keep: true })
  process.kill(pid, 'SIGSTOP')
  const second = await makeDataplane(t, { dataDir: first.dataDir, port })
  await second.dataplane.start()
  assert.notEqual(await second.pid(), pid)
  await waitFor(() => isGone(pid))
})

test('a process on another address than wanted finishes what it has, and another one takes its place', async (t) => {
  const first = await makeDataplane(t)
  await first.dataplane.start()
  let answer = () => {}
  const replica = await startReplica(t, 'a', (_request, response) => {
    answer = () => response.end('late')
  })
  await first.dataplane.apply(of(replica))
  const pid = await first.pid()
  const slow = get(`${first.url()}/shop/`)
  await waitFor(async () => (await first.dataplane.status('shop'))?.endpoints[0]?.activeConnections === 1)
  await first.dataplane.stop({ keep: true })
  const second = await makeDataplane(t, { dataDir: first.dataDir, host: '127.0.0.2' })
  await second.dataplane.start()
  assert.notEqual(await second.pid(), pid)
  assert.match(second.url(), /127\.0\.0\.2/)
  answer()
  assert.deepEqual(await slow, { status: 200, body: 'late' })
  await waitFor(() => isGone(pid))
  assert.equal((await get(`${second.url()}/shop/`)).status, 404)
})

test('a port that is taken is named, with the flag that chooses another, and nothing is left running', async (t) => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  t.after(() => other.close())
  const { port } = other.address() as { port: number }
  const { dataplane, dataDir } = await makeDataplane(t, { port })
  await assert.rejects(dataplane.start(), (error: OrchestryError) => {
    assert.equal(error.code, 'ORC_CONFIG_PORT_IN_USE')
    assert.match(error.message, new RegExp(`${port}.*--proxy-port`))
    return true
  })
  await assert.rejects(pidOf(dataDir))
  assert.match(dataplane.problem() ?? '', /in use/)
  await new Promise((resolve) => other.close(resolve))
  await dataplane.start()
  assert.equal(dataplane.problem(), undefined)
})

test('an address that is not of this machine is refused with its name', async (t) => {
  const { dataplane } = await makeDataplane(t, { host: '192.0.2.1' })
  await assert.rejects(dataplane.start(), /192\.0\.2\.1.*--proxy-host/)
})

test('a data directory with a long path works: its socket lies in a folder that only we can enter', async (t) => {
  const temporary = await tempDir(t)
  const before = process.env.TMPDIR
  process.env.TMPDIR = temporary
  t.after(() => {
    if (before === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = before
  })
  const folder = join(temporary, `orchestry-${process.getuid?.()}`)
  await mkdir(folder)
  await chmod(folder, 0o755)
  const dataDir = join(await tempDir(t), 'd'.repeat(120))
  await mkdir(dataDir)
  const { dataplane, url } = await makeDataplane(t, { dataDir })
  await assert.rejects(dataplane.start(), /mode 0700/)
  await chmod(folder, 0o700)
  await dataplane.start()
  await dataplane.apply(of(await startReplica(t, 'a')))
  assert.equal((await get(`${url()}/shop/`)).body, 'a')
})

test('two data directories have two proxies', async (t) => {
  const [one, two] = await Promise.all([makeDataplane(t), makeDataplane(t)])
  await Promise.all([one.dataplane.start(), two.dataplane.start()])
  assert.notEqual(await one.pid(), await two.pid())
  assert.notEqual(one.url(), two.url())
})

test('a process whose data directory is gone belongs to nobody, and ends', async (t) => {
  const first = await makeDataplane(t)
  await first.dataplane.start()
  const pid = await first.pid()
  await first.dataplane.stop({ keep: true })
  await rm(first.dataDir, { recursive: true })
  await waitFor(() => isGone(pid), { timeoutMs: 10_000 })
})
