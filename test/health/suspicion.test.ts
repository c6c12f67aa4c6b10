import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { afterLook, nextLookMs, trustMs } from '../../runtime/health/suspicion.ts'
import { sampleCheck } from '../support/fake-apps.ts'

const check = sampleCheck({ failureThreshold: 3, periodSeconds: 10 })
const fresh = { looks: 0, isOlderUnderWay: false }

describe('a suspicion', () => {
  const rows: [string, ReturnType<typeof afterLook>, object | undefined][] = [
    ['is over when the replica is well', afterLook(fresh, { found: 'healthy', status: 'healthy' }, check), undefined],
    [
      'stays while a failure is not enough to fall',
      afterLook(fresh, { found: 'unhealthy', status: 'healthy' }, check),
      { looks: 1, isOlderUnderWay: false },
    ],
    [
      'is over when the replica has fallen',
      afterLook(fresh, { found: 'unhealthy', status: 'unhealthy' }, check),
      undefined,
    ],
    [
      'stays while nothing is known',
      afterLook(fresh, { found: 'unknown', status: 'healthy' }, check),
      { looks: 1, isOlderUnderWay: false },
    ],
    [
      'is over after so many looks that decided nothing',
      afterLook({ ...fresh, looks: 7 }, { found: 'unknown', status: 'healthy' }, check),
      undefined,
    ],
    [
      'does not end by a probe that was begun before it',
      afterLook({ ...fresh, isOlderUnderWay: true }, { found: 'healthy', status: 'healthy' }, check),
      fresh,
    ],
  ]
  for (const [sentence, actual, expected] of rows) test(sentence, () => assert.deepEqual(actual, expected))
})

test('looks are half a second apart, or as close as the period', () => {
  assert.equal(nextLookMs(check), 500)
  assert.equal(nextLookMs(sampleCheck({ periodSeconds: 0.2 })), 200)
})

test('one that is well is trusted for its period, and for five seconds at most', () => {
  assert.equal(trustMs(check), 5000)
  assert.equal(trustMs(sampleCheck({ periodSeconds: 2 })), 2000)
})
