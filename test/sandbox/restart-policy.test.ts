import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { judgeRestart } from '../../runtime/sandbox/restart-policy.ts'

const now = 10_000_000
const ago = (...seconds: number[]) => seconds.map((second) => now - second * 1_000)

describe('a plugin that died', () => {
  const cases: [string, number[], ReturnType<typeof judgeRestart>][] = [
    ['for the first time restarts at once', ago(0), { restartAfterMs: 0 }],
    ['again within a minute waits', ago(30, 0), { restartAfterMs: 250 }],
    ['a third time waits twice as long', ago(40, 30, 0), { restartAfterMs: 500 }],
    ['after a quiet minute restarts at once again', ago(120, 61, 0), { restartAfterMs: 0 }],
    [
      'five times in ten minutes is quarantined',
      ago(599, 400, 300, 200, 0),
      { quarantine: 'it died 5 times within ten minutes' },
    ],
    ['five times in a longer time is not', ago(600, 400, 300, 200, 0), { restartAfterMs: 0 }],
  ]
  for (const [name, deaths, verdict] of cases) {
    test(name, () => assert.deepEqual(judgeRestart(deaths, now), verdict))
  }
})
