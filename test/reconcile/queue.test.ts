import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createQueue } from '../../runtime/reconcile/queue.ts'
import { createFakeClock } from '../support/fake-clock.ts'

function make() {
  const clock = createFakeClock()
  const ran: string[] = []
  const queue = createQueue(clock, (app) => ran.push(app))
  return { clock, ran, queue }
}

test('an app is planned soon, once, and never inside the caller', async () => {
  const { clock, ran, queue } = make()
  queue.add('a')
  queue.add('a')
  queue.add('b')
  assert.deepEqual(ran, [])
  await clock.advance(0)
  assert.deepEqual(ran, ['a', 'b'])
})

test('many apps are planned in portions, and all of them', async () => {
  const { clock, ran, queue } = make()
  for (let index = 0; index < 200; index += 1) queue.add(`app${index}`)
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(ran.length, 64)
  await clock.advance(0)
  assert.equal(new Set(ran).size, 200)
})

test('one timer wakes each app at its time', async () => {
  const { clock, ran, queue } = make()
  queue.wakeAt('late', 500)
  queue.wakeAt('soon', 100)
  queue.wakeAt('never', 100)
  queue.wakeAt('never', undefined)
  assert.equal(clock.timers(), 1)
  await clock.advance(100)
  assert.deepEqual(ran, ['soon'])
  await clock.advance(400)
  assert.deepEqual(ran, ['soon', 'late'])
  assert.equal(clock.timers(), 0)
})

test('a closed queue does nothing more', async () => {
  const { clock, ran, queue } = make()
  queue.add('a')
  queue.wakeAt('b', 10)
  queue.close()
  queue.add('c')
  queue.wakeAt('d', 20)
  await clock.advance(100)
  assert.deepEqual(ran, [])
  assert.equal(clock.timers(), 0)
})
