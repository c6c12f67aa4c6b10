/** Containers that are broken in the ways users break them: said in words, contained, and never at the cost of a neighbour. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, test } from 'node:test'
import { dockerSkip, importBusybox, startDockerEngine } from '../support/docker-engine.ts'
import { registrySkip, startRegistry } from '../support/docker-registry.ts'
import { explainFailures, type LoadRow, renderLoadTable, underLoad } from '../support/load-table.ts'
import { type AppOptions, importReleases, type LoadWorld, nginxSkip, startWorld } from '../support/load-world.ts'
import { newestFirst } from '../support/newest-first.ts'
import { waitFor } from '../support/wait-for.ts'

const skip = dockerSkip || registrySkip || nginxSkip
const cleanup = newestFirst({ after })
const rows: LoadRow[] = []
after(() => process.stdout.write(`${renderLoadTable(rows)}\n`))
let made: LoadWorld | undefined
let registry = ''

/** Under load on an app beside it, which loses nothing. */
const unhappy = (what: string, run: (world: LoadWorld) => Promise<unknown>) =>
  test(`${what}: said in words, and the app beside it loses nothing`, { skip }, async (t) => {
    assert.ok(made, 'nothing was started')
    const world = made
    const row = await underLoad(newestFirst(t), what, world.clients('beside'), () => run(world))
    rows.push(row)
    assert.deepEqual(explainFailures(row), [])
  })

/** The app says so in its problems, and an event of one of these types tells it. */
async function says(world: LoadWorld, app: string, words: RegExp): Promise<void> {
  const isSaid = async () => {
    const { problems } = await world.status(app)
    if (words.test(problems.join(' '))) return true
    throw new Error(`its problems are: ${problems.join(' ')}`)
  }
  await waitFor(isSaid, { timeoutMs: 30_000, everyMs: 50, what: `${app} to say ${words}` })
  // An event is on disk a moment after the status says the same.
  const told = async () => [
    ...(await world.events(app, 'instance.failed')),
    ...(await world.events(app, 'instance.exited')),
  ]
  await waitFor(async () => (await told()).length > 0, { what: `an event that tells it of ${app}` })
}

async function broken(world: LoadWorld, app: string, options: AppOptions, words: RegExp): Promise<void> {
  await world.apply(app, options)
  await says(world, app, words)
  assert.notEqual((await world.status(app)).phase, 'running')
  await world.delete(app)
}

const rssMb = (pid: number) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024

test('an engine, a registry, nginx and the app that everything happens beside', { skip }, async () => {
  const engine = await startDockerEngine(cleanup, { liveRestore: true })
  ;({ host: registry } = await startRegistry(cleanup))
  await importReleases(engine)
  await importBusybox(engine, 'test/busybox:latest', ['CMD ["/bin/busybox", "true"]'])
  made = await startWorld(cleanup, { engine, isNginx: true })
  await made.apply('beside', { replicas: 2 })
  await made.settled('beside', 2)
})

unhappy('an image that does not exist', (world) =>
  broken(world, 'no-image', { more: { spec: { image: `${registry}/nowhere:1` } } }, /nowhere:1.*(has no|no such)/),
)

unhappy('an image whose program is missing', (world) =>
  broken(
    world,
    'no-program',
    { more: { spec: { command: ['/bin/absent'] } } },
    /code 127, which is what a missing program gives/,
  ),
)

unhappy('an image that exits at once', (world) =>
  broken(world, 'exits', { more: { spec: { image: 'test/busybox:latest' } } }, /ended|exited/),
)

unhappy('two apps on one route', async (world) => {
  const second = { host: 'one.example', path: '/shop/' }
  await world.apply('first', second)
  await world.settled('first', 1)
  await assert.rejects(world.apply('second', second), /409.*ORC_APP_ROUTE_TAKEN.*first/)
  await assert.rejects(world.status('second'), /404/)
  await world.settled('first', 1)
  await world.delete('first')
})

unhappy('a replica that ignores SIGTERM', async (world) => {
  const options = { replicas: 2, env: { IGNORE_SIGTERM: '1' }, more: { rollout: { stopGraceSeconds: 1 } } }
  await world.apply('stubborn', options)
  await world.settled('stubborn', 2)
  const row = await underLoad(cleanup, '… its own requests, scaled in', world.clients('stubborn'), async () => {
    await world.scale('stubborn', 1)
    await world.settled('stubborn', 1)
  })
  rows.push(row)
  assert.deepEqual(explainFailures(row), [])
  await world.delete('stubborn')
  const left = () => world.engine?.docker.listContainers({ all: true, filters: { label: ['orchestry.app=stubborn'] } })
  await waitFor(async () => (await left())?.length === 0, { timeoutMs: 20_000, what: 'SIGKILL after the grace' })
})

unhappy('a health endpoint that answers a gigabyte', async (world) => {
  const before = rssMb(world.orchestry.pid)
  await world.apply('flood', { more: { healthCheck: { path: '/flood?mb=1024', periodSeconds: 0.5 } } })
  await world.settled('flood', 1)
  const { length } = await world.events('flood', 'instance.unhealthy')
  assert.equal(length, 0, 'its status came first, and that is what was asked for')
  assert.ok(rssMb(world.orchestry.pid) - before < 300, 'nobody keeps what it answers')
  await world.delete('flood')
})

unhappy('a replica that uses more memory than it has', async (world) => {
  await world.apply('hungry', { more: { spec: { resources: { memory: '96Mi' } } } })
  await world.settled('hungry', 1)
  const { url } = world.clients('hungry')
  await fetch(new URL('hold?mb=200', url))
    .then((response) => response.body?.cancel())
    .catch(() => {})
  const isTold = async () =>
    (await world.events('hungry', 'instance.exited')).some(({ data }) => data.isOutOfMemory === true)
  await waitFor(isTold, { timeoutMs: 20_000, what: 'the end for want of memory to be told' })
  await world.settled('hungry', 1)
  await world.delete('hungry')
})
