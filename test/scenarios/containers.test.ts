/** Many apps as containers of one engine behind one nginx: each its own, none another's, and nothing left when they go. */
import assert from 'node:assert/strict'
import { request } from 'node:http'
import { after, test } from 'node:test'
import { dockerSkip, startDockerEngine } from '../support/docker-engine.ts'
import { explainFailures, renderLoadTable, underLoad } from '../support/load-table.ts'
import { type AppOptions, importReleases, type LoadWorld, nginxSkip, startWorld } from '../support/load-world.ts'
import { newestFirst } from '../support/newest-first.ts'
import { waitFor } from '../support/wait-for.ts'

const skip = dockerSkip || nginxSkip
const cleanup = newestFirst({ after })
let made: LoadWorld | undefined
const world = () => {
  assert.ok(made, 'nothing was started')
  return made
}

/** By host, by path, by both; one path inside another; different in everything that a spec can say of a container. */
const apps: Readonly<Record<string, AppOptions>> = {
  'by-name': {},
  'by-path': { path: '/shop/' },
  'path-inside': { path: '/shop/admin/' },
  'by-host': { host: 'host.example' },
  'host-path': { host: 'host.example', path: '/api/' },
  'other-host': { host: 'other.example' },
  'same-path': { host: 'other.example', path: '/shop/' },
  'small-one': { more: { spec: { resources: { cpu: '500m', memory: '128Mi' } } } },
  'as-user': { more: { spec: { security: { runAsUser: '1000:1000' } } } },
  'other-port': { env: { PORT: '9090' }, more: { spec: { ports: [{ containerPort: 9090 }] } } },
  'no-check': { release: '2', more: { healthCheck: null } },
  'two-of-it': { release: '2', replicas: 2, more: { spec: { volumes: [{ name: 'data', mountPath: '/data' }] } } },
}

interface Answer {
  readonly app: string
  readonly instance: string
}

/** With a Host of its own, which fetch would not send. */
function ask(url: string, headers: Readonly<Record<string, string>> = {}): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    request(url, { headers }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => (body += chunk))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
    })
      .on('error', reject)
      .end()
  })
}
async function whoAnswers(app: string): Promise<Answer> {
  const { url, headers } = world().clients(app, apps[app])
  const { status, body } = await ask(url, headers)
  assert.equal(status, 200, `${app}: ${body}`)
  return JSON.parse(body) as Answer
}
const everyOne = async () => {
  const answers = await Promise.all(Object.keys(apps).map(async (app) => [app, (await whoAnswers(app)).app] as const))
  return Object.fromEntries(answers)
}
const asNamed = Object.fromEntries(Object.keys(apps).map((app) => [app, app]))
const containersOf = async (label: string) =>
  (await world().engine?.docker.listContainers({ all: true, filters: { label: [label] } })) ?? []

test('twelve apps of one engine behind one nginx each answer as themselves', { skip }, async (t) => {
  const engine = await startDockerEngine(cleanup, { liveRestore: true })
  await importReleases(engine)
  made = await startWorld(cleanup, { engine, isNginx: true })
  const startedMs = performance.now()
  await Promise.all(Object.entries(apps).map(([app, options]) => world().apply(app, options)))
  for (const [app, { replicas = 1 }] of Object.entries(apps))
    await world().settled(app, replicas, { timeoutMs: 90_000 })
  t.diagnostic(`twelve apps, 13 containers: all in rotation after ${Math.round(performance.now() - startedMs)} ms`)
  assert.deepEqual(await everyOne(), asNamed)
})

test('they scale each on its own, and deleting one takes nothing from the others', { skip }, async (t) => {
  const counts = async () => {
    const running = await containersOf('orchestry.app')
    return Object.fromEntries(
      Map.groupBy(running, ({ Labels }) => Labels['orchestry.app'] ?? '')
        .entries()
        .map(([app, those]) => [app, those.length]),
    )
  }
  const before = await counts()
  const others = world().clients('by-host', apps['by-host'])
  const row = await underLoad(newestFirst(t), 'neighbours scale and go', others, async () => {
    await Promise.all([world().scale('by-path', 3), world().scale('two-of-it', 1), world().scale('same-path', 2)])
    await world().settled('by-path', 3)
    await world().settled('two-of-it', 1)
    await world().settled('same-path', 2)
    assert.deepEqual(await counts(), { ...before, 'by-path': 3, 'two-of-it': 1, 'same-path': 2 })
    const seen = new Set<string>()
    for (let asked = 0; asked < 30; asked += 1) seen.add((await whoAnswers('by-path')).instance)
    assert.equal(seen.size, 3, 'every replica gets its share')
    await world().delete('path-inside')
    await waitFor(async () => (await containersOf('orchestry.app=path-inside')).length === 0, {
      timeoutMs: 20_000,
      what: 'the containers of a deleted app to be gone',
    })
  })
  assert.deepEqual(explainFailures(row), [])
  const left = world().clients('path-inside', apps['path-inside'])
  const isOuter = async () => (JSON.parse((await ask(left.url)).body) as Answer).app === 'by-path'
  await waitFor(isOuter, { timeoutMs: 10_000, what: 'the path around that of the deleted app to have it again' })
  assert.deepEqual(await everyOne(), { ...asNamed, 'path-inside': 'by-path' })
  t.diagnostic(`\n${renderLoadTable([row])}`)
})

test('a killed container is out of rotation at once and replaced soon', { skip }, async (t) => {
  const { instances, kill, settled } = world()
  const [victim] = await instances('by-path')
  assert.ok(victim)
  const startedMs = performance.now()
  await kill(victim)
  const killMs = performance.now() - startedMs
  const isOut = async () =>
    !(await instances('by-path')).some(({ id, rotation }) => id === victim.id && rotation === 'serving')
  await waitFor(isOut, { everyMs: 5, timeoutMs: 10_000 })
  const outMs = performance.now() - startedMs
  await settled('by-path', 3)
  const backMs = performance.now() - startedMs
  t.diagnostic(
    `the engine took ${Math.round(killMs)} ms to kill it; out after ${Math.round(outMs)} ms, replaced after ${Math.round(backMs)} ms`,
  )
  // The figures to reach are in the benchmark `container-kill`: other tests use this machine now.
  assert.ok(outMs < 5_000 && backMs < 20_000)
})

test('what was deleted while nobody looked is collected; containers of others are left alone', { skip }, async () => {
  const { engine } = world()
  assert.ok(engine)
  const foreign = async (name: string, Labels: Record<string, string>) => {
    const container = await engine.docker.createContainer({ name, Image: 'test/replica:1', Labels })
    await container.start()
    return container
  }
  const [mine] = await containersOf('orchestry.app=by-name')
  assert.ok(mine)
  const owner = mine.Labels['orchestry.owner'] ?? ''
  const labels = { ...mine.Labels, 'orchestry.app': 'long-gone', 'orchestry.instance': 'long-gone-1' }
  const theirs = { ...labels, 'orchestry.owner': 'somebody-else', 'orchestry.instance': 'long-gone-2' }
  await world().orchestry.kill()
  await foreign('orphan', labels)
  const kept = [await foreign('of-another-owner', theirs), await foreign('foreign', { team: 'web' })]
  await world().restart('killed')
  const orphans = () =>
    containersOf(`orchestry.owner=${owner}`).then((all) => all.filter(({ Names }) => Names.includes('/orphan')))
  await waitFor(async () => (await orphans()).length === 0, { timeoutMs: 30_000, what: 'the orphan to be collected' })
  for (const app of Object.keys(apps))
    if (app !== 'path-inside') await world().settled(app, (await world().status(app)).running)
  assert.deepEqual(await everyOne(), { ...asNamed, 'path-inside': 'by-path' })
  const states = await Promise.all(kept.map(async (container) => (await container.inspect()).State.Status))
  assert.deepEqual(states, ['running', 'running'])
  await Promise.all(kept.map((container) => container.remove({ force: true })))
})

test('asked to end, it takes its containers and its network with it', { skip }, async () => {
  const { engine, orchestry } = world()
  assert.equal(await orchestry.stop(), 0, orchestry.output().slice(-2_000))
  assert.deepEqual(await engine?.docker.listContainers({ all: true }), [])
  const networks = (await engine?.docker.listNetworks()) ?? []
  assert.deepEqual(
    networks.filter(({ Driver }) => Driver === 'bridge'),
    [],
  )
})
