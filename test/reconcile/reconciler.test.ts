import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { sampleSpec } from '../support/fake-apps.ts'
import { createReconcileWorld, type ReconcileWorld } from '../support/reconcile-world.ts'

/** A world in which `shop` is as wanted. */
async function settledWorld(desired: number, more: Parameters<typeof sampleSpec>[1] = {}): Promise<ReconcileWorld> {
  const world = createReconcileWorld()
  await world.start()
  world.apps.put('shop', { desired, app: sampleSpec('shop', more) })
  assert.equal(await world.settle('shop'), true)
  return world
}

const ids = (world: ReconcileWorld, app = 'shop') =>
  world
    .running(app)
    .map((one) => one.id)
    .sort()
const versions = (world: ReconcileWorld, app = 'shop') =>
  world
    .running(app)
    .map((one) => one.version)
    .sort()

describe('starting', () => {
  test('three replicas come into rotation once they are healthy', async () => {
    const world = await settledWorld(3)
    assert.equal(world.running('shop').length, 3)
    assert.equal(world.serving('shop').length, 3)
    assert.equal(world.reconciler.status('shop').phase, 'running')
    assert.deepEqual(world.reconciler.status('shop').problems, [])
  })

  test('nothing is published before it is healthy', async () => {
    const world = createReconcileWorld()
    world.health.rule = () => ({ status: 'healthy', afterMs: 3000 })
    await world.start()
    world.apps.put('shop', { desired: 2 })
    await world.clock.advance(2900)
    assert.deepEqual(world.serving('shop'), [])
    assert.equal(world.reconciler.status('shop').phase, 'progressing')
    await world.clock.advance(300)
    assert.equal(world.serving('shop').length, 2)
  })

  test('an app without a health check serves as soon as it runs', async () => {
    const world = createReconcileWorld()
    world.health.rule = () => undefined
    await world.start()
    const { healthCheck: _none, ...app } = sampleSpec('shop')
    world.apps.put('shop', { desired: 2, app })
    assert.equal(await world.settle('shop', 1000), true)
  })

  test('without a health check nothing is published before it listens, and the old version stays until then', async () => {
    const { healthCheck: _none, ...app } = sampleSpec('shop')
    const world = createReconcileWorld()
    await world.start()
    world.apps.put('shop', { app })
    assert.equal(await world.settle('shop', 1000), true)
    const before = world.serving('shop')
    world.isListening = false
    world.apps.put('shop', { app: { ...app, env: [{ name: 'V', value: '2' }] }, version: 'v2' })
    await world.clock.advance(50_000)
    assert.deepEqual(world.serving('shop'), before)
    await world.clock.advance(150_000)
    assert.deepEqual(world.serving('shop'), before)
    const { problems } = world.reconciler.status('shop')
    assert.match(problems.join(), /v2 was rolled back.+did not accept a connection on its port within 60 s/)
  })

  test('another route is handed out at once, and no replica is touched for it', async () => {
    const world = await settledWorld(2)
    const before = ids(world)
    world.apps.put('shop', { app: { ...sampleSpec('shop'), ingress: { host: 'shop.example', path: '/' } } })
    assert.equal(await world.settle('shop'), true)
    assert.deepEqual(world.balancing.taken.get('shop')?.route, { host: 'shop.example', path: '/' })
    assert.equal(world.balancing.taken.get('shop')?.endpoints.length, 2)
    assert.deepEqual(ids(world), before)
  })

  test('the driver gets the environment, with facts of the app filled in', async () => {
    const world = await settledWorld(2, {
      env: [
        { name: 'MODE', value: 'live' },
        { name: 'ME', field: 'app.name' },
        { name: 'SIZE', field: 'app.replicas' },
        { name: 'ADDRESS', field: 'instance.ip' },
      ],
      ports: [{ containerPort: 8080, protocol: 'HTTP' }],
    })
    const [request] = world.driver.requests
    assert.deepEqual(request?.env, { MODE: 'live', ME: 'shop', SIZE: '2' })
    assert.deepEqual(request?.envFields, { ADDRESS: 'instance.ip' })
    assert.equal(request?.containerPort, 8080)
    assert.match(request?.id ?? '', /^shop-[0-9a-f]{8}$/)
  })

  test('settled answers false when the time is over', async () => {
    const world = createReconcileWorld()
    world.health.rule = () => undefined
    await world.start()
    world.apps.put('shop')
    assert.equal(await world.settle('shop', 2000), false)
  })

  test('nothing acts inside the callback that tells of a change', async () => {
    const world = createReconcileWorld()
    await world.start()
    world.apps.put('shop')
    assert.equal(world.driver.requests.length, 0)
    await world.clock.advance(0)
    assert.equal(world.driver.requests.length, 1)
  })

  test('a driver that does not exist is said, with those that do', async () => {
    const world = createReconcileWorld()
    await world.start()
    world.apps.put('shop', { app: sampleSpec('shop', { driver: 'swarm' }) })
    await world.clock.advance(50)
    const { phase, problems } = world.reconciler.status('shop')
    assert.equal(phase, 'degraded')
    assert.match(problems.join(), /There is no driver swarm; there are: fake, other\./)
  })
})

describe('a replica that dies', () => {
  test('is out of rotation within half a second, replaced and in rotation within two', async () => {
    const world = await settledWorld(3)
    await world.clock.advance(3000)
    const [victim = ''] = ids(world)
    const before = world.driver.requests.length
    world.driver.crash(victim)
    await world.clock.advance(100)
    assert.equal(world.serving('shop').includes(victim), false)
    assert.equal(world.serving('shop').length, 2)
    await world.clock.advance(1900)
    assert.equal(world.serving('shop').length, 3)
    assert.equal(world.driver.requests.length, before + 1)
    await world.clock.advance(15_000)
    assert.equal(world.eventsOf('instance.exited').length, 1, 'nor when the driver lists it once more')
    assert.equal(world.driver.instances.has(victim), false)
  })

  test('is taken out of the upstream before its successor is started', async () => {
    const world = await settledWorld(2)
    const [victim = ''] = ids(world)
    const order: string[] = []
    world.balancing.onPublish = ({ endpoints }) => order.push(endpoints.includes(victim) ? 'with' : 'without')
    world.driver.startMs = 0
    world.driver.onStart = () => order.push('start')
    world.driver.crash(victim)
    await world.clock.advance(50)
    assert.deepEqual(order.slice(0, 2), ['without', 'start'])
  })

  test('is replaced at once with all the others that died with it', async () => {
    const world = await settledWorld(5)
    await world.clock.advance(2000)
    for (const id of ids(world)) world.driver.crash(id)
    await world.clock.advance(2000)
    assert.equal(world.serving('shop').length, 5)
  })

  test('unheard is noticed by the next listing', async () => {
    const world = await settledWorld(2)
    const [victim = ''] = ids(world)
    world.driver.vanish(victim)
    await world.clock.advance(11_000)
    assert.equal(world.serving('shop').includes(victim), false)
    assert.equal(world.serving('shop').length, 2)
  })

  test('again and again is replaced ever more slowly', async () => {
    const world = await settledWorld(1)
    world.driver.onStart = (instance) => world.clock.after(400, () => world.driver.crash(instance.id))
    const [first = ''] = ids(world)
    const before = world.driver.requests.length
    world.driver.crash(first)
    await world.clock.advance(60_000)
    const starts = world.driver.requests.length - before
    assert.ok(starts >= 5 && starts <= 9, `${starts} starts in a minute`)
    assert.match(world.reconciler.status('shop').problems.join(), /failed \d+ times in a row/)
  })
})

describe('a failing image', () => {
  test('backs off, says so with the driver’s words, and hinders no other app', async () => {
    const world = createReconcileWorld()
    world.driver.refuse = ({ app }) => (app === 'bad' ? 'no such image registry/bad:1.' : undefined)
    await world.start()
    world.apps.put('bad', { desired: 5 })
    world.apps.put('fine', { desired: 3 })
    assert.equal(await world.settle('fine', 2000), true)
    await world.clock.advance(60_000)
    const starts = world.driver.requests.filter((request) => request.app === 'bad').length
    assert.ok(starts >= 10 && starts <= 13, `${starts} starts in a minute: five at first, then one at a time`)
    const { phase, problems } = world.reconciler.status('bad')
    assert.equal(phase, 'degraded')
    assert.match(
      problems.join(),
      /no such image registry\/bad:1\. Last output: last words of bad-.* Next attempt in \d+ s/,
    )
    assert.equal(world.eventsOf('app.degraded').length, 1)
  })

  test('never waits longer than a minute', async () => {
    const world = createReconcileWorld()
    world.driver.refuse = () => 'no.'
    await world.start()
    world.apps.put('bad')
    await world.clock.advance(600_000)
    const before = world.driver.requests.length
    await world.clock.advance(120_000)
    assert.ok(world.driver.requests.length - before >= 2)
  })

  test('comes up soon after a new spec mends it', async () => {
    const world = createReconcileWorld()
    world.driver.refuse = ({ version }) => (version === 'v1' ? 'no.' : undefined)
    await world.start()
    world.apps.put('bad')
    await world.clock.advance(120_000)
    world.apps.put('bad', { version: 'v2' })
    assert.equal(await world.settle('bad', 1000), true)
    assert.deepEqual(world.reconciler.status('bad').problems, [])
    assert.equal(world.eventsOf('app.recovered').length, 1)
  })

  test('a replica that never becomes healthy is replaced when its time is up', async () => {
    const world = createReconcileWorld()
    world.health.rule = () => ({ status: 'unhealthy', afterMs: 50 })
    await world.start()
    world.apps.put('shop')
    await world.clock.advance(50_000)
    assert.equal(world.driver.requests.length, 1)
    await world.clock.advance(15_000)
    assert.equal(world.driver.requests.length, 2)
    assert.equal(world.eventsOf('instance.failed').length, 1)
    assert.match(world.reconciler.status('shop').problems.join(), /did not become healthy within 60 s/)
  })

  test('a secret that does not exist is said', async () => {
    const world = createReconcileWorld()
    await world.start()
    world.apps.put('shop', { app: sampleSpec('shop', { env: [{ name: 'KEY', secret: 'api-key' }] }) })
    await world.clock.advance(50)
    assert.match(
      world.reconciler.status('shop').problems.join(),
      /env KEY of app shop takes its value from secret api-key, which does not exist.*orchestry secret set api-key/,
    )
    assert.equal(world.running('shop').length, 0)
  })

  test('while a secret is missing, starts are tried ever more rarely; once it is set, replicas get its value', async () => {
    const world = createReconcileWorld()
    await world.start()
    world.apps.put('shop', { app: sampleSpec('shop', { env: [{ name: 'KEY', secret: 'api-key' }] }) })
    await world.clock.advance(120_000)
    const failures = world.eventsOf('instance.failed').length
    assert.ok(failures > 5 && failures < 12, `${failures} starts failed in two minutes`)
    assert.equal(world.driver.requests.length, 0)
    world.secrets.set('api-key', 'the-value-of-it')
    assert.equal(await world.settle('shop', 90_000), true)
    assert.deepEqual(world.driver.requests[0]?.env.KEY, 'the-value-of-it')
    assert.equal(JSON.stringify(world.events).includes('the-value-of-it'), false)
  })
})

describe('health', () => {
  test('an unhealthy replica leaves rotation at once and is replaced before it is stopped', async () => {
    const world = await settledWorld(2)
    const [sick = ''] = ids(world)
    await world.clock.advance(20_000)
    world.health.set({ id: sick, app: 'shop' }, 'unhealthy', 'HTTP 500')
    await world.clock.advance(20)
    assert.equal(world.serving('shop').includes(sick), false)
    assert.match(world.reconciler.status('shop').problems.join(), /1 of 2 replicas is unhealthy.*HTTP 500|1 of 3/)
    let servingAtStop = -1
    world.driver.onStop = () => {
      servingAtStop = world.serving('shop').length
    }
    assert.equal(await world.settle('shop'), true)
    assert.equal(servingAtStop, 2)
    assert.equal(ids(world).includes(sick), false)
  })

  test('one that recovers in time is kept, and its substitute leaves', async () => {
    const world = await settledWorld(2)
    const [sick = ''] = ids(world)
    world.health.rule = () => ({ status: 'healthy', afterMs: 5000 })
    world.health.set({ id: sick, app: 'shop' }, 'unhealthy')
    await world.clock.advance(1000)
    assert.equal(world.running('shop').length, 3)
    world.health.set({ id: sick, app: 'shop' }, 'healthy')
    assert.equal(await world.settle('shop'), true)
    assert.equal(ids(world).includes(sick), true)
  })

  test('when all are unhealthy they are not all killed: what they depend on may be at fault', async () => {
    const world = await settledWorld(4)
    const all = ids(world)
    world.health.rule = () => ({ status: 'unhealthy', afterMs: 50 })
    for (const id of all) world.health.set({ id, app: 'shop' }, 'unhealthy')
    await world.clock.advance(120_000)
    assert.deepEqual(
      ids(world).filter((id) => all.includes(id)),
      all,
    )
    world.health.rule = () => ({ status: 'healthy', afterMs: 50 })
    for (const id of all) world.health.set({ id, app: 'shop' }, 'healthy')
    assert.equal(await world.settle('shop'), true)
    assert.deepEqual(ids(world), all)
  })

  test('a check that cannot be made changes nothing and is said', async () => {
    const world = await settledWorld(2)
    const before = ids(world)
    for (const id of before) world.health.problem({ id }, 'No plugin serves health checks of protocol GRPC.')
    await world.clock.advance(120_000)
    assert.deepEqual(ids(world), before)
    assert.deepEqual(world.serving('shop').sort(), before)
    assert.match(world.reconciler.status('shop').problems.join(), /protocol GRPC/)
  })
})

describe('a replica without a health check that others complain of', () => {
  const { healthCheck: _none, ...unchecked } = sampleSpec('shop')
  async function suspectWorld(desired = 2) {
    const world = createReconcileWorld()
    world.health.rule = () => undefined
    await world.start()
    world.apps.put('shop', { desired, app: unchecked })
    assert.equal(await world.settle('shop'), true)
    const [one] = world.running('shop')
    assert.ok(one)
    return { world, one }
  }

  test('leaves rotation when it no longer accepts connections, is replaced, and ends only then', async () => {
    const { world, one } = await suspectWorld()
    world.driver.startMs = 2000
    world.shut.add(one.port)
    world.reconciler.suspect('shop', one.id)
    await world.clock.advance(700)
    assert.equal(world.serving('shop').includes(one.id), false)
    assert.match(world.reconciler.status('shop').problems.join(), /unhealthy and out of rotation \(no connection/)
    assert.equal(await world.settle('shop'), true)
    assert.equal(ids(world).includes(one.id), false)
    const told = world.events.filter(({ data }) => data?.instance === one.id).map(({ type }) => type)
    assert.deepEqual(told.slice(1), ['instance.unhealthy', 'instance.failed', 'instance.stopped'])
  })

  test('is left alone when it does accept them, with one question for each complaint', async () => {
    const { world, one } = await suspectWorld()
    const before = world.knocks
    world.reconciler.suspect('shop', one.id)
    world.reconciler.suspect('shop', one.id)
    await world.clock.advance(5000)
    assert.equal(world.knocks - before, 1)
    assert.equal(world.serving('shop').includes(one.id), true)
  })

  test('is not blamed for a moment in which it was busy', async () => {
    const { world, one } = await suspectWorld()
    world.shut.add(one.port)
    world.reconciler.suspect('shop', one.id)
    await world.clock.advance(300)
    world.shut.clear()
    await world.clock.advance(5000)
    assert.deepEqual(world.eventsOf('instance.unhealthy'), [])
    assert.equal(ids(world).includes(one.id), true)
  })

  test('comes back when it accepts connections again before its substitute serves', async () => {
    const { world, one } = await suspectWorld()
    world.driver.startMs = 4000
    world.shut.add(one.port)
    world.reconciler.suspect('shop', one.id)
    await world.clock.advance(1000)
    world.shut.clear()
    await world.clock.advance(1100)
    assert.equal(world.serving('shop').includes(one.id), true)
    assert.equal(await world.settle('shop'), true)
    assert.equal(ids(world).includes(one.id), true)
  })

  test('is found out also when it was running before us', async () => {
    const { world, one } = await suspectWorld()
    await world.restart()
    await world.clock.advance(2000)
    world.shut.add(one.port)
    world.reconciler.suspect('shop', one.id)
    assert.equal(await world.settle('shop'), true)
    await world.clock.advance(20_000)
    assert.equal(ids(world).includes(one.id), false)
  })

  test('is left alone where it never listened: it is a worker', async () => {
    const world = createReconcileWorld()
    world.health.rule = () => undefined
    world.isListening = false
    await world.start()
    world.apps.put('shop', { desired: 1, app: unchecked })
    assert.equal(await world.settle('shop'), true)
    const before = ids(world)
    await world.restart()
    for (let second = 0; second < 30; second += 1) {
      for (const id of before) world.reconciler.suspect('shop', id)
      await world.clock.advance(1000)
    }
    assert.deepEqual(ids(world), before)
    assert.deepEqual(world.serving('shop'), before)
  })

  test('is nobody, when the app or the replica is unknown', async () => {
    const { world } = await suspectWorld()
    world.reconciler.suspect('nobody', 'x')
    world.reconciler.suspect('shop', 'x')
  })
})

describe('a rollout', () => {
  test('replaces replica by replica, never below the desired number, never above the surge', async () => {
    const world = await settledWorld(4)
    let least = Number.POSITIVE_INFINITY
    let most = 0
    world.balancing.onPublish = ({ endpoints }) => {
      least = Math.min(least, endpoints.length)
      const staying = world.views('shop').filter((one) => one.rotation !== 'draining' && one.rotation !== 'stopping')
      most = Math.max(most, staying.length)
    }
    world.apps.put('shop', { version: 'v2' })
    assert.equal(await world.settle('shop'), true)
    assert.deepEqual(versions(world), ['v2', 'v2', 'v2', 'v2'])
    assert.ok(least >= 4, `at least ${least} served`)
    assert.ok(most <= 5, `at most ${most} were there`)
    assert.deepEqual(
      [...world.eventsOf('rollout.started'), ...world.eventsOf('rollout.finished')].map((event) => event.data),
      [
        { version: 'v2', from: 'v1' },
        { version: 'v2', outcome: 'done' },
      ],
    )
  })

  test('without surge makes room first, and no more of it than may be unavailable', async () => {
    const rollout = { maxSurge: 0, maxUnavailable: 1, drainSeconds: 1, stopGraceSeconds: 1 }
    const world = await settledWorld(3, { rollout })
    let least = Number.POSITIVE_INFINITY
    world.balancing.onPublish = ({ endpoints }) => {
      least = Math.min(least, endpoints.length)
    }
    world.apps.put('shop', { version: 'v2' })
    assert.equal(await world.settle('shop'), true)
    assert.deepEqual(versions(world), ['v2', 'v2', 'v2'])
    assert.equal(least, 2)
  })

  test('that never becomes healthy leaves the old ones serving and is rolled back', async () => {
    const world = await settledWorld(3)
    const old = ids(world)
    world.health.rule = ({ version }) => ({ status: version === 'v2' ? 'unhealthy' : 'healthy', afterMs: 100 })
    world.apps.put('shop', { version: 'v2' })
    await world.clock.advanceUntil(() => world.eventsOf('rollout.finished').length > 0, 600_000, 1000)
    assert.deepEqual(world.serving('shop').sort(), old)
    assert.equal(await world.settle('shop'), true)
    assert.deepEqual(ids(world), old)
    const { phase, problems } = world.reconciler.status('shop')
    assert.equal(phase, 'degraded')
    assert.match(problems.join(), /Version v2 was rolled back and version v1 runs/)
    assert.equal(world.eventsOf('rollout.finished')[0]?.data.outcome, 'rolledBack')
  })

  test('whose image does not start is rolled back, and a crash meanwhile is mended with the old version', async () => {
    const world = await settledWorld(3)
    world.driver.refuse = ({ version }) => (version === 'v2' ? 'no such image.' : undefined)
    world.apps.put('shop', { version: 'v2' })
    await world.clock.advance(10_000)
    const [victim = ''] = ids(world)
    world.driver.crash(victim)
    assert.equal(await world.settle('shop'), true)
    assert.deepEqual(versions(world), ['v1', 'v1', 'v1'])
    assert.match(world.reconciler.status('shop').problems.join(), /no such image/)
  })

  test('is given up after one round when nothing of the old version is left to serve', async () => {
    const world = await settledWorld(2)
    world.health.rule = ({ version }) => ({ status: version === 'v2' ? 'unhealthy' : 'healthy', afterMs: 100 })
    world.apps.put('shop', { version: 'v2' })
    await world.clock.advance(5_000)
    for (const { id, version } of world.running('shop')) if (version === 'v1') world.driver.crash(id)
    await world.clock.advance(65_000)
    assert.deepEqual(versions(world), ['v1', 'v1'])
    assert.equal(world.serving('shop').length, 2)
  })

  test('that was rolled back stays so over a restart, and a mended spec goes out', async () => {
    const world = await settledWorld(2)
    world.driver.refuse = ({ version }) => (version === 'v2' ? 'no such image.' : undefined)
    world.apps.put('shop', { version: 'v2' })
    await world.clock.advance(20_000)
    await world.restart()
    const before = world.driver.requests.length
    await world.clock.advance(20_000)
    assert.equal(world.driver.requests.length, before)
    world.apps.put('shop', { version: 'v3' })
    assert.equal(await world.settle('shop'), true)
    assert.deepEqual(versions(world), ['v3', 'v3'])
    assert.deepEqual(world.reconciler.status('shop').problems, [])
  })

  test('that was rolled back gets another chance by stop and start', async () => {
    const world = await settledWorld(2)
    world.driver.refuse = ({ version }) => (version === 'v2' ? 'no such image.' : undefined)
    world.apps.put('shop', { version: 'v2' })
    await world.clock.advance(20_000)
    world.driver.refuse = () => undefined
    world.apps.put('shop', { isRunning: false })
    await world.settle('shop')
    world.apps.put('shop', { isRunning: true })
    assert.equal(await world.settle('shop'), true)
    assert.deepEqual(versions(world), ['v2', 'v2'])
  })

  test('judges old replicas by the health check they were started with', async () => {
    const world = await settledWorld(2)
    const { healthCheck: _none, ...unchecked } = sampleSpec('shop')
    world.apps.put('shop', { version: 'v2', app: unchecked })
    await world.clock.advance(0)
    assert.ok(world.reconciler.specOf('shop', 'v1')?.healthCheck)
    assert.equal(world.reconciler.specOf('shop', 'v2')?.healthCheck, undefined)
    assert.equal(world.reconciler.specOf('shop', 'v0'), undefined)
  })
})

describe('scaling in', () => {
  test('publishes without the replica, drains it, and only then stops it', async () => {
    const world = await settledWorld(3)
    const order: string[] = []
    world.balancing.onPublish = ({ endpoints, draining }) =>
      order.push(`publish ${endpoints.length}+${draining.length}`)
    world.driver.onStop = (id) => {
      assert.equal(world.serving('shop').includes(id), false)
      order.push('stop')
    }
    const startedMs = world.clock.monotonic()
    let stoppedMs = 0
    world.apps.put('shop', { desired: 2 })
    await world.clock.advanceUntil(() => order.includes('stop'), 10_000)
    stoppedMs = world.clock.monotonic()
    assert.ok(stoppedMs - startedMs >= 5000, 'a load balancer that cannot count gets the whole drain time')
    assert.equal(await world.settle('shop'), true)
    assert.deepEqual(order, ['publish 2+1', 'stop', 'publish 2+0'])
  })

  test('ends the drain when the last request is done', async () => {
    const world = await settledWorld(2)
    for (const id of ids(world)) world.balancing.connections.set(id, 3)
    world.apps.put('shop', { desired: 1 })
    await world.clock.advance(2000)
    assert.equal(world.running('shop').length, 2)
    for (const id of ids(world)) world.balancing.connections.set(id, 0)
    await world.clock.advance(500)
    assert.equal(world.running('shop').length, 1)
  })

  test('ends the drain at its deadline, whatever is still open', async () => {
    const world = await settledWorld(2)
    for (const id of ids(world)) world.balancing.connections.set(id, 3)
    world.apps.put('shop', { desired: 1 })
    await world.clock.advance(5300)
    assert.equal(world.running('shop').length, 1)
  })

  test('takes the unhealthy one first, else the youngest', async () => {
    const world = await settledWorld(2)
    const old = ids(world)
    await world.clock.advance(5000)
    world.apps.put('shop', { desired: 4 })
    await world.settle('shop')
    const [sick = ''] = old
    world.health.set({ id: sick, app: 'shop' }, 'unhealthy')
    world.apps.put('shop', { desired: 1 })
    await world.settle('shop')
    assert.deepEqual(ids(world), old.slice(1))
  })

  test('stops nothing while the load balancer has not taken it out', async () => {
    const world = await settledWorld(3)
    world.balancing.isWorking = false
    world.apps.put('shop', { desired: 1 })
    await world.clock.advance(60_000)
    assert.equal(world.running('shop').length, 3)
    assert.match(world.reconciler.status('shop').problems.join(), /load balancer does not answer/)
    world.balancing.isWorking = true
    assert.equal(await world.settle('shop'), true)
    assert.equal(world.running('shop').length, 1)
  })

  test('to nothing publishes nothing and stops all', async () => {
    const world = await settledWorld(2)
    world.apps.put('shop', { desired: 0 })
    assert.equal(await world.settle('shop'), true)
    assert.deepEqual(world.serving('shop'), [])
    assert.equal(world.driver.instances.size, 0)
  })
})

describe('stopping and deleting', () => {
  test('a stopped app is out of rotation first, and comes back as it was', async () => {
    const world = await settledWorld(3)
    let servingAtStop = -1
    world.driver.onStop = () => {
      servingAtStop = world.serving('shop').length
    }
    world.apps.put('shop', { isRunning: false })
    await world.clock.advance(0)
    assert.equal(world.reconciler.status('shop').phase, 'stopping')
    assert.equal(await world.settle('shop'), true)
    assert.equal(servingAtStop, 0)
    assert.equal(world.reconciler.status('shop').phase, 'stopped')
    assert.equal(world.reconciler.status('shop').desired, 3)
    world.apps.put('shop', { isRunning: true })
    assert.equal(await world.settle('shop'), true)
    assert.equal(world.serving('shop').length, 3)
  })

  test('a stopped app ends even when its load balancer does not answer', async () => {
    const world = await settledWorld(2)
    world.balancing.isWorking = false
    world.apps.put('shop', { isRunning: false })
    await world.clock.advance(20_000)
    assert.equal(world.driver.instances.size, 0)
  })

  test('a deleted app is drained, stopped and forgotten by the load balancer', async () => {
    const world = await settledWorld(2)
    world.apps.delete('shop')
    assert.equal(await world.settle('shop'), true)
    assert.equal(world.driver.instances.size, 0)
    assert.deepEqual(world.balancing.removed, ['shop'])
    assert.deepEqual(world.reconciler.instances('shop'), [])
  })

  test('an app that is deleted and made again starts anew', async () => {
    const world = await settledWorld(2)
    const old = ids(world)
    world.apps.delete('shop')
    await world.clock.advance(10)
    world.apps.put('shop', { desired: 2, version: 'v9' })
    assert.equal(await world.settle('shop'), true)
    assert.deepEqual(versions(world), ['v9', 'v9'])
    assert.equal(
      ids(world).some((id) => old.includes(id)),
      false,
    )
    assert.deepEqual(world.balancing.removed, [])
  })

  test('an app deleted while a replica starts leaves nothing behind', async () => {
    const world = createReconcileWorld()
    world.driver.startMs = 3000
    await world.start()
    world.apps.put('shop', { desired: 2 })
    await world.clock.advance(100)
    world.apps.delete('shop')
    assert.equal(await world.settle('shop'), true)
    assert.equal(world.driver.instances.size, 0)
  })
})

describe('Orchestry itself', () => {
  test('adopts what runs and changes nothing', async () => {
    const world = await settledWorld(3)
    const before = ids(world)
    const requests = world.driver.requests.length
    let stops = 0
    world.driver.onStop = () => {
      stops += 1
    }
    await world.clock.advance(100_000)
    await world.restart()
    assert.equal(await world.settle('shop'), true)
    await world.clock.advance(60_000)
    assert.deepEqual(ids(world), before)
    assert.equal(world.driver.requests.length, requests)
    assert.equal(stops, 0)
    assert.equal(world.eventsOf('instance.adopted').length, 3)
    assert.deepEqual(world.serving('shop').sort(), before)
  })

  test('never publishes less than what serves while it adopts', async () => {
    const world = await settledWorld(3)
    await world.clock.advance(100_000)
    let least = Number.POSITIVE_INFINITY
    world.balancing.onPublish = ({ endpoints }) => {
      least = Math.min(least, endpoints.length)
    }
    world.health.rule = () => ({ status: 'healthy', afterMs: 20_000 })
    await world.restart()
    await world.clock.advance(60_000)
    assert.equal(least, 3)
  })

  test('replaces what died and what fell ill while it was away', async () => {
    const world = await settledWorld(3)
    await world.clock.advance(100_000)
    const [dead = '', sick = ''] = ids(world)
    world.kill()
    world.driver.crash(dead)
    world.health.rule = ({ id }) => ({ status: id === sick ? 'unhealthy' : 'healthy', afterMs: 100 })
    await world.restart()
    assert.equal(await world.settle('shop'), true)
    assert.equal(world.serving('shop').length, 3)
    assert.equal(ids(world).includes(dead) || ids(world).includes(sick), false)
    assert.equal(world.driver.instances.size, 3)
  })

  test('carries out what was wanted while it was away', async () => {
    const world = await settledWorld(3)
    await world.clock.advance(100_000)
    world.kill()
    world.apps.put('shop', { desired: 2, version: 'v2' })
    await world.restart()
    assert.equal(await world.settle('shop'), true)
    assert.deepEqual(versions(world), ['v2', 'v2'])
  })

  test('stops replicas of apps that do not exist, and says so', async () => {
    const world = await settledWorld(2)
    world.kill()
    world.apps.delete('shop')
    await world.restart()
    await world.clock.advance(1000)
    assert.deepEqual(world.serving('shop'), [], 'first they take no new requests')
    assert.equal(world.driver.instances.size, 2, 'and have the drain time for what they work on')
    await world.clock.advance(6000)
    assert.equal(world.driver.instances.size, 0)
    assert.equal(
      world.eventsOf('instance.adopted').every((event) => event.data.isOrphan === true),
      true,
    )
    assert.match(String(world.eventsOf('instance.stopped')[0]?.data.reason), /no app of this name exists/)
    assert.ok(world.balancing.removed.includes('shop'))
  })

  test('killed in the middle of a start finds the replica and does not start it twice', async () => {
    const world = createReconcileWorld()
    world.driver.startMs = 500
    await world.start()
    world.apps.put('shop', { desired: 3 })
    await world.clock.advance(100)
    world.kill()
    await world.clock.advance(1000)
    assert.equal(world.running('shop').length, 3)
    await world.restart()
    assert.equal(await world.settle('shop'), true)
    assert.equal(world.driver.requests.length, 3)
  })

  test('killed in the middle of a drain ends with the right number', async () => {
    const world = await settledWorld(3)
    await world.clock.advance(100_000)
    world.apps.put('shop', { desired: 1 })
    await world.clock.advance(2000)
    await world.restart()
    assert.equal(await world.settle('shop'), true)
    assert.equal(world.driver.instances.size, 1)
    assert.equal(world.serving('shop').length, 1)
  })

  test('leaves an app alone while its driver cannot tell what runs', async () => {
    const world = await settledWorld(2)
    const before = ids(world)
    world.driver.isListable = false
    await world.restart()
    await world.clock.advance(20_000)
    assert.deepEqual(ids(world), before)
    assert.match(world.reconciler.status('shop').problems.join(), /Driver fake cannot be reached: the daemon/)
    world.driver.isListable = true
    assert.equal(await world.settle('shop'), true)
    assert.deepEqual(ids(world), before)
    assert.deepEqual(world.reconciler.status('shop').problems, [])
  })

  test('leaves replicas running when it is asked to keep them', async () => {
    const world = await settledWorld(2)
    await world.reconciler.stop({ keep: true })
    await world.reconciler.stop({ keep: true })
    await world.clock.advance(60_000)
    assert.equal(world.running('shop').length, 2)
    assert.equal(world.serving('shop').length, 2)
    assert.equal(world.clock.timers(), 0)
  })

  test('otherwise takes all out of rotation, drains and stops them, and keeps what was desired', async () => {
    const world = await settledWorld(3)
    let servingAtStop = -1
    world.driver.onStop = () => {
      servingAtStop = world.serving('shop').length
    }
    let isStopped = false
    world.reconciler.stop({ keep: false }).then(() => {
      isStopped = true
    })
    await world.clock.advanceUntil(() => isStopped, 30_000)
    assert.equal(isStopped, true)
    assert.equal(servingAtStop, 0)
    assert.equal(world.driver.instances.size, 0)
    assert.equal(world.apps.get('shop')?.desired, 3)
    assert.equal(world.clock.timers(), 0)
  })

  test('can be stopped before it was started', async () => {
    const world = createReconcileWorld()
    await world.reconciler.stop({ keep: false })
    assert.equal(world.clock.timers(), 0)
  })

  test('with a thousand idle apps has a handful of timers and does nothing', async () => {
    const world = createReconcileWorld()
    for (let index = 0; index < 1000; index += 1) world.apps.put(`app${index}`)
    await world.start()
    await world.clock.advance(30_000)
    assert.equal(world.running('app999').length, 1)
    const [starts, publishes] = [world.driver.requests.length, world.balancing.history.length]
    assert.equal(starts, 1000)
    await world.clock.advance(60_000)
    assert.equal(world.driver.requests.length, starts)
    assert.equal(world.balancing.history.length, publishes)
    assert.ok(world.clock.timers() <= 2, `${world.clock.timers()} timers`)
  })
})
