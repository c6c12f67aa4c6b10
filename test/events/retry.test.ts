import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { backoffMs, countsAgainstEvent, wants } from '../../runtime/events/retry.ts'

describe('what a handler hears', () => {
  const cases: [unknown, string, boolean][] = [
    [undefined, 'app.scaled', true],
    [['app.scaled'], 'app.scaled', true],
    [['app.scaled'], 'app.scaledBack', false],
    [['app.*'], 'app.scaled', true],
    [['app.*'], 'apple.eaten', false],
    [['app.*'], 'app', false],
    [['plugin.*', 'app.scaled'], 'app.scaled', true],
    [['*'], 'anything.done', true],
    [[], 'app.scaled', false],
    [[42], 'app.scaled', false],
  ]
  for (const [declared, type, expected] of cases) {
    it(`${JSON.stringify(declared)} ${expected ? 'hears' : 'does not hear'} ${type}`, () =>
      assert.equal(wants(declared, type), expected))
  }
})

it('counts only what the handler itself did wrong', () => {
  assert.equal(countsAgainstEvent('ORC_SANDBOX_GUEST_ERROR'), true)
  assert.equal(countsAgainstEvent('ORC_SANDBOX_TIMEOUT'), true)
  assert.equal(countsAgainstEvent('ORC_HOOK_BREAKER_OPEN'), false)
  assert.equal(countsAgainstEvent('ORC_HOOK_NOT_SERVING'), false)
})

it('waits twice as long each time, up to a minute, and up to half less by chance', () => {
  assert.deepEqual(
    [1, 2, 3, 4].map((failures) => backoffMs(failures, 0)),
    [500, 1_000, 2_000, 4_000],
  )
  assert.equal(backoffMs(1_000, 0), 60_000)
  assert.equal(backoffMs(1, 0.999_999) > 249, true)
})
