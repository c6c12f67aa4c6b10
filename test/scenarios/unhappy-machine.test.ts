/** What a machine does to those who run on it: engines that are away or hang, full disks, taken ports, a meddled nginx. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import { type DockerEngine, dockerSkip, mountDisk, startDockerEngine } from '../support/docker-engine.ts'
import { explainFailures, type LoadRow, renderLoadTable, type UnderLoad, underLoad } from '../support/load-table.ts'
import { importReleases, type LoadWorld, nginxSkip, startWorld } from '../support/load-world.ts'
import { newestFirst } from '../support/newest-first.ts'
import { freePort } from '../support/proxy.ts'
import { removeDir, tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'

const run = promisify(execFile)
const skip = dockerSkip || nginxSkip
const cleanup = newestFirst({ after })
const rows: LoadRow[] = []
after(() => process.stdout.write(`${renderLoadTable(rows)}\n`))
let engine: DockerEngine | undefined
let made: LoadWorld | undefined
const here = () => {
  assert.ok(made && engine, 'nothing was started')
  return { world: made, engine }
}

/** Under load on an app that is not touched, and loses nothing. */
async function unharmed(what: string, action: (load: UnderLoad) => Promise<unknown>): Promise<void> {
  const row = await underLoad(cleanup, what, here().world.clients('beside'), action)
  rows.push(row)
  assert.deepEqual(explainFailures(row), [])
}

async function says(world: LoadWorld, app: string, words: RegExp): Promise<void> {
  const isSaid = async () => {
    const { problems } = await world.status(app)
    if (words.test(problems.join(' '))) return true
    throw new Error(`its problems are: ${problems.join(' ')}`)
  }
  await waitFor(isSaid, { timeoutMs: 40_000, everyMs: 50, what: `${app} to say ${words}` })
}
async function readyzSays(world: LoadWorld, words: RegExp): Promise<void> {
  const isSaid = async () => {
    const response = await fetch(`${world.orchestry.url}/readyz`)
    const text = await response.text()
    if (response.status === 503 && words.test(text)) return true
    throw new Error(`${response.status}: ${text}`)
  }
  await waitFor(isSaid, { timeoutMs: 40_000, everyMs: 100, what: `/readyz to say ${words}` })
}
const isReady = ({ orchestry }: LoadWorld) =>
  waitFor(async () => (await fetch(`${orchestry.url}/readyz`)).status === 200, {
    timeoutMs: 40_000,
    everyMs: 100,
    what: '/readyz to be well',
  })

/** Leaves not a byte of the disk. Returns what gives it back. */
async function fillDisk(dir: string): Promise<() => Promise<void>> {
  const path = join(dir, 'filler')
  await run('dd', ['if=/dev/zero', `of=${path}`, 'bs=64k']).catch(() => {})
  assert.ok((await stat(path)).size > 0)
  return () => rm(path)
}

test('no engine is there: it is said, processes run, and containers come when the engine does', { skip }, async () => {
  engine = await startDockerEngine(cleanup, { liveRestore: true, diskMb: 700 })
  await importReleases(engine)
  await engine.stop()
  await rm(engine.socketPath, { force: true })
  made = await startWorld(cleanup, { engine, isNginx: true })
  await made.apply('late', { replicas: 1 })
  await made.apply('beside', { driver: 'process', replicas: 2 })
  await made.settled('beside', 2)
  await says(made, 'late', /There is no Docker engine at unix:.+ORCHESTRY_DOCKER_HOST/)
  await readyzSays(made, /no Docker engine at/)
  await unharmed('the engine comes at last', async () => {
    await engine?.start()
    await made?.settled('late', 1, { timeoutMs: 60_000 })
  })
  await isReady(made)
  assert.deepEqual((await made.events('late', 'instance.failed')).length, 0, 'the app was not to blame')
})

test('an engine that hangs: what runs goes on, what waits is said to wait and is done when it is back', {
  skip,
}, async () => {
  const { world, engine } = here()
  const row = await underLoad(cleanup, '… containers of the engine that hangs', world.clients('late'), () =>
    unharmed('the engine hangs and comes back', async () => {
      engine.freeze()
      try {
        await world.scale('late', 2)
        await says(world, 'late', /did not answer/)
        await world.scale('beside', 3)
        await world.settled('beside', 3)
      } finally {
        engine.thaw()
      }
      await world.settled('late', 2, { timeoutMs: 60_000 })
    }),
  )
  rows.push(row)
  assert.deepEqual(explainFailures(row), [])
})

test("the engine's disk is full: said so, what runs goes on, and it goes on by itself when there is room", {
  skip,
}, async () => {
  const { world, engine } = here()
  await unharmed("the engine's disk is full", async () => {
    const giveBack = await fillDisk(engine.dataRoot)
    try {
      await world.scale('late', 3)
      await says(world, 'late', /the disk of the Docker engine is full/)
      assert.equal((await world.status('late')).serving, 2)
    } finally {
      await giveBack()
    }
    await world.settled('late', 3, { timeoutMs: 90_000 })
  })
})

test('somebody writes nonsense into the configuration of nginx: the next change mends it', { skip }, async () => {
  const { world } = here()
  const path = join(world.dataDir, 'work', '@orchestry+nginx', 'nginx', 'nginx.conf')
  await unharmed('the configuration of nginx is broken by hand', async () => {
    assert.match(await readFile(path, 'utf8'), /Written by Orchestry/)
    await writeFile(path, 'http { nonsense on; }')
    await world.scale('late', 2)
    await world.settled('late', 2)
  })
  assert.match(await readFile(path, 'utf8'), /Written by Orchestry/)
})

test('nginx is killed: it is back within seconds, and only what came meanwhile is lost', { skip }, async () => {
  const { world } = here()
  const master = async () =>
    (JSON.parse(await readFile(join(world.dataDir, 'daemons', 'nginx.serve.json'), 'utf8')) as { pid: number }).pid
  const before = await master()
  let isBackMs = 0
  const row = await underLoad(cleanup, 'nginx is killed', world.clients('beside'), async (load) => {
    load.risk()
    process.kill(before, 'SIGKILL')
    await waitFor(async () => (await master()) !== before && (await world.generation()) !== '', {
      timeoutMs: 30_000,
      what: 'another nginx',
    })
    isBackMs = performance.now()
  })
  rows.push(row)
  assert.deepEqual(
    row.failures.filter(({ startedMs }) => startedMs > isBackMs + 500),
    [],
    'once it is back nothing more is lost',
  )
})

test('the port of nginx is taken: said with the port, the apps of the embedded proxy go on', { skip }, async (t) => {
  const own = newestFirst(t)
  const port = await freePort()
  const squatter = createServer().listen(port, '127.0.0.1')
  await once(squatter, 'listening')
  t.after(() => squatter.close())
  const world = await startWorld(own)
  await world.apply('plain')
  await world.settled('plain', 1)
  const row = await underLoad(own, "nginx's port is taken", world.clients('plain'), async () => {
    const config = JSON.stringify({ path: '/usr/sbin/nginx', port, statusPort: await freePort() })
    await world.orchestry.cli('plugin', 'config', 'nginx', config)
    const body = { ...world.spec('web'), ingress: { loadBalancer: 'nginx' } }
    await world.orchestry.api('/api/v1/apps', { method: 'POST', body })
    await says(world, 'web', new RegExp(`${port}.*Address already in use`))
    const [failed] = await world.events('web', 'upstream.failed')
    assert.match(String(failed?.data.message), /Address already in use/)
    squatter.close()
    await world.settled('web', 1, { timeoutMs: 40_000 })
    assert.equal((await fetch(`http://127.0.0.1:${port}/web/`)).status, 200)
  })
  rows.push(row)
  assert.deepEqual(explainFailures(row), [])
})

test("Orchestry's own disk is full: said so, nothing that runs is harmed, and it goes on when there is room", {
  skip,
}, async (t) => {
  const own = newestFirst(t)
  const dataDir = await tempDir()
  own.after(() => removeDir(dataDir))
  await mountDisk(dataDir, 48)
  own.after(async () => void (await run('umount', ['--lazy', dataDir])))
  const world = await startWorld(own, { dataDir })
  await world.apply('plain')
  await world.settled('plain', 1)
  const row = await underLoad(own, "Orchestry's disk is full", world.clients('plain'), async () => {
    const giveBack = await fillDisk(dataDir)
    // Its file may still have a page or two that are free; a write that only half fits is an input/output error to LMDB.
    const applyUntilFull = async () => {
      for (let tried = 0; tried < 200; tried += 1)
        await world.apply('more', { replicas: 0, env: { BULK: `${tried} ${'x'.repeat(30_000)}` } })
    }
    await assert.rejects(applyUntilFull, /ORC_STORE_FAILED.*(full|space|Input.output).*Nothing of it was stored/i)
    await readyzSays(world, /is the disk of .+ full/)
    await giveBack()
    await isReady(world)
    await world.apply('more')
    await world.settled('more', 1)
  })
  rows.push(row)
  assert.deepEqual(explainFailures(row), [])
})
