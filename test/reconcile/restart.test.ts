/** What a controller that was killed must have left for the next one: each case was a fault that a simulation found. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sampleSpec } from '../support/fake-apps.ts'
import { createReconcileWorld, type ReconcileWorld } from '../support/reconcile-world.ts'

function unchecked() {
  const { healthCheck: _none, ...spec } = sampleSpec('shop')
  return spec
}

async function served(desired: number, spec = unchecked()): Promise<ReconcileWorld> {
  const world = createReconcileWorld()
  await world.start()
  world.apps.put('shop', { desired, app: spec })
  assert.equal(await world.settle('shop'), true)
  return world
}

const idsOf = (world: ReconcileWorld) =>
  world
    .running('shop')
    .map(({ id }) => id)
    .sort()

test('a replica without a health check that had not listened yet waits until it does; who served goes on', async () => {
  const world = await served(1)
  const before = idsOf(world)
  world.isListening = false
  world.apps.put('shop', { desired: 2 })
  await world.clock.advance(500)
  await world.restart()
  await world.clock.advance(2_000)
  assert.equal(world.running('shop').length, 2)
  assert.deepEqual(world.serving('shop'), before)
  world.isListening = true
  assert.equal(await world.settle('shop'), true)
  assert.deepEqual(world.serving('shop').sort(), idsOf(world))
})

test('who joined is written down before the load balancer is told', async () => {
  const world = createReconcileWorld()
  const known: unknown[] = []
  world.balancing.onPublish = async ({ endpoints }) => {
    const [entry] = await world.store.list<{ serving?: string[] }>({ prefix: ['reconcile'] })
    for (const id of endpoints) known.push(entry?.value.serving?.includes(id))
  }
  await world.start()
  world.apps.put('shop', { desired: 2, app: unchecked() })
  assert.equal(await world.settle('shop'), true)
  assert.ok(known.length >= 2)
  assert.ok(known.every((isKnown) => isKnown === true))
})

test('an end that was told is not told again', async () => {
  const world = await served(1)
  world.driver.crash(idsOf(world)[0] ?? '')
  await world.clock.advance(0)
  await world.restart()
  assert.equal(await world.settle('shop'), true)
  assert.equal(world.eventsOf('instance.exited').length, 1)
})

test('the route of a deleted app is removed by the next one, when the load balancer answers again', async () => {
  const world = await served(1)
  world.balancing.isWorking = false
  world.apps.delete('shop')
  await world.clock.advance(40_000)
  assert.deepEqual(idsOf(world), [], 'replicas are not held up for good')
  await world.restart()
  await world.clock.advance(5_000)
  world.balancing.isWorking = true
  await world.clock.advance(5_000)
  assert.equal(world.balancing.taken.has('shop'), false)
  await world.restart()
  await world.clock.advance(1_000)
  assert.deepEqual(await world.store.list({ prefix: ['reconcile'] }), [], 'and then it is forgotten')
})

test('what could not be stored is stored as soon as that works', async () => {
  const world = createReconcileWorld()
  const { write } = world.store
  await world.start()
  world.store.write = () => Promise.reject(new Error('the disk is full'))
  world.apps.put('shop', { desired: 1, app: unchecked() })
  assert.equal(await world.settle('shop'), true, 'what runs goes on without it')
  world.store.write = write
  await world.clock.advance(6_000)
  const [entry] = await world.store.list<{ serving?: string[] }>({ prefix: ['reconcile'] })
  assert.deepEqual(entry?.value.serving, idsOf(world))
})
