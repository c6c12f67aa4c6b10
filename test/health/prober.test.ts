import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { HealthInput, HealthResult } from '@orchestry/sdk'
import type { Instance } from '../../runtime/drivers/driver.ts'
import type { NewEvent } from '../../runtime/events/events.ts'
import { createHealth, type HealthParts } from '../../runtime/health/prober.ts'
import type { Answer, CallScope, Hooks, Provider } from '../../runtime/hooks/hooks.ts'
import { createLog } from '../../runtime/log.ts'
import { createFakeApps, sampleCheck, sampleSpec } from '../support/fake-apps.ts'
import { createFakeClock } from '../support/fake-clock.ts'

const httpProvider: Provider = {
  plugin: '@orchestry/http',
  version: '1.0.0',
  instance: 'http',
  kind: 'healthCheck',
  isDefault: true,
  isServing: true,
  functions: ['check'],
  declares: { protocol: 'HTTP' },
}

interface Batch {
  readonly atMs: number
  readonly provider: string
  readonly ids: readonly string[]
  readonly scope: CallScope | undefined
}

/** A prober with replicas and a plugin that answers what the test says. */
function makeWorld(more: Partial<Pick<HealthParts, 'specOf' | 'chance'>> = {}) {
  const clock = createFakeClock()
  const apps = createFakeApps()
  const instances = new Map<string, Instance>()
  const told = new Set<(app: string) => void>()
  const batches: Batch[] = []
  const events: NewEvent[] = []
  const world = {
    clock,
    apps,
    batches,
    events,
    providers: [httpProvider],
    answerMs: 5,
    answer: (_input: HealthInput): HealthResult | Answer<HealthResult> => ({ status: 'healthy' }),
    changes: [] as string[],
    add(id: string, app = 'shop', ageMs = 0): void {
      const startedAtMs = clock.now() - ageMs
      instances.set(id, { id, app, version: 'v1', host: '127.0.0.1', port: 4000, startedAtMs, isRunning: true })
      for (const listener of told) listener(app)
    },
    remove(id: string): void {
      const app = instances.get(id)?.app ?? ''
      instances.delete(id)
      for (const listener of told) listener(app)
    },
    probesOf: (id: string) => batches.filter((batch) => batch.ids.includes(id)).map((batch) => batch.atMs),
  }
  const hooks: Pick<Hooks, 'providers' | 'first'> = {
    providers: () => world.providers,
    // The types of the real room follow from the hook table; a health check is all that is asked for here.
    first: (async (_kind: string, _fn: string, provider: string, items: HealthInput[], scope?: CallScope) => {
      batches.push({ atMs: clock.monotonic(), provider, ids: items.map((item) => item.instance.id), scope })
      await clock.sleep(world.answerMs)
      return items.map((item) => {
        const answer = world.answer(item)
        return 'ok' in answer ? answer : { ok: true, value: answer }
      })
    }) as unknown as Hooks['first'],
  }
  const health = createHealth({
    apps,
    instances: (app) => [...instances.values()].filter((instance) => instance.app === app),
    onInstancesChanged(listener) {
      told.add(listener)
      return () => told.delete(listener)
    },
    hooks,
    clock,
    log: createLog({ level: 'silent' }),
    events: { emit: (event) => void events.push(event) },
    chance: () => 0.5,
    ...more,
  })
  health.onChange(({ instance, from, to }) => world.changes.push(`${instance} ${from} -> ${to}`))
  return Object.assign(world, { health })
}

const spec = (check = {}) => sampleSpec('shop', { healthCheck: sampleCheck(check) })

test('a new replica is probed at once, quickly until it is healthy, then with its period', async () => {
  const world = makeWorld()
  world.apps.put('shop', { app: spec() })
  world.health.start()
  world.answer = () => ({ status: world.clock.monotonic() < 1000 ? 'unhealthy' : 'healthy' })
  world.add('a')
  await world.clock.advance(60_000)
  const times = world.probesOf('a')
  const early = times.filter((atMs) => atMs < 1100)
  assert.equal(times[0], 0)
  assert.ok(early.length >= 5 && early.length <= 10, `${early.length} probes in the first second`)
  const late = times.filter((atMs) => atMs > 1500)
  assert.ok(late.length >= 5 && late.length <= 6, `${late.length} probes in the minute after`)
  assert.deepEqual(world.changes, ['a unknown -> unhealthy', 'a unhealthy -> healthy'])
})

test('a replica that still starts is no news until it is healthy', async () => {
  const world = makeWorld()
  world.apps.put('shop', { app: spec() })
  world.health.start()
  world.answer = () => ({ status: world.clock.monotonic() < 500 ? 'unhealthy' : 'healthy', message: 'status 200' })
  world.add('a')
  await world.clock.advance(2000)
  assert.deepEqual(world.events, [
    { type: 'instance.healthy', app: 'shop', data: { instance: 'a', from: 'unhealthy', message: 'status 200' } },
  ])
})

test('a replica that never comes up is probed less often when its startup budget is spent', async () => {
  const world = makeWorld()
  world.apps.put('shop', { app: spec() })
  world.health.start()
  world.answer = () => ({ status: 'unhealthy' })
  world.add('a')
  await world.clock.advance(60_000)
  const before = world.batches.length
  await world.clock.advance(60_000)
  assert.ok(world.batches.length - before <= 8)
})

test('the initial delay is kept', async () => {
  const world = makeWorld()
  world.apps.put('shop', { app: spec({ initialDelaySeconds: 3 }) })
  world.health.start()
  world.add('a')
  await world.clock.advance(2990)
  assert.deepEqual(world.probesOf('a'), [])
  await world.clock.advance(100)
  assert.equal(world.probesOf('a').length, 1)
})

test('all checks that are due together go out as one batch, with the endpoints that may be reached', async () => {
  const world = makeWorld()
  world.apps.put('shop', { app: spec({ port: 9000, timeoutSeconds: 2 }) })
  world.apps.put('blog', { app: sampleSpec('blog') })
  world.health.start()
  for (let index = 0; index < 50; index += 1) world.add(`s${index}`)
  for (let index = 0; index < 50; index += 1) world.add(`b${index}`, 'blog')
  await world.clock.advance(100)
  assert.equal(world.batches.length, 1)
  const [batch] = world.batches
  assert.equal(batch?.ids.length, 100)
  assert.deepEqual([...(batch?.scope?.endpoints ?? [])][0], { host: '127.0.0.1', port: 9000 })
  assert.deepEqual([...(batch?.scope?.endpoints ?? [])][99], { host: '127.0.0.1', port: 4000 })
  assert.ok((batch?.scope?.timeoutMs ?? 0) > 2000)
})

test('a batch has its bounds, and so have the batches under way', async () => {
  const world = makeWorld()
  world.answerMs = 10_000
  world.apps.put('shop', { app: spec() })
  world.health.start()
  for (let index = 0; index < 1000; index += 1) world.add(`s${index}`)
  await world.clock.advance(5000)
  assert.deepEqual(
    world.batches.map((batch) => batch.ids.length),
    [128, 128],
  )
  await world.clock.advance(10_000)
  assert.equal(world.batches.length, 4)
})

test('replicas that do not answer in time do not delay those that do', async () => {
  const world = makeWorld()
  world.apps.put('shop', { app: spec({ periodSeconds: 1, failureThreshold: 1 }) })
  world.health.start()
  for (const id of ['good', 'bad']) world.add(id, 'shop', 100_000)
  world.answer = ({ instance }) => ({ status: instance.id === 'bad' ? 'unhealthy' : 'healthy' })
  await world.clock.advance(2500)
  const together = world.batches.slice(1).filter((batch) => batch.ids.length === 2)
  assert.deepEqual(together, [])
})

test('a failing plugin leaves every state as it is, and says why', async () => {
  const world = makeWorld()
  world.apps.put('shop', { app: spec({ periodSeconds: 1 }) })
  world.health.start()
  world.add('a')
  await world.clock.advance(1000)
  const failure = {
    code: 'ORC_HOOK_BREAKER_OPEN',
    message: 'it rests',
    plugin: 'p',
    instance: 'http',
    hook: '',
    atMs: 0,
  }
  world.answer = () => ({ ok: false, failure }) as Answer<HealthResult>
  await world.clock.advance(30_000)
  assert.equal(world.health.stateOf('a')?.status, 'healthy')
  assert.equal(world.health.stateOf('a')?.problem, 'it rests')
  world.answer = () => ({ status: 'healthy' })
  await world.clock.advance(2000)
  assert.equal(world.health.stateOf('a')?.problem, undefined)
})

test('without a plugin for the protocol the state stays unknown and the text names it', async () => {
  const world = makeWorld()
  world.apps.put('shop', { app: spec({ protocol: 'GRPC' }) })
  world.health.start()
  world.add('a')
  await world.clock.advance(1000)
  assert.equal(world.health.stateOf('a')?.status, 'unknown')
  assert.match(world.health.stateOf('a')?.problem ?? '', /protocol GRPC.*HTTP \(@orchestry\/http\)/)
  world.providers = [{ ...httpProvider, instance: 'grpc', declares: { protocol: 'grpc' } }]
  await world.clock.advance(1000)
  assert.equal(world.health.stateOf('a')?.status, 'healthy')
  assert.equal(world.batches.at(-1)?.provider, 'grpc')
})

test('a replica that was running before us does not fall at its first failed probe', async () => {
  const world = makeWorld()
  world.apps.put('shop', { app: spec({ periodSeconds: 1, failureThreshold: 3 }) })
  world.health.start()
  world.answer = () => ({ status: 'unhealthy', message: 'status 500' })
  world.add('old', 'shop', 600_000)
  await world.clock.advance(1500)
  assert.equal(world.health.stateOf('old')?.status, 'unknown')
  await world.clock.advance(2000)
  assert.deepEqual(world.changes, ['old unknown -> unhealthy'])
  assert.equal(world.events[0]?.type, 'instance.unhealthy')
})

test('an app without a health check is never probed; when it gets one it is', async () => {
  const world = makeWorld()
  const { healthCheck: _none, ...unchecked } = sampleSpec('shop')
  world.apps.put('shop', { app: unchecked })
  world.health.start()
  world.add('a')
  await world.clock.advance(5000)
  assert.equal(world.batches.length, 0)
  assert.equal(world.clock.timers(), 0)
  world.apps.put('shop', { app: spec() })
  await world.clock.advance(100)
  assert.equal(world.batches.length, 1)
})

test('a replica of an old version is probed with the check of its own spec', async () => {
  const own = sampleCheck({ path: '/old' })
  const world = makeWorld({ specOf: ({ version }) => (version === 'v1' ? { healthCheck: own } : undefined) })
  world.apps.put('shop', { app: spec({ path: '/new' }) })
  world.health.start()
  const paths: string[] = []
  world.answer = ({ healthCheck }) => {
    paths.push(healthCheck.path)
    return { status: 'healthy' }
  }
  world.add('a')
  await world.clock.advance(50)
  assert.deepEqual(paths, ['/old'])
})

test('a replica that is gone is forgotten, also when its answer is still on the way', async () => {
  const world = makeWorld()
  world.answerMs = 500
  world.apps.put('shop', { app: spec() })
  world.health.start()
  world.add('a')
  await world.clock.advance(100)
  world.remove('a')
  await world.clock.advance(60_000)
  assert.equal(world.health.stateOf('a'), undefined)
  assert.deepEqual(world.changes, [])
  assert.equal(world.batches.length, 1)
  assert.equal(world.clock.timers(), 0)
})

test('a startup has its own period and its own timeout, and the check begins after it', async () => {
  const world = makeWorld()
  const startup = { periodSeconds: 2, failureThreshold: 30, timeoutSeconds: 0.5 }
  world.apps.put('shop', { app: spec({ startup, periodSeconds: 20, timeoutSeconds: 1 }) })
  world.health.start()
  const timeouts: number[] = []
  world.answer = ({ healthCheck }) => {
    timeouts.push(healthCheck.timeoutSeconds)
    return { status: world.clock.monotonic() < 9_000 ? 'unhealthy' : 'healthy' }
  }
  world.add('a')
  await world.clock.advance(60_000)
  const times = world.probesOf('a')
  assert.equal(times.filter((atMs) => atMs < 9_000).length, 5)
  assert.ok(times.length <= 9, `${times.length} probes in a minute`)
  assert.deepEqual([...new Set(timeouts)], [0.5, 1])
  assert.deepEqual(world.changes, ['a unknown -> unhealthy', 'a unhealthy -> healthy'])
})

test('replicas that came up together are soon probed apart', async () => {
  let turn = 0
  const world = makeWorld({ chance: () => (turn++ % 20) / 20 })
  world.apps.put('shop', { app: spec() })
  world.health.start()
  for (let index = 0; index < 20; index += 1) world.add(`s${index}`)
  await world.clock.advance(500)
  const before = world.batches.length
  await world.clock.advance(10_000)
  const sizes = world.batches.slice(before).map((batch) => batch.ids.length)
  assert.ok(Math.max(...sizes) <= 3, `batches of ${sizes.join()}`)
})

test('replicas that were running before us are all probed within half a second, and not together', async () => {
  let turn = 0
  const world = makeWorld({ chance: () => (turn++ % 100) / 100 })
  world.apps.put('shop', { app: spec() })
  for (let index = 0; index < 200; index += 1) world.add(`s${index}`, 'shop', 600_000)
  world.health.start()
  await world.clock.advance(550)
  const asked = new Set(world.batches.flatMap((batch) => batch.ids))
  assert.equal(asked.size, 200)
  assert.ok(Math.max(...world.batches.map((batch) => batch.ids.length)) < 60)
})

test('a replica that others complain of is probed at once, and falls in seconds instead of periods', async () => {
  const world = makeWorld()
  world.apps.put('shop', { app: spec({ periodSeconds: 30 }) })
  world.health.start()
  world.add('a')
  await world.clock.advance(20_000)
  world.answer = () => ({ status: 'unhealthy' })
  const atMs = world.clock.monotonic()
  world.health.suspect('a')
  await world.clock.advance(2000)
  assert.equal(world.health.stateOf('a')?.status, 'unhealthy')
  assert.ok((world.probesOf('a').find((time) => time >= atMs) ?? Number.POSITIVE_INFINITY) - atMs < 50)
})

test('a replica that is well is not probed much more often, however many complain, and never falls for it', async () => {
  const world = makeWorld()
  world.apps.put('shop', { app: spec({ periodSeconds: 10 }) })
  world.health.start()
  world.add('a')
  await world.clock.advance(20_000)
  const before = world.batches.length
  for (let second = 0; second < 600; second += 1) {
    for (let times = 0; times < 10; times += 1) world.health.suspect('a')
    await world.clock.advance(100)
  }
  assert.ok(world.batches.length - before <= 14, `${world.batches.length - before} probes in a minute`)
  assert.deepEqual(world.changes, ['a unknown -> healthy'])
})

test('complaints about what is unknown, starts or cannot be probed change nothing', async () => {
  const world = makeWorld()
  world.apps.put('shop', { app: spec({ periodSeconds: 10 }) })
  world.health.start()
  world.health.suspect('nobody')
  world.add('a')
  await world.clock.advance(2000)
  world.providers = []
  world.health.suspect('a')
  await world.clock.advance(60_000)
  assert.equal(world.health.stateOf('a')?.status, 'healthy')
  assert.match(world.health.stateOf('a')?.problem ?? '', /No plugin serves/)
})

test('every probe is told, with how long the replica took', async () => {
  const world = makeWorld()
  const told: unknown[] = []
  const forget = world.health.onChecked((checked) => told.push(checked))
  world.apps.put('shop', { app: spec() })
  world.health.start()
  world.answer = () => ({ status: 'healthy', responseTimeMs: 7 })
  world.add('a')
  await world.clock.advance(100)
  forget()
  await world.clock.advance(20_000)
  assert.deepEqual(told, [{ app: 'shop', status: 'healthy', responseTimeMs: 7 }])
})

test('what happened to a replica tells the status code, where there was one', async () => {
  const world = makeWorld()
  world.apps.put('shop', { app: spec({ periodSeconds: 1, failureThreshold: 1 }) })
  world.health.start()
  world.add('a')
  await world.clock.advance(1500)
  world.answer = () => ({ status: 'unhealthy', message: 'status 503', details: { statusCode: 503 } })
  await world.clock.advance(1500)
  const data = { instance: 'a', from: 'healthy', message: 'status 503', statusCode: 503 }
  assert.deepEqual(world.events.at(-1), { type: 'instance.unhealthy', app: 'shop', data })
})

test('checkNow probes all replicas of an app now, and joins a probe that is under way', async () => {
  const world = makeWorld()
  world.apps.put('shop', { app: spec() })
  world.health.start()
  world.add('a')
  world.add('b')
  await world.clock.advance(3000)
  const before = world.batches.length
  const [first, second] = [world.health.checkNow('shop'), world.health.checkNow('shop')]
  await world.clock.advance(100)
  assert.equal(world.batches.length, before + 1)
  assert.deepEqual([...(await first).keys()].sort(), ['a', 'b'])
  assert.equal((await second).get('a')?.status, 'healthy')
})

test('checkNow of an app without replicas or without a check answers with nothing', async () => {
  const world = makeWorld()
  world.health.start()
  assert.equal((await world.health.checkNow('nobody')).size, 0)
})

test('stop ends every timer, waits for what is under way and leaves no caller waiting', async () => {
  const world = makeWorld()
  world.answerMs = 300
  world.apps.put('shop', { app: spec() })
  world.health.start()
  world.health.start()
  for (let index = 0; index < 600; index += 1) world.add(`s${index}`)
  await world.clock.advance(100)
  const asked = world.health.checkNow('shop')
  const stopped = Promise.all([world.health.stop(), world.health.stop()])
  await world.clock.advance(400)
  await Promise.all([stopped, asked])
  const before = world.batches.length
  await world.clock.advance(60_000)
  assert.equal(world.batches.length, before)
  assert.equal(world.clock.timers(), 0)
})

test('a clock that was set back since its start does not put off the first probe of a replica', async () => {
  const world = makeWorld()
  world.apps.put('shop', { app: spec() })
  world.health.start()
  world.add('ahead', 'shop', -3_600_000)
  await world.clock.advance(1_000)
  assert.equal(world.probesOf('ahead').length > 0, true)
})

test('a replica of a version without a health check is not probed with that of the next', async () => {
  const world = makeWorld({ specOf: ({ version }) => (version === 'v1' ? {} : undefined) })
  world.apps.put('shop', { app: spec() })
  world.health.start()
  world.add('one')
  await world.clock.advance(30_000)
  assert.deepEqual(world.probesOf('one'), [])
})
