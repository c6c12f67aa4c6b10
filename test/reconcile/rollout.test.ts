/** Rollouts as an operator sees them: how fast, when they are given up, what is said of them, and what is remembered. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { App } from '../../runtime/apps/app.ts'
import { sampleCheck, sampleSpec } from '../support/fake-apps.ts'
import { createReconcileWorld, type ReconcileWorld } from '../support/reconcile-world.ts'

const base = sampleSpec('shop').rollout
const rolling = (more: Partial<App['rollout']>): Partial<App> => ({ rollout: { ...base, drainSeconds: 1, ...more } })

async function settledWorld(desired: number, more: Partial<App> = {}): Promise<ReconcileWorld> {
  const world = createReconcileWorld()
  await world.start()
  world.apps.put('shop', { desired, app: sampleSpec('shop', more), source: 'one' })
  assert.equal(await world.settle('shop'), true)
  return world
}

const versions = (world: ReconcileWorld) => [...new Set(world.running('shop').map((one) => one.version))].sort()
const live = (world: ReconcileWorld) =>
  world.views('shop').filter(({ rotation }) => rotation !== 'draining' && rotation !== 'stopping')
const history = async (world: ReconcileWorld) =>
  (await world.reconciler.history('shop')).map(({ number, version, outcome }) => `${number} ${version} ${outcome}`)
const sickWhen = (world: ReconcileWorld, version: string, message = 'HTTP 500') => {
  world.health.rule = () => undefined
  world.driver.onStart = (instance) => {
    world.clock.after(100, () => {
      const isSick = instance.version === version
      world.health.set(instance, isSick ? 'unhealthy' : 'healthy', isSick ? message : 'HTTP 200')
    })
  }
}

describe('the pace of a rollout', () => {
  test('twelve replicas with a surge of three are replaced by threes, and never more or fewer than allowed', async () => {
    const world = await settledWorld(12, rolling({ maxSurge: '25%' }))
    let [most, least, startsAtOnce] = [0, 12, 0]
    world.driver.startMs = 400
    let starting = 0
    world.driver.onRequest = () => {
      starting += 1
      startsAtOnce = Math.max(startsAtOnce, starting)
      most = Math.max(most, live(world).length + starting)
    }
    world.driver.onStart = () => {
      starting -= 1
    }
    world.balancing.onPublish = ({ endpoints }) => {
      least = Math.min(least, endpoints.length)
    }
    world.apps.put('shop', { version: 'v2' })
    const startedMs = world.clock.monotonic()
    await world.clock.advanceUntil(
      () => world.running('shop').filter((one) => one.version === 'v2').length === 12,
      60_000,
    )
    assert.equal(startsAtOnce, 3)
    assert.equal(least, 12)
    assert.ok(most <= 15, `${most} live replicas`)
    assert.ok(world.clock.monotonic() - startedMs < 12 * 400, 'faster than one by one')
  })

  test('what may be unavailable makes it faster, and is kept', async () => {
    const world = await settledWorld(4, rolling({ maxSurge: 0, maxUnavailable: '50%' }))
    let least = 4
    world.balancing.onPublish = ({ endpoints }) => {
      least = Math.min(least, endpoints.length)
    }
    world.apps.put('shop', { version: 'v2' })
    assert.equal(await world.settle('shop'), true)
    assert.equal(least, 2)
    assert.deepEqual(versions(world), ['v2'])
  })

  test('a replica counts as a successor only when it has served long enough', async () => {
    const world = await settledWorld(2, rolling({ minReadySeconds: 5 }))
    world.apps.put('shop', { version: 'v2' })
    await world.clock.advance(4_500)
    assert.equal(world.eventsOf('instance.stopped').length, 0)
    assert.match(world.reconciler.rollout('shop').waitsFor ?? '', /1 new replica to have served long enough/)
    await world.clock.advance(2_500)
    assert.equal(world.eventsOf('instance.stopped').length, 1)
    assert.equal(await world.settle('shop'), true)
  })

  test('scaling out and in goes on meanwhile', async () => {
    const world = await settledWorld(4, rolling({ minReadySeconds: 1 }))
    world.apps.put('shop', { version: 'v2' })
    await world.clock.advance(2_000)
    world.apps.put('shop', { desired: 7 })
    await world.clock.advance(3_000)
    assert.ok(world.serving('shop').length >= 6, `${world.serving('shop').length} serve`)
    world.apps.put('shop', { desired: 2 })
    assert.equal(await world.settle('shop'), true)
    assert.deepEqual([versions(world), world.serving('shop').length], [['v2'], 2])
  })

  for (const [what, more] of [
    ['scaled', { scaling: { ...sampleSpec('shop').scaling, maxReplicas: 50 } }],
    ['probed', { healthCheck: sampleCheck({ path: '/other' }) }],
    ['routed', { ingress: { path: '/new/' } }],
    ['rolled out', rolling({ maxSurge: 3 })],
  ] as const)
    test(`an app that is ${what} otherwise replaces nothing`, async () => {
      const world = await settledWorld(3)
      const requests = world.driver.requests.length
      world.apps.put('shop', { app: sampleSpec('shop', more) })
      await world.clock.advance(20_000)
      assert.equal(world.driver.requests.length, requests)
      assert.equal(world.eventsOf('rollout.started').length, 0)
    })

  test('another driver is a rollout too', async () => {
    const world = await settledWorld(2)
    world.apps.put('shop', { version: 'v2', app: sampleSpec('shop', { driver: 'other' }) })
    assert.equal(await world.settle('shop'), true)
    assert.equal(world.driver.instances.size, 0)
    assert.equal(world.other.instances.size, 2)
  })
})

describe('a version that fails', () => {
  test('is rolled back with what its replicas last said and wrote, while every old one stays', async () => {
    const world = await settledWorld(3)
    const old = world.serving('shop').sort()
    sickWhen(world, 'v2')
    world.apps.put('shop', { version: 'v2' })
    await world.clock.advanceUntil(() => world.eventsOf('rollout.rolledBack').length > 0, 600_000, 1000)
    assert.deepEqual(world.serving('shop').sort(), old)
    const [event] = world.eventsOf('rollout.rolledBack')
    assert.equal(event?.data.to, 'v1')
    assert.match(
      String(event?.data.reason),
      /did not become healthy within 60 s: HTTP 500.*Last output: last words of shop-/,
    )
    assert.equal(await world.settle('shop'), true)
    assert.deepEqual(world.serving('shop').sort(), old)
    const { state, because, line } = world.reconciler.rollout('shop')
    assert.equal(state, 'rolledBack')
    assert.match(because ?? '', /HTTP 500/)
    assert.match(line, /version v2 was rolled back, version v1 runs/)
    assert.equal(world.eventsOf('rollout.started').length, 1)
    assert.deepEqual(
      world.eventsOf('rollout.finished').map(({ data }) => data),
      [{ version: 'v2', outcome: 'rolledBack', to: 'v1' }],
    )
    assert.deepEqual(await history(world), ['2 v2 rolledBack', '1 v1 done'])
  })

  test('soon after it became healthy fails within its rollout, and comes back to the old one without flapping', async () => {
    const world = await settledWorld(3, rolling({ minReadySeconds: 2 }))
    world.driver.onStart = (instance) => {
      if (instance.version === 'v2') world.clock.after(1_500, () => world.driver.crash(instance.id))
    }
    world.apps.put('shop', { version: 'v2' })
    await world.clock.advanceUntil(() => world.eventsOf('rollout.rolledBack').length > 0, 60_000)
    assert.equal(await world.settle('shop'), true)
    assert.deepEqual(versions(world), ['v1'])
    const requests = world.driver.requests.length
    await world.clock.advance(120_000)
    assert.equal(world.driver.requests.length, requests)
    assert.equal(world.eventsOf('rollout.rolledBack').length, 1)
  })

  test('in half of its replicas is rolled back to the old one by the same path', async () => {
    const world = await settledWorld(4)
    let started = 0
    world.driver.onStart = (instance) => {
      if (instance.version !== 'v2') return
      started += 1
      if (started > 2) world.clock.after(50, () => world.driver.crash(instance.id))
    }
    let least = 4
    world.balancing.onPublish = ({ endpoints }) => {
      least = Math.min(least, endpoints.length)
    }
    world.apps.put('shop', { version: 'v2' })
    await world.clock.advanceUntil(() => world.eventsOf('rollout.rolledBack').length > 0, 60_000)
    assert.equal(await world.settle('shop'), true)
    assert.deepEqual(versions(world), ['v1'])
    assert.ok(least >= 4, `${least} served at least`)
  })

  test('that cannot be fetched is rolled back in rounds', async () => {
    const world = await settledWorld(2)
    world.driver.fetch = {
      ms: 2_000,
      refuse: ({ version }) => (version === 'v2' ? 'no such image shop:2.' : undefined),
    }
    world.apps.put('shop', { version: 'v2' })
    await world.clock.advanceUntil(() => world.eventsOf('rollout.rolledBack').length > 0, 60_000)
    assert.equal(world.driver.fetches.length, 3)
    assert.equal(world.driver.requests.length, 2)
    assert.match(String(world.eventsOf('rollout.rolledBack')[0]?.data.reason), /no such image shop:2/)
  })

  test('without any answer is rolled back when its deadline has passed, and not before', async () => {
    const world = await settledWorld(2, rolling({ progressDeadlineSeconds: 120 }))
    world.health.rule = () => undefined
    world.apps.put('shop', { version: 'v2' })
    await world.clock.advance(119_000)
    assert.equal(world.eventsOf('rollout.rolledBack').length, 0)
    await world.clock.advance(2_000)
    const [event] = world.eventsOf('rollout.rolledBack')
    assert.match(String(event?.data.reason), /no progress for 120 s: it waited for 1 new replica to become healthy/)
    assert.equal(await world.settle('shop'), true)
    assert.deepEqual(versions(world), ['v1'])
  })

  test('a fetch that goes on is progress, one that stands still is none', async () => {
    const world = await settledWorld(1, rolling({ progressDeadlineSeconds: 30 }))
    world.driver.fetch = { ms: 90_000 }
    world.apps.put('shop', { version: 'v2' })
    await world.clock.advance(60_000)
    const { progress } = world.reconciler.status('shop')
    assert.match(progress?.join() ?? '', /^pulling shop, \d+ of 90000 MB$/)
    assert.match(world.reconciler.status('shop').rollout ?? '', /waits for pulling shop/)
    assert.equal(world.eventsOf('rollout.rolledBack').length, 0)
    assert.equal(await world.settle('shop', 60_000), true)
    assert.deepEqual(versions(world), ['v2'])
    world.driver.isHanging = true
    world.apps.put('shop', { version: 'v3' })
    await world.clock.advanceUntil(() => world.eventsOf('driver.lost').length > 0, 60_000)
    world.driver.isHanging = false
    assert.deepEqual(versions(world), ['v2'])
  })

  test('has had its rounds also when Orchestry was killed between them', async () => {
    const world = await settledWorld(2)
    await world.clock.advance(100_000)
    world.driver.refuse = ({ version }) => (version === 'v2' ? 'no.' : undefined)
    world.apps.put('shop', { version: 'v2' })
    const failures = () => world.eventsOf('instance.failed').length
    await world.clock.advanceUntil(() => failures() === 2, 10_000)
    await world.restart()
    await world.clock.advanceUntil(() => world.eventsOf('rollout.rolledBack').length > 0, 60_000)
    assert.equal(failures(), 3)
    assert.equal(world.eventsOf('rollout.started').length, 1)
    assert.deepEqual(await history(world), ['2 v2 rolledBack', '1 v1 done'])
  })

  test('gets a new chance with a mended health check, although its version is the same', async () => {
    const world = await settledWorld(2)
    sickWhen(world, 'v2')
    world.apps.put('shop', { version: 'v2' })
    await world.clock.advanceUntil(() => world.eventsOf('rollout.finished').length > 0, 600_000, 1000)
    sickWhen(world, 'none')
    world.apps.put('shop', { app: sampleSpec('shop', { healthCheck: sampleCheck({ path: '/right' }) }) })
    assert.equal(world.reconciler.rollout('shop').state, 'progressing')
    assert.equal(await world.settle('shop'), true)
    assert.deepEqual(versions(world), ['v2'])
    assert.deepEqual(await history(world), ['2 v2 done', '1 v1 done'])
  })

  test('as the very first one is not rolled back: there is nothing to go back to', async () => {
    const world = createReconcileWorld()
    world.driver.refuse = () => 'no.'
    await world.start()
    world.apps.put('shop', { app: sampleSpec('shop', rolling({ progressDeadlineSeconds: 10 })) })
    await world.clock.advance(120_000)
    assert.equal(world.eventsOf('rollout.rolledBack').length, 0)
    const { line, because } = world.reconciler.rollout('shop')
    assert.match(line, /rolling out v1: 0 of 1 ready; waits for the next attempt in \d+ s/)
    assert.match(because ?? '', /could not be started: no\./, 'who waits for it learns why')
  })
})

describe('the history', () => {
  test('has what was applied, what became of it, and no more than ten of it', async () => {
    const world = await settledWorld(1)
    world.apps.put('shop', { version: 'v2', source: 'two' })
    await world.clock.advance(50)
    world.apps.put('shop', { version: 'v3', source: 'three' })
    assert.equal(await world.settle('shop'), true)
    world.apps.put('shop', { source: 'three, scaled otherwise' })
    await world.clock.advance(50)
    assert.deepEqual(await history(world), ['3 v3 done', '2 v2 superseded', '1 v1 done'])
    assert.equal((await world.reconciler.history('shop'))[0]?.source, 'three, scaled otherwise')
    for (let index = 4; index < 15; index += 1) world.apps.put('shop', { version: `v${index}` })
    await world.clock.advance(50)
    const entries = await world.reconciler.history('shop')
    assert.deepEqual([entries.length, entries[0]?.number, entries.at(-1)?.number], [10, 14, 5])
  })

  test('goes on over a restart, knows what was applied meanwhile, and ends with its app', async () => {
    const world = await settledWorld(1)
    await world.clock.advance(100_000)
    world.kill()
    world.apps.put('shop', { version: 'v2' })
    await world.restart()
    assert.equal(await world.settle('shop'), true)
    assert.deepEqual(await history(world), ['2 v2 done', '1 v1 done'])
    world.apps.delete('shop')
    assert.equal(await world.settle('shop'), true)
    assert.deepEqual(await history(world), [])
    world.apps.put('shop', { version: 'v9' })
    world.driver.refuse = () => 'no.'
    await world.clock.advance(60_000)
    assert.deepEqual(await history(world), ['1 v9 underWay'])
    assert.equal(
      world.eventsOf('rollout.rolledBack').length,
      0,
      'what was good of another app is nothing to go back to',
    )
  })
})
