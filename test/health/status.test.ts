import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { HealthCheck } from '@orchestry/sdk'
import type { HealthState } from '../../runtime/health/health.ts'
import {
  adoptionDelayMs,
  firstDelayMs,
  initialState,
  nextDelayMs,
  observe,
  presentCheck,
  settlingDelayMs,
  thresholdsOf,
  withProblem,
} from '../../runtime/health/status.ts'
import { startupBudgetMs } from '../../runtime/limits.ts'

const check: HealthCheck = {
  protocol: 'HTTP',
  path: '/',
  method: 'GET',
  headers: {},
  expectedStatusCodes: [],
  initialDelaySeconds: 0,
  periodSeconds: 10,
  timeoutSeconds: 1,
  failureThreshold: 3,
  successThreshold: 2,
}

/** Answers as letters (h, u, ? for unknown) and the states they lead to. */
function walk(answers: string, isAdopted = false): string {
  const words = { h: 'healthy', u: 'unhealthy', '?': 'unknown' } as const
  let state: HealthState = initialState(0)
  let path = ''
  for (const [index, letter] of answers.split('').entries()) {
    const status = words[letter as keyof typeof words]
    state = observe(state, { status }, index + 1, thresholdsOf(check, isAdopted))
    path += state.status === 'unknown' ? '?' : state.status[0]
  }
  return path
}

describe('a replica changes its health by rise and fall', () => {
  const rows: [string, string, string, boolean?][] = [
    ['the first decisive answer counts alone, when it is good', 'h', 'h'],
    ['the first decisive answer counts alone, when it is bad', 'u', 'u'],
    ['nothing decisive leaves it unknown', '???', '???'],
    ['unknown answers before the first decisive one do not matter', '??h', '??h'],
    ['it falls only at the third failure in a row', 'huuu', 'hhhu'],
    ['a success between failures starts the count again', 'huuhuuu', 'hhhhhhu'],
    ['an unknown answer neither counts nor breaks the row', 'hu?uu', 'hhhhu'],
    ['it rises only at the second success in a row', 'uhh', 'uuh'],
    ['a failure between successes starts the count again', 'uhuhh', 'uuuuh'],
    ['an adopted replica does not fall at its first failure', 'u', '?', true],
    ['an adopted replica falls at the third failure', 'uuu', '??u', true],
    ['an adopted replica is healthy at its first success', 'h', 'h', true],
  ]
  for (const [sentence, answers, expected, isAdopted] of rows) {
    test(sentence, () => assert.equal(walk(answers, isAdopted), expected))
  }
})

test('since is the time of the change, not of the last answer', () => {
  const first = observe(initialState(0), { status: 'healthy' }, 100, thresholdsOf(check, false))
  const second = observe(first, { status: 'healthy', responseTimeMs: 4 }, 200, thresholdsOf(check, false))
  assert.equal(second.sinceMs, 100)
  assert.deepEqual(second.last, { status: 'healthy', responseTimeMs: 4, atMs: 200 })
})

test('a check that cannot be made leaves status and streak, and its problem ends with the next decisive answer', () => {
  const thresholds = thresholdsOf(check, false)
  let state = observe(initialState(0), { status: 'healthy' }, 1, thresholds)
  state = observe(state, { status: 'unhealthy' }, 2, thresholds)
  state = withProblem(state, 'the plugin rests')
  assert.deepEqual([state.status, state.streak, state.problem], ['healthy', 1, 'the plugin rests'])
  state = observe(state, { status: 'unhealthy' }, 3, thresholds)
  assert.deepEqual([state.status, state.streak, state.problem], ['healthy', 2, undefined])
})

test('an unknown answer says why', () => {
  const state = observe(initialState(0), { status: 'unknown', message: 'no grant' }, 1, thresholdsOf(check, false))
  assert.equal(state.problem, 'no grant')
})

const withStartup = { ...check, startup: { periodSeconds: 4, failureThreshold: 30, timeoutSeconds: 3 } }

describe('how long an answer may take', () => {
  const rows: [string, number, number][] = [
    ['as the check says, once the replica is up', presentCheck(withStartup, false).timeoutSeconds, 1],
    ['as its startup says, while it starts', presentCheck(withStartup, true).timeoutSeconds, 3],
    ['as the check says while it starts, without a startup', presentCheck(check, true).timeoutSeconds, 1],
  ]
  for (const [sentence, actual, expected] of rows) test(sentence, () => assert.equal(actual, expected))
})

describe('how long a replica may take until its first success', () => {
  const rows: [string, HealthCheck, number][] = [
    ['a minute, where the spec does not say', check, 60],
    ['as long as it takes to fall, where that is more', { ...check, failureThreshold: 10 }, 100],
    ['as long as its startup says, and no longer', withStartup, 120],
    [
      'as its startup says, where that is less',
      { ...check, startup: { ...withStartup.startup, failureThreshold: 2 } },
      8,
    ],
    ['after its initial delay', { ...withStartup, initialDelaySeconds: 7 }, 127],
    ['after its initial delay, without a startup too', { ...check, initialDelaySeconds: 7 }, 67],
  ]
  for (const [sentence, given, seconds] of rows)
    test(sentence, () => assert.equal(startupBudgetMs(given), seconds * 1000))
})

describe('when a replica is probed', () => {
  const rows: [string, number, number][] = [
    ['a new replica at once', firstDelayMs(check, 0), 0],
    ['after its initial delay', firstDelayMs({ ...check, initialDelaySeconds: 3 }, 0), 3000],
    [
      'the initial delay counts from its start, not from when it was seen',
      firstDelayMs({ ...check, initialDelaySeconds: 3 }, 2000),
      1000,
    ],
    ['an old replica at once, whatever the initial delay', firstDelayMs({ ...check, initialDelaySeconds: 3 }, 9000), 0],
    ['quickly while it starts', nextDelayMs(check, true, 0.5), 150],
    ['no slower than its period while it starts', nextDelayMs({ ...check, periodSeconds: 0.1 }, true, 0.5), 100],
    ['with the period of its startup while it starts, where it has one', nextDelayMs(withStartup, true, 0.5), 4000],
    ['spread then, too', nextDelayMs(withStartup, true, 1), 4400],
    ['with its period after its startup', nextDelayMs(withStartup, false, 0.5), 10_000],
    ['anywhere in its period after it came up, at the earliest', settlingDelayMs(check, 0), 1000],
    ['anywhere in its period after it came up, at the latest', settlingDelayMs(check, 1), 10_000],
    ['at once when it is the only one that was running before us', adoptionDelayMs(1, 0.99), 0],
    ['soon when it is one of ten that were running before us', adoptionDelayMs(10, 1), 45],
    ['within half a second when it is one of thousands that were running before us', adoptionDelayMs(5000, 1), 500],
    ['with its period once it is healthy', nextDelayMs(check, false, 0.5), 10_000],
    ['a tenth earlier at most', nextDelayMs(check, false, 0), 9000],
    ['a tenth later at most', nextDelayMs(check, false, 1), 11_000],
  ]
  for (const [sentence, actual, expected] of rows) test(sentence, () => assert.equal(Math.round(actual), expected))
})
