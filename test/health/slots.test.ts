import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSlots } from '../../runtime/health/slots.ts'
import { createFakeClock } from '../support/fake-clock.ts'

function make() {
  const clock = createFakeClock()
  const out: [number, string[]][] = []
  const slots = createSlots<string>(clock, 25, (items) => out.push([clock.monotonic(), items]))
  return { clock, out, slots }
}

test('what is due within one slot comes out together, with one timer', async () => {
  const { clock, out, slots } = make()
  slots.put('a', 30)
  slots.put('b', 45)
  slots.put('c', 60)
  assert.equal(clock.timers(), 1)
  await clock.advance(200)
  assert.deepEqual(out, [
    [50, ['a', 'b']],
    [75, ['c']],
  ])
  assert.equal(clock.timers(), 0)
})

test('an earlier item moves the timer forward', async () => {
  const { clock, out, slots } = make()
  slots.put('late', 10_000)
  slots.put('soon', 10)
  await clock.advance(25)
  assert.deepEqual(out, [[25, ['soon']]])
})

test('a new time replaces the old one', async () => {
  const { clock, out, slots } = make()
  slots.put('a', 25)
  slots.put('a', 100)
  await clock.advance(200)
  assert.deepEqual(out, [[100, ['a']]])
})

test('what was dropped does not come out', async () => {
  const { clock, out, slots } = make()
  slots.put('a', 25)
  slots.drop('a')
  slots.drop('never seen')
  await clock.advance(100)
  assert.deepEqual(out, [])
})

test('an item put back while it comes out has its next turn', async () => {
  const clock = createFakeClock()
  let turns = 0
  const slots = createSlots<string>(clock, 25, (items) => {
    turns += 1
    for (const item of items) slots.put(item, 50)
  })
  slots.put('a', 0)
  await clock.advance(200)
  assert.equal(turns, 5)
  slots.close()
  assert.equal(clock.timers(), 0)
})
