import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createReconcileWorld } from '../support/reconcile-world.ts'

test('three replicas are started and come into rotation once they are healthy', async () => {
  const world = createReconcileWorld()
  await world.reconciler.start()
  world.apps.put('shop', { desired: 3 })
  assert.equal(await world.settle('shop'), true)
  assert.equal(world.running('shop').length, 3)
  assert.equal(world.serving('shop').length, 3)
  assert.equal(world.reconciler.status('shop').phase, 'running')
})
