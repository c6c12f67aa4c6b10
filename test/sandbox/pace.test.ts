/** How fast a plugin may use the host: paced and queued instead of refused, and never for longer than is bounded. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { limits } from '../../runtime/limits.ts'
import { createPace } from '../../runtime/pace.ts'
import { createLane } from '../../runtime/sandbox/lane.ts'
import { createTimeBudget } from '../../runtime/sandbox/time-budget.ts'
import { createFakeClock } from '../support/fake-clock.ts'

const settled = () => new Promise((resolve) => setImmediate(resolve))

describe('the pace', () => {
  test('lets a burst through, then so many a second', () => {
    const pace = createPace({ most: 100, perMs: 1_000, burst: 20 }, 0)
    for (let n = 0; n < 20; n += 1) assert.equal(pace.take(0), 0)
    assert.equal(pace.take(0), 10)
    assert.equal(pace.take(5), 5)
    assert.equal(pace.take(10), 0)
    let taken = 0
    for (let nowMs = 10; nowMs < 1_010; nowMs += 1) if (pace.take(nowMs) === 0) taken += 1
    assert.ok(taken >= 99 && taken <= 100, `${taken}`)
  })

  test('lets several through at once or none of them', () => {
    const pace = createPace({ most: 10, perMs: 1_000 }, 0)
    assert.equal(pace.take(0, 8), 0)
    assert.equal(pace.take(0, 4), 200)
    assert.equal(pace.take(0, 2), 0, 'what was refused was not counted')
    assert.equal(pace.take(200, 2), 0)
  })
})

describe('the lane of one isolate', () => {
  const unpaced = { take: () => 0 }
  const budget = { spend: () => 0 }

  test('works on so many at once, and on the others in their order', async () => {
    const lane = createLane({ pace: unpaced, budget, clock: createFakeClock() })
    const begun: number[] = []
    const finish: (() => void)[] = []
    for (let n = 0; n < 100; n += 1) {
      const isTaken = lane.add(1, () => {
        begun.push(n)
        return new Promise<void>((resolve) => finish.push(resolve))
      })
      assert.ok(isTaken)
    }
    while (begun.length < limits.hostCallsAtOnce) await settled()
    await settled()
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
    const lane = createLane({
      pace: createPace({ most: 100, perMs: 1_000, burst: 10 }, clock.monotonic()),
      budget,
      clock,
    })
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

  test('refuses what is beyond its bounds, by number and by size', async () => {
    /** A lane whose every place is taken for good. */
    async function taken() {
      const lane = createLane({ pace: unpaced, budget, clock: createFakeClock() })
      let begun = 0
      const never = () => {
        begun += 1
        return new Promise<void>(() => {})
      }
      for (let n = 0; n < limits.hostCallsAtOnce; n += 1) assert.ok(lane.add(1, never))
      while (begun < limits.hostCallsAtOnce) await settled()
      return { lane, never }
    }
    const byNumber = await taken()
    for (let n = 0; n < limits.hostCallsWaiting; n += 1) assert.ok(byNumber.lane.add(1, byNumber.never))
    assert.equal(byNumber.lane.add(1, byNumber.never), false)
    assert.equal(byNumber.lane.close(), limits.hostCallsWaiting)
    assert.equal(byNumber.lane.add(1, byNumber.never), false)
    const bySize = await taken()
    assert.ok(bySize.lane.add(limits.hostCallsWaitingCharacters, bySize.never))
    assert.equal(bySize.lane.add(1, bySize.never), false)
  })

  test('lets the loop go round between calls that end at once', async () => {
    const lane = createLane({ pace: unpaced, budget, clock: createFakeClock() })
    let done = 0
    const work = async () => {
      const untilMs = performance.now() + 1
      while (performance.now() < untilMs);
      done += 1
    }
    for (let n = 0; n < 200; n += 1) assert.ok(lane.add(1, work))
    let rounds = 0
    while (done < 200) {
      await settled()
      rounds += 1
    }
    assert.ok(rounds >= 20, `${rounds} rounds of the loop`)
  })
})

describe('the budget of time', () => {
  test('lets a burst through, and what stays within a fifth of the time', () => {
    const budget = createTimeBudget(0)
    assert.equal(budget.spend(200, 0), 0)
    for (let nowMs = 100; nowMs < 10_000; nowMs += 100) assert.equal(budget.spend(19, nowMs), 0)
  })

  test('stops who takes more, so that it gets about a fifth', () => {
    const budget = createTimeBudget(0)
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
    assert.equal(createTimeBudget(0).spend(60_000, 0), 1_000)
  })
})
