/** Engines that are not there, hang, are restarted or killed: nothing is forgotten, and it mends itself. */
import assert from 'node:assert/strict'
import { copyFile, mkdir } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it, type TestContext } from 'node:test'
import { createServer as createTlsServer } from 'node:tls'
import type { Driver, DriverEvent, Instance } from '../../runtime/drivers/driver.ts'
import { certificateSkip, trustedCertificate } from '../support/certificate.ts'
import {
  type DockerEngine,
  dockerSkip,
  importBusybox,
  importReplica,
  startDockerEngine,
} from '../support/docker-engine.ts'
import { freePort } from '../support/proxy.ts'
import { tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'
import { dockerHarness, openDriver, request } from './docker-harness.ts'

const sleeper = (id: string, script = 'sleep 600') =>
  request(id, { image: 'test/busybox', command: ['busybox', 'sh', '-c', script] })
const listen = (driver: Driver) => {
  const events: DriverEvent[] = []
  driver.watch((event) => events.push(event))
  return events
}
const listed = (driver: Driver) => waitFor(() => driver.list(), { timeoutMs: 30_000, everyMs: 100, what: 'a listing' })
const unavailable = (message: RegExp) => ({ code: 'ORC_DRIVER_UNAVAILABLE', message })

/** Passes connections on to the engine's socket. */
async function passOn(t: TestContext, server: Server): Promise<number> {
  t.after(() => server.close())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return typeof address === 'object' && address ? address.port : 0
}

describe('docker driver: an engine that goes away', { skip: dockerSkip }, () => {
  let engine: DockerEngine
  const endings: (() => Promise<void>)[] = []
  before(async () => {
    engine = await startDockerEngine({ after: (run) => endings.push(run) }, { liveRestore: true })
    await Promise.all([importBusybox(engine), importReplica(engine)])
  })
  after(async () => {
    for (const end of endings) await end()
  })

  const toEngine = (socket: Socket) => {
    const upstream = connect(engine.socketPath)
    socket.pipe(upstream).pipe(socket)
    for (const one of [socket, upstream]) one.on('error', () => one.destroy())
    socket.on('close', () => upstream.destroy())
    return upstream
  }

  it('says at once that there is none, and works as soon as there is one', async (t) => {
    const { driver } = openDriver(t, engine)
    await engine.stop()
    const startedAt = performance.now()
    await assert.rejects(driver.list(), unavailable(/no Docker engine (at|answers at) unix:.*is it .*running/))
    await assert.rejects(driver.start(sleeper('a')), unavailable(/nothing was forgotten/))
    await assert.rejects(driver.stop('a', { graceSeconds: 0 }), unavailable(/it is tried again/))
    assert.deepEqual(await driver.usage(['a']), new Map())
    assert.ok(performance.now() - startedAt < 2_000)
    await engine.start()
    assert.deepEqual(await listed(driver), [])
    assert.ok((await driver.start(sleeper('a'))).isRunning)
  })

  it('has a deadline for every call to one that hangs, and goes on with what it knew', async (t) => {
    const { driver } = openDriver(t, engine, { answerMs: 1_000 })
    const instance = await driver.start(sleeper('a'))
    engine.freeze()
    try {
      await assert.rejects(driver.list(), unavailable(/did not answer .* within (1|0\.5) s: it hangs/))
      await assert.rejects(driver.logs('a', { lines: 1 }), unavailable(/did not answer/))
      await assert.rejects(driver.list(), unavailable(/did not answer/))
    } finally {
      engine.thaw()
    }
    assert.deepEqual(await listed(driver), [instance])
  })

  it('loses nothing over a restart that containers outlive, and hears of what ends afterwards', async (t) => {
    const opened = openDriver(t, engine)
    const { driver } = opened
    const instance = await driver.start(sleeper('a'))
    const events = listen(driver)
    await engine.stop()
    await engine.start()
    await waitFor(() => events.some(({ type }) => type === 'resync'), { timeoutMs: 30_000 })
    assert.deepEqual(await listed(driver), [instance])
    await opened.crash(instance)
    await waitFor(() => events.some((event) => event.type === 'exited' && event.instance.id === 'a'))
    assert.equal(events.filter(({ type }) => type === 'exited').length, 1)
  })

  it('reports once what ended while nobody could tell', async (t) => {
    const opened = openDriver(t, engine)
    const { driver } = opened
    const pids: number[] = []
    for (const id of ['a', 'b']) {
      await driver.start(sleeper(id))
      const details = await engine.docker.getContainer((await opened.containerId({ id })) ?? '').inspect()
      pids.push(details.State.Pid)
    }
    const events = listen(driver)
    await engine.stop('SIGKILL')
    process.kill(pids[0] ?? 0, 'SIGKILL')
    await engine.start()
    await waitFor(() => events.some(({ type }) => type === 'resync'), { timeoutMs: 30_000 })
    const both = await listed(driver)
    const [a, b] = ['a', 'b'].map((id) => both.find((one) => one.id === id))
    assert.deepEqual([a?.isRunning, b?.isRunning], [false, true])
    assert.deepEqual(
      events.filter(({ type }) => type === 'exited').map((event) => event.type === 'exited' && event.instance),
      [a],
    )
    assert.deepEqual(await driver.list(), [b])
  })

  it('stops at last what it was asked to stop while the engine was away', async (t) => {
    const opened = openDriver(t, engine)
    const instance = await opened.driver.start(sleeper('a'))
    const events = listen(opened.driver)
    await engine.stop()
    await assert.rejects(opened.driver.stop('a', { graceSeconds: 0 }), unavailable(/tried again/))
    await engine.start()
    await waitFor(async () => opened.driver.stop('a', { graceSeconds: 0 }).then(() => true), { timeoutMs: 30_000 })
    assert.equal(await opened.isThere(instance), false)
    assert.deepEqual(
      events.filter(({ type }) => type === 'exited'),
      [],
    )
  })

  it('is spoken to over TCP, and its containers are reached over ports then', async (t) => {
    const port = await passOn(t, createServer(toEngine))
    const { driver } = openDriver(t, engine, { host: `tcp://127.0.0.1:${port}` })
    const instance = await driver.start(request('a'))
    await assertServes(instance)
    assert.equal(instance.host, '127.0.0.1')
    assert.deepEqual(await driver.list(), [instance])
    // Before the way there is closed.
    await driver.close({ keep: false })
  })

  for (const step of ['create', 'start'])
    it(`leaves nothing of a start that broke off at its answer to "${step}"`, async (t) => {
      let isBroken = true
      const server = createServer((socket) => {
        const upstream = toEngine(socket)
        socket.on('data', (chunk) => {
          if (!isBroken || !new RegExp(`^POST /\\S*/${step}[ ?]`).test(String(chunk))) return
          // The engine does what it was asked to, and nobody hears of it.
          upstream.unpipe(socket)
          isBroken = false
          setTimeout(() => socket.resetAndDestroy(), 300)
        })
      })
      const opened = openDriver(t, engine, { host: `tcp://127.0.0.1:${await passOn(t, server)}` })
      await assert.rejects(opened.driver.start(sleeper('a')), unavailable(/cannot be spoken to/))
      assert.equal(isBroken, false)
      assert.deepEqual(await opened.driver.list(), [])
      await waitFor(async () => (await opened.containerId({ id: 'a' })) === undefined)
      assert.ok((await opened.driver.start(sleeper('b'))).isRunning)
      await opened.driver.close({ keep: false })
    })

  it('is spoken to over TLS with a certificate of our own', { skip: certificateSkip }, async (t) => {
    const { certFile, keyFile, cert, key } = await trustedCertificate(t, 'localhost')
    const certDir = join(await tempDir(t), 'certificates')
    await mkdir(certDir)
    await Promise.all([
      copyFile(certFile, join(certDir, 'ca.pem')),
      copyFile(certFile, join(certDir, 'cert.pem')),
      copyFile(keyFile, join(certDir, 'key.pem')),
    ])
    const options = { cert, key, ca: cert, requestCert: true, rejectUnauthorized: true }
    const port = await passOn(t, createTlsServer(options, toEngine))
    const host = `tcp://localhost:${port}`
    assert.deepEqual(await openDriver(t, engine, { host, certDir }).driver.list(), [])
    await assert.rejects(openDriver(t, engine, { host }).driver.list(), unavailable(/cannot be spoken to/))
    const elsewhere = openDriver(t, engine, { host, certDir: '/nowhere' })
    await assert.rejects(elsewhere.driver.list(), unavailable(/certificates .*\/nowhere/))
  })
})

async function assertServes({ id, host, port }: Instance): Promise<void> {
  const answer = await waitFor(async () => (await fetch(`http://${host}:${port}/`)).json())
  assert.equal((answer as { instance: string }).instance, id)
}

describe('docker driver: an engine that takes its containers with it', { skip: dockerSkip, concurrency: 2 }, () => {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const)
    it(`reports every end once when it is ended with ${signal}, and starts anew`, async (t) => {
      const engine = await startDockerEngine(t)
      await importBusybox(engine)
      const harness = dockerHarness(engine)
      const driver = harness.open()
      t.after(() => driver.close({ keep: false }))
      const events = listen(driver)
      await Promise.all(
        ['a', 'b'].map((id) => driver.start(sleeper(id, 'trap "exit 5" TERM; while :; do sleep 0.05; done'))),
      )
      await engine.stop(signal)
      await engine.start()
      await waitFor(() => events.some(({ type }) => type === 'resync'), { timeoutMs: 30_000 })
      const ended: Instance[] = []
      await waitFor(
        async () => ended.push(...(await listed(driver)).filter(({ isRunning }) => !isRunning)) && ended.length >= 2,
      )
      assert.deepEqual(ended.map(({ id }) => id).sort(), ['a', 'b'])
      const told = events.flatMap((event) => (event.type === 'exited' ? [event.instance.id] : []))
      assert.deepEqual(told.sort(), ['a', 'b'])
      assert.deepEqual(await driver.list(), [])
      assert.ok((await driver.start(sleeper('c'))).isRunning)
    })
})

describe('docker driver: no engine', () => {
  const without = (host: string) => dockerHarness({ host } as DockerEngine).open({ answerMs: 1_000 })
  it('is told in words for each way to have none', async (t) => {
    const dir = await tempDir(t)
    const rows = [
      [`unix://${dir}/docker.sock`, /no Docker engine at unix:\/\/.*ORCHESTRY_DOCKER_HOST/],
      [`tcp://127.0.0.1:${await freePort()}`, /No Docker engine answers at tcp:/],
      ['ssh://somebody@engine', /none that can be used: expected unix:\/\/\/path or tcp:\/\/host:port/],
      ['tcp://no-such-host.invalid:2375', /is not known/],
    ] as const
    for (const [host, message] of rows) {
      const driver = without(host)
      await assert.rejects(driver.list(), unavailable(message))
      await driver.close({ keep: false })
    }
  })

  it('is told when something else answers', async (t) => {
    const port = await passOn(
      t,
      createServer((socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}')),
    )
    await assert.rejects(without(`tcp://127.0.0.1:${port}`).list(), unavailable(/is no Docker engine/))
    const old = await passOn(
      t,
      createServer((socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 21\r\n\r\n{"ApiVersion":"1.39"}')),
    )
    await assert.rejects(
      without(`tcp://127.0.0.1:${old}`).list(),
      unavailable(/1\.41 is needed, which is Docker 20\.10 or newer/),
    )
    const mute = await passOn(
      t,
      createServer(() => undefined),
    )
    await assert.rejects(
      without(`tcp://127.0.0.1:${mute}`).list(),
      unavailable(/did not answer "GET \/version" within 0\.5 s/),
    )
  })
})
