import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { coolingMs } from '../../runtime/scaling/cooldown.ts'
import { start } from './sample.ts'

describe('cooldown', () => {
  const cooldown = { out: 30, in: 300 }
  /** sentence, direction, last out and last in (seconds ago) → seconds to wait */
  const table: [string, 'out' | 'in', number | undefined, number | undefined, number][] = [
    ['nothing has happened yet', 'out', undefined, undefined, 0],
    ['an out delays the next out', 'out', 10, undefined, 20],
    ['an in does not delay an out', 'out', undefined, 1, 0],
    ['an out delays an in', 'in', 10, undefined, 290],
    ['an in delays the next in', 'in', undefined, 100, 200],
    ['the newer of both counts for an in', 'in', 50, 100, 250],
    ['it is over to the millisecond', 'out', 30, undefined, 0],
  ]
  for (const [sentence, direction, out, into, expected] of table) {
    it(sentence, () => {
      const state = {
        ...(out !== undefined && { lastOutMs: start - out * 1000 }),
        ...(into !== undefined && { lastInMs: start - into * 1000 }),
      }
      assert.equal(coolingMs(direction, cooldown, state, start), expected * 1000)
    })
  }

  // hashicorp/nomad-autoscaler ede4e61 tests of policy/ (MPL-2.0, figures only), "over": 1200 s of cooldown, last event 1500 s ago.
  // There the rest is −300 s; here what is over is 0.
  it('a cooldown of 1200 s is over 1500 s after the last event', () => {
    assert.equal(coolingMs('in', { out: 1200, in: 1200 }, { lastOutMs: start - 1_500_000 }, start), 0)
  })
})
