/**
 * Stabilization windows, with figures from the tests of Kubernetes and Karmada.
 * Differs on purpose: what a newer recommendation outdoes is not kept (their logs reuse slots instead), so figures about the
 * log itself are not taken; only the sizes are.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { remember, stabilize } from '../../runtime/scaling/stabilize.ts'
import type { Recommendation } from '../../runtime/scaling/state.ts'
import { start } from './sample.ts'

/** recommendation, age in seconds */
type History = [number, number][]
/** name, history, current, wanted, scale-out window, scale-in window (seconds) → size */
type Row = [string, History, number, number, number, number, number]

// kubernetes/kubernetes pkg/controller/podautoscaler/horizontal_test.go (Apache-2.0), stabilization with "behavior"
const kubernetes: Row[] = [
  [
    'behavior-stabilise-down-held',
    [
      [4, 120],
      [5, 60],
    ],
    100,
    3,
    0,
    180,
    5,
  ],
  [
    'behavior-stabilise-up-held',
    [
      [4, 120],
      [5, 60],
    ],
    1,
    7,
    300,
    0,
    4,
  ],
  [
    'behavior-stabilise-down-free',
    [
      [1, 120],
      [2, 60],
    ],
    100,
    3,
    300,
    0,
    3,
  ],
  [
    'behavior-stabilise-up-free',
    [
      [4, 120],
      [5, 60],
    ],
    1,
    3,
    0,
    300,
    3,
  ],
  [
    'behavior-stabilise-down-reuse',
    [
      [10, 600],
      [9, 540],
    ],
    100,
    3,
    0,
    0,
    3,
  ],
  [
    'behavior-stabilise-up-reuse',
    [
      [10, 600],
      [9, 540],
    ],
    1,
    100,
    0,
    0,
    100,
  ],
  [
    'behavior-stabilise-up-held-reuse',
    [
      [10, 6000],
      [6, 60],
      [5, 120],
      [9, 180],
    ],
    1,
    100,
    300,
    0,
    5,
  ],
]
// the same file, rules without "behavior": the largest recommendation of 300 s
const plain: Row[] = [
  ['stabilise-empty', [], 100, 5, 0, 300, 5],
  [
    'stabilise-held',
    [
      [4, 120],
      [5, 60],
    ],
    100,
    3,
    0,
    300,
    5,
  ],
  [
    'stabilise-not-held',
    [
      [1, 120],
      [2, 60],
    ],
    100,
    3,
    0,
    300,
    3,
  ],
  [
    'stabilise-old-only',
    [
      [10, 600],
      [9, 540],
    ],
    100,
    3,
    0,
    300,
    3,
  ],
  [
    'stabilise-old-and-new',
    [
      [10, 600],
      [4, 60],
      [5, 120],
      [9, 540],
    ],
    100,
    3,
    0,
    300,
    5,
  ],
]
// karmada-io/karmada pkg/controllers/federatedhpa/federatedhpa_controller_test.go (Apache-2.0)
const karmada: Row[] = [
  [
    'scale-down-stabilized',
    [
      [5, 300],
      [4, 480],
    ],
    8,
    3,
    300,
    600,
    5,
  ],
  ['no-change-needed', [[5, 60]], 5, 5, 300, 600, 5],
]

describe('stabilization', () => {
  for (const [name, history, current, wanted, outSeconds, inSeconds, expected] of [
    ...kubernetes,
    ...plain,
    ...karmada,
  ]) {
    it(`${name}: ${current} → ${wanted} becomes ${expected}`, () => {
      let lows: readonly Recommendation[] = []
      let highs: readonly Recommendation[] = []
      for (const [replicas, age] of [...history.toSorted((a, b) => b[1] - a[1]), [wanted, 0] as const]) {
        const added = { atMs: start - age * 1000, replicas }
        lows = remember(lows, added, 'lowest', outSeconds * 1000)
        highs = remember(highs, added, 'highest', inSeconds * 1000)
      }
      assert.equal(stabilize(current, lows, highs), expected)
    })
  }

  it('keeps one entry for a steady app, whatever the window', () => {
    let run: readonly Recommendation[] = []
    for (let second = 0; second < 1000; second += 1) {
      run = remember(run, { atMs: start + second * 1000, replicas: 5 }, 'highest', 300_000)
    }
    assert.deepEqual(run, [{ atMs: start + 999_000, replicas: 5 }])
  })
  it('drops what lies in the future, after the clock was set back', () => {
    const run = remember([{ atMs: start + 60_000, replicas: 9 }], { atMs: start, replicas: 2 }, 'highest', 300_000)
    assert.deepEqual(run, [{ atMs: start, replicas: 2 }])
  })
})
