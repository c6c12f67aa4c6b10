/** A driver that is down, hangs, or takes long: nobody's fault, said once, and no other driver's or app's trouble. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { limits } from '../../runtime/limits.ts'
import { sampleSpec } from '../support/fake-apps.ts'
import { createReconcileWorld, type ReconcileWorld } from '../support/reconcile-world.ts'

async function settledWorld(desired: number): Promise<ReconcileWorld> {
  const world = createReconcileWorld()
  await world.start()
  world.apps.put('shop', { desired })
  assert.equal(await world.settle('shop'), true)
  await world.clock.advance(15_000)
  return world
}
const versions = (world: ReconcileWorld) => [...new Set(world.running('shop').map((one) => one.version))]
const elsewhere = (name: string) => sampleSpec(name, { driver: 'other' })

describe('a driver that cannot be reached', () => {
  test('fails no round: a rollout waits for it and goes on, and nothing is rolled back', async () => {
    const world = await settledWorld(3)
    const old = world.serving('shop').sort()
    world.driver.isReachable = false
    world.apps.put('shop', { version: 'v2' })
    await world.clock.advance(900_000)
    assert.deepEqual(world.serving('shop').sort(), old)
    assert.equal(world.eventsOf('rollout.rolledBack').length, 0)
    assert.equal(world.eventsOf('instance.failed').length, 0)
    const { problems, rollout } = world.reconciler.status('shop')
    assert.match(problems.join(), /^Driver fake cannot be reached: the engine is down\./)
    assert.match(rollout ?? '', /waits for its driver/)
    assert.match(world.reconciler.driverProblems().join(), /Driver fake cannot be reached/)
    world.driver.isReachable = true
    assert.equal(await world.settle('shop'), true)
    assert.deepEqual(versions(world), ['v2'])
    assert.deepEqual(world.reconciler.driverProblems(), [])
  })

  test('is said once, and asked ever more rarely', async () => {
    const world = await settledWorld(1)
    world.driver.isReachable = false
    const before = world.driver.requests.length
    let asked = 0
    const list = world.driver.list.bind(world.driver)
    world.driver.list = () => {
      asked += 1
      return list()
    }
    world.apps.put('shop', { desired: 4 })
    await world.clock.advance(600_000)
    assert.equal(world.eventsOf('driver.lost').length, 1)
    assert.equal(world.eventsOf('app.degraded').length, 1)
    assert.ok(world.driver.requests.length - before <= 3, `${world.driver.requests.length - before} starts were tried`)
    assert.ok(asked < 100, `${asked} listings in ten minutes`)
    world.driver.isReachable = true
    assert.equal(await world.settle('shop'), true)
    assert.equal(world.eventsOf('driver.restored').length, 1)
    assert.equal(world.running('shop').length, 4)
  })

  test('that lists, but starts nothing, is not asked in a quick loop', async () => {
    const world = await settledWorld(1)
    const list = world.driver.list.bind(world.driver)
    world.driver.list = () => {
      world.driver.isReachable = true
      return list().finally(() => {
        world.driver.isReachable = false
      })
    }
    world.driver.isReachable = false
    const before = world.driver.requests.length
    let prepares = 0
    const prepare = world.driver.prepare?.bind(world.driver)
    world.driver.prepare = (request, options) => {
      prepares += 1
      return prepare?.(request, options) ?? Promise.resolve()
    }
    world.apps.put('shop', { desired: 2 })
    await world.clock.advance(300_000)
    assert.ok(prepares > 3 && prepares < 40, `${prepares} starts in five minutes`)
    assert.equal(world.driver.requests.length, before)
  })

  test('may have ended replicas with itself: that is no failure of the version that is rolled out', async () => {
    const world = await settledWorld(2)
    world.health.rule = () => ({ status: 'healthy', afterMs: 1_000 })
    const rollout = { ...sampleSpec('shop').rollout, minReadySeconds: 30 }
    world.apps.put('shop', { version: 'v2', app: sampleSpec('shop', { rollout }) })
    await world.clock.advance(3_000)
    for (let times = 0; times < 5; times += 1) {
      world.driver.isReachable = false
      world.driver.resync()
      await world.clock.advance(100)
      for (const { id } of world.running('shop')) world.driver.vanish(id)
      world.driver.isReachable = true
      await world.clock.advance(40_000)
    }
    assert.equal(world.eventsOf('rollout.rolledBack').length, 0)
    assert.equal(await world.settle('shop', 200_000), true)
    assert.deepEqual(versions(world), ['v2'])
  })

  test('does not keep what it runs from leaving the rotation, and stops it when it is back', async () => {
    const world = await settledWorld(3)
    world.driver.isReachable = false
    world.driver.resync()
    world.apps.put('shop', { desired: 1 })
    await world.clock.advance(60_000)
    assert.equal(world.serving('shop').length, 1)
    assert.equal(world.running('shop').length, 3)
    world.driver.isReachable = true
    assert.equal(await world.settle('shop'), true)
    assert.equal(world.running('shop').length, 1)
  })

  test('that no app needs is no problem of anybody', async () => {
    const world = createReconcileWorld()
    world.other.isReachable = false
    await world.start()
    world.apps.put('shop')
    assert.equal(await world.settle('shop'), true)
    await world.clock.advance(60_000)
    assert.equal(world.eventsOf('driver.lost').length, 0)
    assert.deepEqual(world.reconciler.driverProblems(), [])
    world.apps.put('far', { app: elsewhere('far') })
    await world.clock.advance(31_000)
    assert.equal(world.eventsOf('driver.lost').length, 1)
    world.other.isReachable = true
    assert.equal(await world.settle('far'), true)
  })
})

describe('a driver that hangs', () => {
  test('keeps no other from starting, nor Orchestry from ending', async () => {
    const world = createReconcileWorld()
    await world.start()
    await world.clock.advance(1_000)
    world.other.isHanging = true
    for (let index = 0; index < 20; index += 1)
      world.apps.put(`far${index}`, { desired: 20, app: elsewhere(`far${index}`) })
    await world.clock.advance(100)
    world.apps.put('shop', { desired: 30 })
    assert.equal(await world.settle('shop', 5_000), true)
    let isStopped = false
    world.reconciler.stop({ keep: false }).then(() => {
      isStopped = true
    })
    assert.equal(await world.clock.advanceUntil(() => isStopped, 200_000, 1_000), true)
    assert.equal(world.running('shop').length, 0)
  })

  test('from the beginning does not keep Orchestry from serving the others', async () => {
    const world = createReconcileWorld()
    world.apps.put('shop')
    world.apps.put('far', { app: elsewhere('far') })
    world.other.isHanging = true
    let isStarted = false
    world.reconciler.start().then(() => {
      isStarted = true
    })
    assert.equal(await world.clock.advanceUntil(() => isStarted, limits.driverListMs + 1_000), true)
    assert.equal(await world.settle('shop', 5_000), true)
    assert.match(world.reconciler.status('far').problems.join(), /listing its replicas took longer than 15 s/)
  })
})

describe('what a start waits for', () => {
  test('takes no place among the starts, and costs each replica nothing but its own app', async () => {
    const world = createReconcileWorld()
    await world.start()
    world.driver.fetch = { ms: 60_000 }
    for (let index = 0; index < 20; index += 1) world.apps.put(`big${index}`, { desired: 10 })
    await world.clock.advance(500)
    world.driver.fetch = undefined
    for (let index = 0; index < 20; index += 1) world.apps.put(`small${index}`, { desired: 5 })
    await world.clock.advance(2_000)
    for (let index = 0; index < 20; index += 1) assert.equal(world.running(`small${index}`).length, 5)
    assert.match(world.reconciler.status('big0').progress?.join() ?? '', /pulling big0, \d+ of 60000 MB/)
  })

  test('is given up when the replica is no longer wanted', async () => {
    const world = await settledWorld(1)
    world.driver.fetch = { ms: 600_000 }
    world.apps.put('shop', { desired: 5 })
    await world.clock.advance(2_000)
    assert.equal(world.driver.fetches.length, 4)
    world.apps.put('shop', { desired: 1 })
    assert.equal(await world.settle('shop', 5_000), true)
    assert.equal(world.eventsOf('instance.failed').length, 0)
    world.driver.fetch = { ms: 600_000 }
    world.apps.put('shop', { version: 'v2' })
    await world.clock.advance(2_000)
    world.apps.put('shop', { version: 'v1' })
    assert.equal(await world.settle('shop', 5_000), true)
  })
})

test('one app whose start always fails hinders none of ten that scale', async () => {
  const world = createReconcileWorld()
  world.driver.refuse = ({ app }) => (app === 'bad' ? 'no such image.' : undefined)
  await world.start()
  world.apps.put('bad', { desired: 50 })
  for (let index = 0; index < 10; index += 1) world.apps.put(`app${index}`, { desired: 1 })
  for (const desired of [8, 2, 6]) {
    for (let index = 0; index < 10; index += 1) world.apps.put(`app${index}`, { desired })
    for (let index = 0; index < 10; index += 1) assert.equal(await world.settle(`app${index}`, 15_000), true)
  }
  const tried = world.driver.requests.filter(({ app }) => app === 'bad').length
  assert.ok(tried < 25, `${tried} starts of the bad one`)
  assert.match(world.reconciler.status('bad').problems.join(), /no such image/)
})

test('replicas that take long to end are ended side by side, and hold up nobody', async () => {
  const world = await settledWorld(20)
  world.driver.stopMs = 30_000
  world.apps.put('shop', { desired: 1 })
  world.apps.put('quick', { desired: 3 })
  assert.equal(await world.settle('quick', 2_000), true)
  assert.equal(await world.settle('shop', 40_000), true)
})
