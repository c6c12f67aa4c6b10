import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { afterFailure, type Backoff, calm, needsTrial, provenAtMs } from '../../runtime/reconcile/backoff.ts'

/** Waits after failures in a row, each of a replica that was started when the wait before was over. */
function waits(count: number, servedMs?: number, chance = 0): number[] {
  let backoff: Backoff = calm
  let nowMs = 1000
  const all: number[] = []
  for (let index = 0; index < count; index += 1) {
    const startedAtMs = nowMs
    nowMs += 10
    backoff = afterFailure(backoff, servedMs === undefined ? { startedAtMs } : { startedAtMs, servedMs }, nowMs, chance)
    all.push(Math.round(backoff.retryAtMs - nowMs))
    nowMs = backoff.retryAtMs + 1
  }
  return all
}

describe('the wait after failures in a row', () => {
  const rows: [string, number[], number[]][] = [
    ['doubles from half a second to a minute', waits(9), [500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]],
    ['is spread downwards by a fifth at most', waits(2, undefined, 1), [400, 800]],
    ['is nothing for the first accident of one that served', waits(3, 2000), [0, 1000, 2000]],
  ]
  for (const [sentence, actual, expected] of rows) {
    test(sentence, () => assert.deepEqual(actual, expected))
  }
})

test('one that has proven itself fails without any wait', () => {
  assert.equal(afterFailure(calm, { startedAtMs: 0, servedMs: 10_000 }, 20_000, 0), calm)
})

test('replicas that were started together count as one failure', () => {
  const first = afterFailure(calm, { startedAtMs: 100 }, 200, 0)
  assert.equal(afterFailure(first, { startedAtMs: 100 }, 210, 0), first)
  assert.equal(afterFailure(first, { startedAtMs: 200 }, 300, 0), first)
  assert.equal(afterFailure(first, { startedAtMs: 201 }, 300, 0).failures, 2)
})

test('after an accident all are started at once, after a failed start one is tried', () => {
  assert.equal(needsTrial(calm), false)
  assert.equal(needsTrial(afterFailure(calm, { startedAtMs: 0, servedMs: 100 }, 200, 0)), false)
  assert.equal(needsTrial(afterFailure(calm, { startedAtMs: 0 }, 200, 0)), true)
})

test('only a replica that was started after the last failure proves anything, and only in time', () => {
  const failed = afterFailure(calm, { startedAtMs: 100 }, 200, 0)
  assert.equal(provenAtMs(failed, { startedAtMs: 150, sinceMs: 160 }), undefined)
  assert.equal(provenAtMs(failed, { startedAtMs: 700, sinceMs: 800 }), 10_800)
})
