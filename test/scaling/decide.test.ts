/** One app, one pass: what the votes asked for, what held it back, and the sentence a person reads. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ScalingRule } from '../../runtime/apps/app.ts'
import { clamp, type DecideInput, decide } from '../../runtime/scaling/decide.ts'
import type { Limit, VoteRecord } from '../../runtime/scaling/decision.ts'
import { freshState, resume } from '../../runtime/scaling/state.ts'
import { fails, holds, inputOf, scalingOf, start, unlimited, wants } from './sample.ts'

type Row = [string, number, VoteRecord[], Partial<DecideInput>, number, Limit['kind'][], RegExp]

const windowed = (seconds: number): ScalingRule => ({ ...unlimited, stabilizationWindowSeconds: seconds })
const bounded = scalingOf({ minReplicas: 3, maxReplicas: 8 })
const stateOf = (given: Partial<NonNullable<DecideInput['state']>>, size: number) => ({
  ...freshState(size, start - 3_600_000),
  ...given,
})

describe('a decision', () => {
  const table: Row[] = [
    ['grows to what is wanted', 2, [wants(5)], {}, 5, [], /^5 wanted$/],
    ['shrinks to what is wanted', 5, [wants(2)], {}, 2, [], /^2 wanted$/],
    ['stays when the size is right', 5, [wants(5)], {}, 5, [], /^5 wanted$/],
    ['holds when all hold, and says why', 5, [holds()], {}, 5, [], /^no fresh metrics: rps$/],
    ['holds without any scaler', 5, [], {}, 5, [], /no scaler is named/],
    ['holds when all fail', 5, [fails()], {}, 5, [], /scaler broken failed/],
    [
      'an error vetoes scale-in',
      5,
      [wants(2), fails()],
      {},
      5,
      ['veto'],
      /nothing is scaled in while scaler broken failed/,
    ],
    ['an error does not veto scale-out', 5, [wants(8), fails()], {}, 8, [], /^8 wanted$/],
    [
      'nothing is taken from an app without healthy replicas',
      5,
      [wants(2)],
      { healthyReplicas: 0 },
      5,
      ['unhealthy'],
      /no replica is healthy/,
    ],
    ['it may still grow', 5, [wants(6)], { healthyReplicas: 0 }, 6, [], /6 wanted/],
    [
      'nothing is taken from a degraded app',
      5,
      [wants(2)],
      { isDegraded: true },
      5,
      ['unhealthy'],
      /the app is degraded/,
    ],
    [
      'paused, it shows what it would do and stays',
      5,
      [wants(8)],
      { paused: 'all' },
      5,
      ['paused'],
      /^scaling is paused$/,
    ],
    ['pausing in leaves out', 5, [wants(8)], { paused: 'in' }, 8, [], /8 wanted/],
    ['pausing in holds in', 5, [wants(2)], { paused: 'in' }, 5, ['paused'], /^scale-in is paused$/],
    ['pausing out holds out', 5, [wants(8)], { paused: 'out' }, 5, ['paused'], /^scale-out is paused$/],
    [
      'the maximum cuts a vote',
      5,
      [wants(50)],
      { scaling: bounded },
      8,
      ['bounds'],
      /^50 wanted; minReplicas is 3, maxReplicas 8$/,
    ],
    ['the minimum lifts a vote', 5, [wants(0)], { scaling: bounded }, 3, ['bounds'], /^0 wanted; minReplicas is 3/],
    [
      'manual mode holds',
      5,
      [],
      { scaling: { ...bounded, mode: 'manual' } },
      5,
      ['manual'],
      /mode is manual: 5 replicas/,
    ],
    [
      'bounds apply in manual mode too',
      1,
      [],
      { scaling: { ...bounded, mode: 'manual' } },
      3,
      ['bounds'],
      /1 replica lie/,
    ],
    [
      'bounds apply while paused too',
      9,
      [],
      { scaling: bounded, paused: 'all' },
      8,
      ['bounds'],
      /9 replicas lie outside/,
    ],
    [
      'a cooldown holds, and says for how long',
      5,
      [wants(8)],
      { scaling: scalingOf({ cooldownSeconds: { out: 30, in: 0 } }), state: stateOf({ lastOutMs: start - 10_000 }, 5) },
      5,
      ['cooldown'],
      /^scale-out cools down for 20 s more \(of 30 s\)$/,
    ],
    [
      'a rate limit cuts the step, and both reasons are told',
      5,
      [wants(10)],
      {
        scaling: scalingOf({
          behavior: {
            scaleOut: { ...unlimited, policies: [{ type: 'replicas', value: 2, periodSeconds: 60 }] },
            scaleIn: unlimited,
          },
        }),
      },
      7,
      ['rate'],
      /^10 wanted; scale-out may reach 7 for now \(behavior.scaleOut\)$/,
    ],
    [
      'scale-in that is switched off holds',
      5,
      [wants(2)],
      { scaling: scalingOf({ behavior: { scaleOut: unlimited, scaleIn: { ...unlimited, isDisabled: true } } }) },
      5,
      ['rate'],
      /scale-in is switched off/,
    ],
    [
      'a larger recommendation of the window is kept to',
      5,
      [wants(2)],
      {
        scaling: scalingOf({ behavior: { scaleOut: unlimited, scaleIn: windowed(60) } }),
        state: stateOf({ highs: [{ atMs: start - 30_000, replicas: 4 }] }, 5),
      },
      4,
      ['stabilization'],
      /^2 wanted; more was recommended within the last 60 s$/,
    ],
  ]
  for (const [sentence, current, answers, given, to, kinds, reason] of table) {
    it(sentence, () => {
      const { decision, state } = decide(inputOf({ current, answers, ...given }))
      assert.equal(decision.to, to)
      assert.deepEqual(
        decision.limits.map(({ kind }) => kind),
        kinds,
      )
      assert.match(decision.reason, reason)
      assert.equal(decision.action, to > current ? 'out' : to < current ? 'in' : 'hold')
      assert.equal(state.size, to)
    })
  }

  it('chains its limits: each begins where the one before ended', () => {
    const rule: ScalingRule = { ...windowed(60), policies: [{ type: 'replicas', value: 1, periodSeconds: 60 }] }
    const { decision } = decide(
      inputOf({
        current: 8,
        answers: [wants(1)],
        paused: 'in',
        scaling: scalingOf({ behavior: { scaleOut: unlimited, scaleIn: rule } }),
        state: stateOf({ highs: [{ atMs: start - 1000, replicas: 4 }] }, 8),
      }),
    )
    assert.deepEqual(
      decision.limits.map(({ kind, from, to }) => [kind, from, to]),
      [
        ['stabilization', 1, 4],
        ['rate', 4, 7],
        ['paused', 7, 8],
      ],
    )
  })

  // kubernetes/kubernetes pkg/controller/podautoscaler/horizontal_test.go (Apache-2.0), whole passes. Their metrics are
  // given here as the proposal they lead to; their rules without "behavior" as a 300 s scale-in window.
  /** name, min, max, size, votes, history of [recommendation, age in s], → size */
  const passes: [string, number, number, number, VoteRecord[], [number, number][], number][] = [
    ['below-min-jumps', 3, 5, 2, [], [], 3],
    ['immediate-min', 2, 6, 1, [], [], 2],
    ['above-max-drops', 3, 5, 10, [], [], 5],
    ['immediate-max', 2, 5, 6, [], [], 5],
    ['zero-mark-and-raised-min', 2, 6, 0, [], [], 2],
    ['up-with-one-invalid', 2, 6, 3, [wants(4), fails()], [], 4],
    ['up-with-one-failing', 2, 6, 3, [wants(4), fails()], [], 4],
    ['no-down-with-one-invalid', 2, 6, 5, [wants(3), fails()], [], 5],
    ['fetch-fails-pods', 1, 100, 3, [fails()], [], 3],
    ['all-missing', 2, 6, 4, [fails()], [], 4],
    [
      'downscale-stabilised',
      1,
      5,
      4,
      [wants(2)],
      [
        [10, 600],
        [4, 60],
      ],
      4,
    ],
    ['min-clamps', 2, 5, 3, [wants(1)], [], 2],
  ]
  for (const [name, minReplicas, maxReplicas, current, answers, history, expected] of passes) {
    it(`${name}: ${current} becomes ${expected}`, () => {
      const scaling = scalingOf({
        minReplicas,
        maxReplicas,
        behavior: { scaleOut: unlimited, scaleIn: windowed(300) },
      })
      const highs = history.map(([replicas, age]) => ({ atMs: start - age * 1000, replicas }))
      assert.equal(
        decide(inputOf({ current, answers, scaling, state: stateOf({ highs }, current) })).decision.to,
        expected,
      )
    })
  }

  // hashicorp/nomad-autoscaler ede4e61, tests of sdk/ (MPL-2.0, figures only): capping a count
  const capped: [string, number, number, number, number][] = [
    ['empty-input-action', 0, 0, 0, 0],
    ['desired-count-lower-than-min-threshold', 4, 5, 10, 5],
    ['desired-count-higher-than-max-threshold', 15, 5, 10, 10],
    ['store-previous-reason', 0, 5, 10, 5],
  ]
  for (const [name, count, minReplicas, maxReplicas, expected] of capped) {
    it(`${name}: ${count} in ${minReplicas}–${maxReplicas} becomes ${expected}`, () => {
      assert.equal(clamp(count, scalingOf({ minReplicas, maxReplicas })), expected)
    })
  }
})

describe('what is remembered', () => {
  const calm = scalingOf({ behavior: { scaleOut: unlimited, scaleIn: windowed(60) }, windowSeconds: 20 })

  it('a first pass keeps the size it finds for the whole window', () => {
    const at = (seconds: number, state: DecideInput['state']) => {
      const { state: _, ...input } = inputOf({ current: 5, answers: [wants(1)], scaling: calm })
      return decide({ ...input, now: start + seconds * 1000, ...(state && { state }) })
    }
    const first = at(0, undefined)
    assert.equal(first.decision.to, 5)
    assert.match(first.decision.reason, /watches this app anew since 0 s: nothing is scaled in before 60 s/)
    const later = at(59, first.state)
    assert.equal(later.decision.to, 5)
    assert.equal(at(60, later.state).decision.to, 1)
  })
  it('a restart keeps cooldowns and begins the window anew', () => {
    const stored = stateOf({ lastOutMs: start - 5000 }, 5)
    const scaling = { ...calm, cooldownSeconds: { out: 30, in: 0 } }
    const state = resume(stored, 5, start)
    assert.equal(decide(inputOf({ current: 5, answers: [wants(9)], scaling, state })).decision.to, 5)
    assert.equal(decide(inputOf({ current: 5, answers: [wants(1)], scaling, state })).decision.to, 5)
  })
  it('a long silence is like a restart: the first word after it takes nothing away', () => {
    const scaling = calm
    let state = stateOf({}, 5)
    for (const seconds of [0, 30, 61]) {
      state = decide(inputOf({ now: start + seconds * 1000, current: 5, answers: [holds()], scaling, state })).state
    }
    const { decision } = decide(inputOf({ now: start + 62_000, current: 5, answers: [wants(1)], scaling, state }))
    assert.equal(decision.to, 5)
  })
  it('a short silence is not', () => {
    let state = stateOf({}, 5)
    state = decide(inputOf({ current: 5, answers: [holds()], scaling: calm, state })).state
    const { decision } = decide(inputOf({ now: start + 1000, current: 5, answers: [wants(1)], scaling: calm, state }))
    assert.equal(decision.to, 1)
  })
  it('a size that somebody else set is the new base', () => {
    const state = stateOf({ changes: [{ atMs: start - 1000, by: 4 }] }, 5)
    const scaling = scalingOf({
      behavior: {
        scaleOut: { ...unlimited, policies: [{ type: 'replicas', value: 4, periodSeconds: 60 }] },
        scaleIn: unlimited,
      },
    })
    assert.equal(decide(inputOf({ current: 5, answers: [wants(10)], scaling, state })).decision.to, 5)
    assert.equal(decide(inputOf({ current: 2, answers: [wants(10)], scaling, state })).decision.to, 6)
  })
  it('a clock that was set back does not lengthen a cooldown', () => {
    const scaling = scalingOf({ cooldownSeconds: { out: 30, in: 30 } })
    const state = stateOf({ lastOutMs: start + 3_600_000 }, 5)
    const first = decide(inputOf({ current: 5, answers: [wants(9)], scaling, state }))
    assert.equal(first.decision.to, 5)
    const later = decide(inputOf({ now: start + 30_000, current: 5, answers: [wants(9)], scaling, state: first.state }))
    assert.equal(later.decision.to, 9)
  })
  it('a jump into the bounds starts no cooldown', () => {
    const scaling = scalingOf({ minReplicas: 3, cooldownSeconds: { out: 300, in: 300 } })
    const jumped = decide(inputOf({ current: 1, answers: [], scaling }))
    assert.equal(jumped.decision.by, 'bounds')
    const next = decide(inputOf({ current: 3, answers: [wants(7)], scaling, state: jumped.state }))
    assert.equal(next.decision.to, 7)
  })
})
