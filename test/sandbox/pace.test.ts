/** How fast a plugin may use the host: paced and queued instead of refused, and never for longer than is bounded. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { limits } from '../../runtime/limits.ts'
import { createLane } from '../../runtime/sandbox/lane.ts'
import { createPace } from '../../runtime/sandbox/pace.ts'
import { createReadingBudget } from '../../runtime/sandbox/reading-budget.ts'
import { createFakeClock } from '../support/fake-clock.ts'

const settled = () => new Promise((resolve) => setImmediate(resolve))

describe('the pace', () => {
  test('lets a burst through, then so many a second', () => {
    const pace = createPace({ perSecond: 100, burst: 20 }, 0)
    for (let n = 0; n < 20; n += 1) assert.equal(pace.take(0), 0)
    assert.equal(pace.take(0), 10)
    assert.equal(pace.take(5), 5)
    assert.equal(pace.take(10), 0)
    let taken = 0
    for (let nowMs = 10; nowMs < 1_010; nowMs += 1) if (pace.take(nowMs) === 0) taken += 1
    assert.ok(taken >= 99 && taken <= 100, `${taken}`)
  })
})

describe('the lane of one isolate', () => {
  const unpaced = { take: () => 0 }

  test('works on so many at once, and on the others in their order', async () => {
    const lane = createLane({ pace: unpaced, clock: createFakeClock() })
    const begun: number[] = []
    const finish: (() => void)[] = []
    for (let n = 0; n < 100; n += 1) {
      const isTaken = lane.add(1, () => {
        begun.push(n)
        return new Promise<void>((resolve) => finish.push(resolve))
      })
      assert.ok(isTaken)
    }
    assert.equal(begun.length, limits.hostCallsAtOnce)
    while (begun.length < 100) {
      finish.shift()?.()
      await settled()
    }
    assert.deepEqual(
      begun,
      Array.from({ length: 100 }, (_, n) => n),
    )
  })

  test('waits for the pace instead of refusing', async () => {
    const clock = createFakeClock()
    const lane = createLane({ pace: createPace({ perSecond: 100, burst: 10 }, clock.monotonic()), clock })
    let done = 0
    const work = async () => {
      done += 1
    }
    for (let n = 0; n < 50; n += 1) assert.ok(lane.add(1, work))
    await settled()
    assert.equal(done, 10)
    for (let ms = 0; ms < 100; ms += 10) await clock.advance(10)
    assert.equal(done, 20)
    for (let ms = 0; ms < 400; ms += 10) await clock.advance(10)
    assert.equal(done, 50)
  })

  test('refuses what is beyond its bounds, by number and by size', () => {
    const never = () => new Promise<void>(() => {})
    const byNumber = createLane({ pace: unpaced, clock: createFakeClock() })
    for (let n = 0; n < limits.hostCallsAtOnce + limits.hostCallsWaiting; n += 1) assert.ok(byNumber.add(1, never))
    assert.equal(byNumber.add(1, never), false)
    assert.equal(byNumber.close(), limits.hostCallsWaiting)
    assert.equal(byNumber.add(1, never), false)
    const bySize = createLane({ pace: unpaced, clock: createFakeClock() })
    for (let n = 0; n < limits.hostCallsAtOnce; n += 1) bySize.add(1, never)
    assert.ok(bySize.add(limits.hostCallsWaitingCharacters, never))
    assert.equal(bySize.add(1, never), false)
  })
})

describe('the budget of reading', () => {
  test('lets a burst through, and what stays within a fifth of the time', () => {
    const budget = createReadingBudget(0)
    assert.equal(budget.spend(200, 0), 0)
    for (let nowMs = 100; nowMs < 10_000; nowMs += 100) assert.equal(budget.spend(19, nowMs), 0)
  })

  test('stops who takes more, so that it gets about a fifth', () => {
    const budget = createReadingBudget(0)
    let [nowMs, spentMs] = [0, 0]
    while (nowMs < 20_000) {
      nowMs += 4
      spentMs += 4
      nowMs += budget.spend(4, nowMs)
    }
    const share = (spentMs - 200) / nowMs
    assert.ok(share > 0.17 && share < 0.22, `${share}`)
  })

  test('never stops for longer than a second, which is shorter than a silence that would be blamed', () => {
    assert.equal(createReadingBudget(0).spend(60_000, 0), 1_000)
  })
})
