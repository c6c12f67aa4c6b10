/**
 * Rate limits, with figures from the tests of Kubernetes and Karmada.
 *
 * Differs on purpose: percentages are computed in whole numbers (theirs in floating point, where 100 + 10 % can become 111),
 * several policies always mean "the one that allows most" (theirs may select the least), and from zero at least one replica
 * may start.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ScalingRule } from '../../runtime/apps/app.ts'
import { growthLimit, recordChange, shrinkLimit } from '../../runtime/scaling/rate.ts'
import type { SizeChange } from '../../runtime/scaling/state.ts'
import { start, unlimited } from './sample.ts'

/** type, value, period in seconds */
type Policy = ['replicas' | 'percent', number, number]
/** size of the change, age in seconds */
type Event = [number, number]
type Row = [string, number, number, number, number, Policy[], Policy[], Event[], Event[], number]

const upDefault: Policy[] = [
  ['replicas', 4, 15],
  ['percent', 100, 15],
]
const downDefault: Policy[] = [['percent', 100, 15]]

const ruleOf = (policies: readonly Policy[]): ScalingRule => ({
  ...unlimited,
  policies: policies.map(([type, value, periodSeconds]) => ({ type, value, periodSeconds })),
})
const changesOf = (grown: readonly Event[], shrunk: readonly Event[]): SizeChange[] =>
  [
    ...grown.map(([by, age]) => ({ atMs: start - age * 1000, by })),
    ...shrunk.map(([by, age]) => ({ atMs: start - age * 1000, by: -by })),
  ].sort((a, b) => a.atMs - b.atMs)

/** name, current, wanted, min, max, growth policies, shrink policies, growth events, shrink events → size */
// kubernetes/kubernetes pkg/controller/podautoscaler/horizontal_test.go (Apache-2.0), "behavior" limits
const kubernetes: Row[] = [
  ['rules-below-min', 3, 1, 2, 8, upDefault, downDefault, [], [], 2],
  ['rules-zero-min', 1, 0, 0, 10, upDefault, downDefault, [], [], 0],
  ['rules-above-max', 20, 1000, 1, 10, upDefault, downDefault, [], [], 10],
  ['rules-max-150', 100, 1000, 100, 150, upDefault, downDefault, [], [], 150],
  ['rules-up-default', 10, 50, 1, 1000, upDefault, downDefault, [], [], 20],
  [
    'rules-up-pct-beats-pods',
    10,
    500,
    1,
    1000,
    [
      ['replicas', 2, 60],
      ['percent', 100, 60],
    ],
    downDefault,
    [],
    [],
    20,
  ],
  ['rules-up-large-pods', 10, 50, 1, 1000, [['replicas', 100, 60]], downDefault, [], [], 50],
  ['rules-up-very-large-pods', 10, 50, 1, 1000, [['replicas', 10000, 60]], downDefault, [], [], 50],
  ['rules-up-pct-limits', 10, 50, 1, 1000, [['percent', 200, 60]], downDefault, [], [], 30],
  [
    'rules-down-pods-20-vs-1pct',
    100,
    2,
    1,
    1000,
    upDefault,
    [
      ['replicas', 20, 60],
      ['percent', 1, 60],
    ],
    [],
    [],
    80,
  ],
  [
    'rules-down-pods-2-vs-1pct',
    100,
    2,
    1,
    1000,
    upDefault,
    [
      ['replicas', 2, 60],
      ['percent', 1, 60],
    ],
    [],
    [],
    98,
  ],
  ['rules-down-100pct-min-5', 10, 2, 5, 1000, upDefault, [['percent', 100, 60]], [], [], 5],
  ['rules-down-pct-at-limit', 10, 5, 1, 1000, upDefault, [['percent', 50, 60]], [], [], 5],
  [
    'rules-up-events-max-pods',
    100,
    500,
    1,
    200,
    [['replicas', 300, 60]],
    downDefault,
    [
      [1, 100],
      [5, 60],
      [9, 20],
    ],
    [],
    200,
  ],
  [
    'rules-up-events-max-pct',
    100,
    500,
    1,
    200,
    [['percent', 10000, 60]],
    downDefault,
    [
      [1, 100],
      [5, 60],
      [9, 20],
    ],
    [],
    200,
  ],
  [
    'rules-up-events-block',
    100,
    500,
    1,
    1000,
    [['replicas', 5, 120]],
    downDefault,
    [
      [1, 100],
      [5, 60],
      [9, 20],
    ],
    [],
    100,
  ],
  [
    'rules-up-events-pct',
    100,
    500,
    1,
    1000,
    [['percent', 200, 120]],
    downDefault,
    [
      [1, 100],
      [5, 60],
      [9, 20],
    ],
    [],
    255,
  ],
  ['rules-up-both-events-pct', 6, 24, 1, 1000, [['percent', 300, 300]], downDefault, [[4, 60]], [[2, 60]], 16],
  [
    'rules-down-events-pods-min-5',
    100,
    0,
    5,
    1000,
    upDefault,
    [['replicas', 130, 120]],
    [],
    [
      [1, 100],
      [5, 60],
      [9, 20],
    ],
    5,
  ],
  [
    'rules-down-events-100pct',
    100,
    2,
    5,
    1000,
    upDefault,
    [['percent', 100, 120]],
    [],
    [
      [1, 100],
      [5, 60],
      [9, 20],
    ],
    5,
  ],
  [
    'rules-down-events-pods-block',
    100,
    2,
    1,
    1000,
    upDefault,
    [['replicas', 5, 120]],
    [],
    [
      [1, 100],
      [5, 60],
      [9, 20],
    ],
    100,
  ],
  ['rules-down-both-events-pct', 10, 1, 1, 1000, upDefault, [['percent', 50, 180]], [[2, 60]], [[4, 60]], 6],
  [
    'rules-down-events-prevent',
    100,
    0,
    1,
    1000,
    upDefault,
    [['percent', 10, 120]],
    [],
    [
      [10, 100],
      [10, 60],
      [10, 20],
    ],
    100,
  ],
  [
    'rules-down-events-1000pct',
    10,
    5,
    1,
    1000,
    upDefault,
    [['percent', 1000, 120]],
    [],
    [
      [10, 100],
      [10, 60],
      [10, 20],
    ],
    5,
  ],
  [
    'rules-up-outdated-one',
    100,
    200,
    1,
    1000,
    [['replicas', 1000, 60]],
    downDefault,
    [
      [8, 105],
      [12, 75],
      [9, 45],
      [11, 15],
    ],
    [],
    200,
  ],
  [
    'rules-up-outdated-two',
    100,
    200,
    1,
    1000,
    [
      ['replicas', 1000, 30],
      ['percent', 100, 60],
    ],
    downDefault,
    [
      [8, 105],
      [12, 75],
      [9, 45],
      [11, 15],
    ],
    [],
    200,
  ],
  [
    'rules-down-outdated-one',
    100,
    5,
    1,
    1000,
    upDefault,
    [['replicas', 1000, 60]],
    [],
    [
      [8, 105],
      [12, 75],
      [9, 45],
      [11, 15],
    ],
    5,
  ],
  [
    'rules-down-outdated-not',
    100,
    5,
    1,
    1000,
    upDefault,
    [
      ['replicas', 1000, 120],
      ['percent', 100, 60],
    ],
    [],
    [
      [8, 105],
      [12, 75],
      [9, 45],
      [11, 15],
    ],
    5,
  ],
  [
    'rules-down-outdated-two',
    100,
    5,
    1,
    1000,
    upDefault,
    [
      ['replicas', 1000, 30],
      ['percent', 100, 60],
    ],
    [],
    [
      [8, 105],
      [12, 75],
      [9, 45],
      [11, 15],
    ],
    5,
  ],
]

// karmada-io/karmada pkg/controllers/federatedhpa/federatedhpa_controller_test.go (Apache-2.0)
const karmada: Row[] = [['scale-up-within-limits', 5, 8, 1, 10, [['percent', 200, 60]], downDefault, [], [], 8]]

describe('a rate limit', () => {
  for (const [name, current, wanted, min, max, up, down, grown, shrunk, expected] of [...kubernetes, ...karmada]) {
    it(`${name}: ${current} → ${wanted} becomes ${expected}`, () => {
      const changes = changesOf(grown, shrunk)
      const most = growthLimit(ruleOf(up), current, changes, start)
      const least = shrinkLimit(ruleOf(down), current, changes, start)
      const limited = wanted > current ? Math.min(wanted, most) : Math.max(wanted, least)
      assert.equal(Math.max(min, Math.min(max, limited)), expected)
    })
  }

  // karmada-io/karmada, as above: current, growth events, policies → largest size
  const growth: [string, number, Event[], Policy[], number][] = [
    ['no-previous-events', 5, [], [['replicas', 4, 60]], 9],
    ['with-previous-scale-up-event', 5, [[2, 30]], [['replicas', 4, 60]], 7],
    ['percent-scaling-policy', 10, [], [['percent', 50, 60]], 15],
  ]
  for (const [name, current, grown, policies, expected] of growth) {
    it(`${name}: from ${current} at most ${expected}`, () => {
      assert.equal(growthLimit(ruleOf(policies), current, changesOf(grown, []), start), expected)
    })
  }

  // karmada-io/karmada, as above: current, shrink events, policies → smallest size
  const shrinking: [string, number, Event[], Policy[], number][] = [
    ['no-previous-events', 10, [], [['percent', 20, 60]], 8],
    ['with-previous-scale-down-event', 10, [[1, 30]], [['percent', 20, 60]], 8],
    [
      'multiple-policies',
      100,
      [],
      [
        ['percent', 10, 60],
        ['replicas', 5, 60],
      ],
      90,
    ],
  ]
  for (const [name, current, shrunk, policies, expected] of shrinking) {
    it(`${name}: from ${current} at least ${expected}`, () => {
      assert.equal(shrinkLimit(ruleOf(policies), current, changesOf([], shrunk), start), expected)
    })
  }

  it('switched off allows no move', () => {
    // karmada-io/karmada, "disabled-policy"
    const rule = { ...ruleOf([['percent', 20, 60]]), isDisabled: true }
    assert.equal(shrinkLimit(rule, 10, [], start), 10)
    assert.equal(growthLimit(rule, 10, [], start), 10)
  })
  it('with select min follows the policy that allows the least', () => {
    const both = ruleOf([
      ['percent', 100, 60],
      ['replicas', 4, 60],
    ])
    assert.deepEqual(
      [growthLimit(both, 10, [], start), growthLimit({ ...both, select: 'min' }, 10, [], start)],
      [20, 14],
    )
    assert.deepEqual([shrinkLimit(both, 10, [], start), shrinkLimit({ ...both, select: 'min' }, 10, [], start)], [0, 6])
  })
  it('without policies allows any move', () => {
    assert.equal(growthLimit(unlimited, 10, [], start), Number.POSITIVE_INFINITY)
    assert.equal(shrinkLimit(unlimited, 10, [], start), 0)
  })
  it('counts in whole numbers: 10 % of 100 are 10', () => {
    assert.equal(growthLimit(ruleOf([['percent', 10, 60]]), 100, [], start), 110)
  })
  it('lets the first replica start from zero', () => {
    assert.equal(growthLimit(ruleOf([['percent', 50, 60]]), 0, [], start), 1)
    assert.equal(growthLimit(ruleOf([['replicas', 0, 60]]), 0, [], start), 0)
  })
  it('forgets a change exactly as old as the period', () => {
    const rule = ruleOf([['replicas', 4, 60]])
    assert.equal(growthLimit(rule, 9, changesOf([[4, 60]], []), start), 13)
    assert.equal(growthLimit(rule, 9, changesOf([[4, 59.999]], []), start), 9)
  })

  it('keeps a change as long as some policy looks back to it', () => {
    const rules = [ruleOf([['replicas', 1, 60]]), ruleOf([['replicas', 1, 120]])]
    const kept = recordChange(
      changesOf(
        [
          [7, 120],
          [6, 61],
        ],
        [],
      ),
      { atMs: start, by: 5 },
      rules,
    )
    assert.deepEqual(
      kept.map(({ by }) => by),
      [6, 5],
    )
    assert.deepEqual(recordChange(kept, { atMs: start, by: 5 }, [unlimited]), [])
  })
})
