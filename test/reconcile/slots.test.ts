import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSlots } from '../../runtime/reconcile/slots.ts'

const never = new AbortController().signal
const isOpen = async (promise: Promise<unknown>) => {
  const mark = Symbol('open')
  return (await Promise.race([promise, Promise.resolve(mark)])) === mark
}

test('those who wait for one name are let in as they came, and hold up no other name', async () => {
  const slots = createSlots(1)
  const first = await slots.take('a', never)
  const [second, third] = [slots.take('a', never), slots.take('a', never)]
  assert.equal(await isOpen(second), true)
  assert.equal(await isOpen(slots.take('b', never)), false)
  first()
  first()
  const release = await second
  assert.equal(await isOpen(third), true, 'a place that is given back twice is one place')
  release()
  await third
})

test('who gives up waiting takes no place, and none is lost by it', async () => {
  const slots = createSlots(1)
  const first = await slots.take('a', never)
  const leaving = new AbortController()
  const gone = slots.take('a', leaving.signal)
  const next = slots.take('a', never)
  leaving.abort()
  const nothing = await gone
  nothing()
  assert.equal(await isOpen(next), true)
  first()
  await next
  await slots.take('a', AbortSignal.abort())
})
