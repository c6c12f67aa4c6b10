import assert from 'node:assert/strict'
import { createServer, request as httpRequest, type ServerResponse } from 'node:http'
import { after, before, describe, it } from 'node:test'
import { createRegistryAuth } from '../../runtime/drivers/docker-registries.ts'
import type { Driver } from '../../runtime/drivers/driver.ts'
import {
  buildImage,
  type DockerEngine,
  dockerSkip,
  importBusybox,
  startDockerEngine,
} from '../support/docker-engine.ts'
import { credentials, type Registry, registrySkip, startRegistry } from '../support/docker-registry.ts'
import { freePort } from '../support/proxy.ts'
import { waitFor } from '../support/wait-for.ts'
import { openDriver, request } from './docker-harness.ts'

/** In front of a registry: holds back what layers are made of until it is told to let them through. */
async function startTurnstile(test: { after(run: () => void): void }, target: string) {
  const port = await freePort()
  let waiting: (() => void)[] = []
  let isOpen = false
  const pass = (path: string, method: string, headers: object, response: ServerResponse) => {
    const asked = httpRequest(`http://${target}${path}`, { method, headers: { ...headers } }, (answer) => {
      response.writeHead(answer.statusCode ?? 500, answer.headers)
      answer.pipe(response)
    })
    asked.on('error', () => response.destroy())
    asked.end()
  }
  const server = createServer(({ url = '', method = 'GET', headers }, response) => {
    const go = () => pass(url, method, headers, response)
    if (isOpen || !url.includes('/blobs/')) go()
    else waiting.push(go)
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  test.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return {
    host: `127.0.0.1:${port}`,
    held: () => waiting.length,
    open: () => {
      isOpen = true
      for (const go of waiting) go()
      waiting = []
    },
  }
}

describe('docker driver: images', { skip: dockerSkip || registrySkip, concurrency: 4 }, () => {
  let engine: DockerEngine
  let open: Registry
  let closed: Registry
  let digest: string
  const endings: (() => Promise<void>)[] = []
  before(async () => {
    const test = { after: (run: () => Promise<void>) => endings.push(run) }
    engine = await startDockerEngine(test)
    ;[open, closed] = await Promise.all([startRegistry(test), startRegistry(test, { isClosed: true })])
    await importBusybox(engine)
    for (const name of ['once', 'slow', 'shared', 'left']) {
      await buildImage(engine, `test/${name}`, `FROM test/busybox\nLABEL name=${name}\n`)
      await open.push(engine, `test/${name}`, `${name}:1`)
      await engine.docker.getImage(`test/${name}`).remove()
    }
    digest = await open.push(engine, 'test/busybox', 'acme/shop:1')
    await closed.push(engine, 'test/busybox', 'shop:1')
  })
  after(async () => {
    for (const end of endings.reverse()) await end()
  })

  const prepare = async (
    driver: Driver,
    image: string,
    options: { app?: string; signal?: AbortSignal; version?: string } = {},
  ) => {
    const { app = 'shop', version = 'v1', signal = new AbortController().signal } = options
    const lines: string[] = []
    await driver.prepare?.(request('a', { image, app, version }), { onProgress: (line) => lines.push(line), signal })
    return lines
  }
  const isThere = (image: string) =>
    engine.docker
      .getImage(image)
      .inspect()
      .then(
        () => true,
        () => false,
      )

  it('pulls what is missing, tells how far it is, and asks no registry for what is there', async (t) => {
    const { driver } = openDriver(t, engine)
    const image = `${open.host}/once:1`
    const requests = async () => (await open.requests()).filter((line) => line.includes('/once/')).length
    const [first] = await prepare(driver, image)
    assert.match(first ?? '', /^pulling 127\.0\.0\.1:\d+\/once:1/)
    assert.ok(await isThere(image))
    const asked = await requests()
    assert.ok(asked > 0)
    assert.deepEqual(await prepare(driver, image, { version: 'v2' }), [])
    assert.equal(await requests(), asked)
    const instance = await driver.start(request('b', { image, command: ['busybox', 'sleep', '60'] }))
    assert.ok(instance.isRunning)
  })

  it('pulls the very image that a digest names', async (t) => {
    const { driver } = openDriver(t, engine)
    const image = `${open.host}/acme/shop@${digest}`
    await prepare(driver, image)
    assert.ok(await isThere(image))
    await assert.rejects(prepare(driver, `${open.host}/acme/shop@sha256:${'0'.repeat(64)}`, { version: 'v3' }), {
      code: 'ORC_DRIVER_START_FAILED',
      message: /has no digest sha256:0+ of it/,
    })
  })

  it('makes one pull of many requests for the same, and gives it up when nobody waits any more', async (t) => {
    const { driver } = openDriver(t, engine)
    const turnstile = await startTurnstile(t, open.host)
    const image = `${turnstile.host}/shared:1`
    const impatient = new AbortController()
    const waiters = Array.from({ length: 10 }, (_, index) =>
      prepare(driver, image, index === 0 ? { signal: impatient.signal } : {}),
    )
    const left = assert.rejects(waiters[0] ?? Promise.resolve(), /enough/)
    await waitFor(() => turnstile.held() > 0)
    impatient.abort(new Error('enough'))
    await left
    turnstile.open()
    await Promise.all(waiters.slice(1))
    const asked = (await open.requests()).filter((line) => line.startsWith('GET /v2/shared/manifests/'))
    assert.equal(new Set(asked).size, asked.length, 'one after the other asked for the same manifest')

    const gate = await startTurnstile(t, open.host)
    const alone = new AbortController()
    const pulling = assert.rejects(prepare(driver, `${gate.host}/left:1`, { signal: alone.signal }), /no longer wanted/)
    await waitFor(() => gate.held() > 0)
    alone.abort(new Error('no longer wanted'))
    await pulling
    gate.open()
    await prepare(driver, `${gate.host}/left:1`)
    assert.ok(await isThere(`${gate.host}/left:1`))
  })

  it('is not stopped by slow pulls of others from finding what is there', async (t) => {
    const { driver } = openDriver(t, engine)
    const turnstile = await startTurnstile(t, open.host)
    const giveUp = new AbortController()
    const slow = ['a', 'b', 'c', 'd', 'e'].map(async (app) =>
      prepare(driver, `${turnstile.host}/slow:1`, { app, version: app, signal: giveUp.signal }).catch(() => undefined),
    )
    await waitFor(() => turnstile.held() > 0)
    await prepare(driver, 'test/busybox', { app: 'quick' })
    giveUp.abort(new Error('enough'))
    await Promise.all(slow)
  })

  const registries = () => ({ [closed.host]: { username: credentials.username, secret: 'TOKEN', apps: ['shop'] } })
  const authOf = (password: string) =>
    createRegistryAuth({ registries: registries(), secretOf: (name) => (name === 'TOKEN' ? password : undefined) })

  it('pulls with the credentials that the app may use', async (t) => {
    const { driver } = openDriver(t, engine, { authOf: authOf(credentials.password) })
    await prepare(driver, `${closed.host}/shop:1`)
    assert.ok(await isThere(`${closed.host}/shop:1`))
  })

  it('says how to give credentials where they are missing or wrong, and never what they were', async (t) => {
    const image = () => `${closed.host}/other:1`
    for (const [app, password] of [
      ['blog', credentials.password],
      ['shop', 'wrong-password'],
    ] as const) {
      const { driver } = openDriver(t, engine, { authOf: authOf(password) })
      await assert.rejects(prepare(driver, image(), { app }), (error: Error & { code?: string }) => {
        assert.equal(error.code, 'ORC_DRIVER_START_FAILED')
        assert.match(error.message, /ORCHESTRY_REGISTRIES=.*orchestry secret set/)
        assert.ok(!error.message.includes(password))
        return true
      })
    }
  })

  it('says what is not there, and who cannot be reached', async (t) => {
    const { driver } = openDriver(t, engine)
    const nobody = `127.0.0.1:${await freePort()}`
    const rows = [
      [`${open.host}/acme/shop:9`, 'ORC_DRIVER_START_FAILED', /has no tag 9 of it/],
      [`${open.host}/acme/nothing:1`, 'ORC_DRIVER_START_FAILED', /has no (such image|tag 1 of it)/],
      [`${nobody}/shop:1`, 'ORC_DRIVER_START_FAILED', /registry 127\.0\.0\.1:\d+ cannot be reached/],
      ['../containers/x', 'ORC_DRIVER_START_FAILED', /is no reference to an image/],
      [`sha256:${'0'.repeat(64)}`, 'ORC_DRIVER_START_FAILED', /an id cannot be pulled/],
    ] as const
    for (const [image, code, message] of rows)
      await assert.rejects(prepare(driver, image, { version: image }), { code, message })
  })
})
