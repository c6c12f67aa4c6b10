import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { admit, afterFailure, afterSuccess, type Breaker, closedBreaker } from '../../runtime/hooks/breaker.ts'

const fail = (breaker: Breaker, times: number, now: number): Breaker =>
  Array.from({ length: times }).reduce<Breaker>((last) => afterFailure(last, now), breaker)

describe('a breaker', () => {
  test('stays closed for four failures and opens at the fifth, for a second', () => {
    assert.equal(fail(closedBreaker, 4, 0).state, 'closed')
    const open = fail(closedBreaker, 5, 1_000)
    assert.equal(open.state, 'open')
    assert.equal(open.retryAtMs, 2_000)
  })

  test('forgets failures with one success', () => {
    assert.deepEqual(afterSuccess(fail(closedBreaker, 4, 0)), closedBreaker)
  })

  test('lets one call through when its rest is over, and nobody else', () => {
    const open = fail(closedBreaker, 5, 0)
    assert.equal(admit(open, 999).isAdmitted, false)
    const probe = admit(open, 1_000)
    assert.equal(probe.isAdmitted, true)
    assert.equal(admit(probe.next, 1_000).isAdmitted, false)
  })

  test('rests twice as long after each failed probe, at most a minute', () => {
    let breaker = fail(closedBreaker, 5, 0)
    const rests: number[] = []
    for (let round = 0; round < 8; round += 1) {
      const now = breaker.retryAtMs
      breaker = afterFailure(admit(breaker, now).next, now)
      rests.push(breaker.retryAtMs - now)
    }
    assert.deepEqual(rests, [2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000])
  })

  test('closes when the probe succeeds', () => {
    const open = fail(closedBreaker, 5, 0)
    assert.deepEqual(afterSuccess(admit(open, 1_000).next), closedBreaker)
  })

  test('is not opened longer by calls that were under way when it opened', () => {
    const open = fail(closedBreaker, 5, 0)
    assert.deepEqual(afterFailure(open, 500), open)
  })
})
