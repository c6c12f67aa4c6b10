import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTimersCapability } from '../../runtime/capabilities/timers.ts'
import { bindAs } from '../support/bound.ts'
import { createFakeClock } from '../support/fake-clock.ts'

function make(grant: { minMs?: number; max?: number } = {}, runMs = 0) {
  const clock = createFakeClock()
  const fired: string[] = []
  let now = 0
  let most = 0
  const fire = async (id: string) => {
    fired.push(id)
    now += 1
    most = Math.max(most, now)
    if (runMs > 0) await clock.sleep(runMs)
    now -= 1
  }
  return {
    clock,
    fired,
    most: () => most,
    ...bindAs(createTimersCapability({ clock }), { kind: 'timers', ...grant }, { fire }),
  }
}

test('a timer fires again and again, another once, a cancelled one never', async () => {
  const { call, clock, fired } = make()
  const every = await call('timers.every', 100)
  const once = await call('timers.after', 250)
  const never = await call('timers.after', 300)
  await call('timers.cancel', never)
  await call('timers.cancel', 'unknown')
  await clock.advance(520)
  assert.deepEqual(fired, [every, every, once, every, every, every])
  await call('timers.cancel', every)
  await clock.advance(1_000)
  assert.equal(fired.length, 6)
  assert.equal(clock.timers(), 0)
})

test('TMR-01: a function slower than its timer never runs twice at once', async () => {
  const { call, clock, fired, most } = make({}, 350)
  await call('timers.every', 100)
  await clock.advance(2_000)
  assert.equal(most(), 1)
  assert.ok(fired.length >= 4 && fired.length <= 5, `${fired.length}`)
})

test('C47: faster than granted or more than granted is refused', async () => {
  const { call } = make({ minMs: 1_000, max: 3 })
  await assert.rejects(call('timers.every', 999), { code: 'ORC_CAPABILITY_LIMIT', message: /granted 1000 ms/ })
  for (let index = 0; index < 3; index += 1) await call('timers.every', 1_000)
  await assert.rejects(call('timers.after', 1_000), { code: 'ORC_CAPABILITY_LIMIT', message: /3 timers/ })
})

test('C47: without limits in the grant, 100 ms and 16 timers hold', async () => {
  const { call, clock } = make()
  await assert.rejects(call('timers.every', 99), { code: 'ORC_CAPABILITY_LIMIT' })
  for (let index = 0; index < 16; index += 1) await call('timers.after', 100)
  await assert.rejects(call('timers.after', 100), { code: 'ORC_CAPABILITY_LIMIT' })
  await clock.advance(100)
  await call('timers.after', 100)
})

for (const [what, ms] of [
  ['a fraction', 100.5],
  ['below zero', -1],
  ['a text', '100'],
  ['longer than a week', 1e12],
  ['nothing', null],
] as const) {
  test(`a delay that is ${what} is refused`, async () => {
    await assert.rejects(make().call('timers.every', ms), { code: 'ORC_CAPABILITY_ARGUMENT' })
  })
}

for (const how of ['reset', 'dispose'] as const) {
  test(`${how} ends every timer, also one whose function is running`, async () => {
    const { call, clock, fired, bound } = make({}, 50)
    await call('timers.every', 100)
    await call('timers.after', 500)
    await clock.advance(120)
    bound[how]()
    await clock.advance(2_000)
    assert.equal(fired.length, 1)
    assert.equal(clock.timers(), 0)
  })
}

test('a function that fails is called again', async () => {
  const clock = createFakeClock()
  let calls = 0
  const fire = async () => {
    calls += 1
    throw new Error('no')
  }
  const { call } = bindAs(createTimersCapability({ clock }), { kind: 'timers' }, { fire })
  await call('timers.every', 100)
  await clock.advance(350)
  assert.equal(calls, 3)
})
