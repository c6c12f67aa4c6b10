/** What must hold for whatever scalers say, however an app is set up, over any run of passes. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { Scaling, ScalingRule } from '../../runtime/apps/app.ts'
import { type DecideInput, decide } from '../../runtime/scaling/decide.ts'
import type { VoteRecord } from '../../runtime/scaling/decision.ts'
import { resume, type ScalingState } from '../../runtime/scaling/state.ts'
import { ceiling, fails, floor, holds, scalingOf, start, wants } from './sample.ts'

const size = fc.integer({ min: 0, max: 60 })
const vote: fc.Arbitrary<VoteRecord> = fc.oneof(
  size.map((replicas) => wants(replicas)),
  size.map((replicas) => floor(replicas)),
  size.map((replicas) => ceiling(replicas)),
  fc.constant(holds()),
  fc.constant(fails()),
)
const rule: fc.Arbitrary<ScalingRule> = fc.record({
  stabilizationWindowSeconds: fc.integer({ min: 0, max: 120 }),
  policies: fc.array(
    fc.record({
      type: fc.constantFrom('replicas' as const, 'percent' as const),
      value: fc.integer({ min: 0, max: 300 }),
      periodSeconds: fc.integer({ min: 1, max: 120 }),
    }),
    { maxLength: 3 },
  ),
  isDisabled: fc.boolean(),
})
const scaling: fc.Arbitrary<Scaling> = fc
  .record({
    mode: fc.constantFrom('auto' as const, 'auto' as const, 'auto' as const, 'manual' as const),
    low: size,
    high: size,
    windowSeconds: fc.integer({ min: 1, max: 60 }),
    cooldownSeconds: fc.record({ out: fc.integer({ min: 0, max: 90 }), in: fc.integer({ min: 0, max: 90 }) }),
    behavior: fc.record({ scaleOut: rule, scaleIn: rule }),
  })
  .map(({ low, high, ...given }) =>
    scalingOf({ ...given, minReplicas: Math.min(low, high), maxReplicas: Math.max(low, high) }),
  )
const moment = fc.record({
  afterMs: fc.integer({ min: 0, max: 60_000 }),
  answers: fc.array(vote, { maxLength: 4 }),
  paused: fc.constantFrom('none' as const, 'none' as const, 'all' as const, 'in' as const, 'out' as const),
  healthyShare: fc.double({ min: 0, max: 1, noNaN: true }),
  isDegraded: fc.boolean(),
})
type Moment = typeof moment extends fc.Arbitrary<infer T> ? T : never

/** Plays the moments one after the other and hands every pass to `see`. */
function play(
  given: { scaling: Scaling; first: number; moments: readonly Moment[] },
  see: (input: DecideInput, outcome: ReturnType<typeof decide>, index: number) => void,
): void {
  let now = start
  let current = given.first
  let state: ScalingState | undefined
  for (const [index, { afterMs, healthyShare, ...rest }] of given.moments.entries()) {
    now += afterMs
    const input: DecideInput = {
      ...rest,
      now,
      app: 'shop',
      scaling: given.scaling,
      current,
      healthyReplicas: Math.round(current * healthyShare),
      metrics: {},
      ...(state && { state }),
    }
    const outcome = decide(input)
    see(input, outcome, index)
    current = outcome.decision.to
    state = outcome.state
  }
}
const run = fc.record({ scaling, first: size, moments: fc.array(moment, { minLength: 1, maxLength: 25 }) })

describe('always', () => {
  it('the bounds are kept', () => {
    fc.assert(
      fc.property(run, (given) =>
        play(given, ({ scaling: { minReplicas, maxReplicas } }, { decision: { to } }) => {
          assert.ok(to >= minReplicas && to <= maxReplicas, `${to} outside ${minReplicas}–${maxReplicas}`)
        }),
      ),
    )
  })
  it('nothing is scaled in while a vote is an error, no replica is healthy, or the app is degraded', () => {
    fc.assert(
      fc.property(run, (given) =>
        play(given, ({ answers, healthyReplicas, isDegraded }, { decision }) => {
          const isUnsure = answers.some((answer) => 'error' in answer) || healthyReplicas === 0 || isDegraded
          if (isUnsure && decision.by === 'scaler') assert.notEqual(decision.action, 'in')
        }),
      ),
    )
  })
  it('limits form a chain from what was wanted to what is done', () => {
    fc.assert(
      fc.property(run, (given) =>
        play(given, (_, { decision: { limits, to } }) => {
          for (const [index, limit] of limits.entries()) {
            if (index > 0) assert.equal(limit.from, limits[index - 1]?.to)
            assert.notEqual(limit.reason, '')
          }
          if (limits.length > 0) assert.equal(limits.at(-1)?.to, to)
        }),
      ),
    )
  })
  it('the same input gives the same output, also through JSON, and is left as it was', () => {
    fc.assert(
      fc.property(run, (given) =>
        play(given, (input, outcome) => {
          const copy = JSON.parse(JSON.stringify(input)) as DecideInput
          assert.deepEqual(decide(copy), outcome)
          assert.deepEqual(copy, JSON.parse(JSON.stringify(input)))
          assert.deepEqual(JSON.parse(JSON.stringify(outcome)), outcome)
        }),
      ),
    )
  })
  it('deciding again at once, with the same votes, changes nothing more', () => {
    fc.assert(
      fc.property(run, (given) =>
        play(given, (input, { decision, state }) => {
          if (decision.by === 'bounds') return
          const again = decide({
            ...input,
            current: decision.to,
            healthyReplicas: Math.max(1, input.healthyReplicas),
            state,
          })
          // A floor or ceiling alone refers to the size there is, so only votes of a size can be compared.
          const isAbsolute = input.answers.some((answer) => 'vote' in answer && 'replicas' in answer.vote)
          if (isAbsolute && input.healthyReplicas > 0) assert.equal(again.decision.to, decision.to)
        }),
      ),
    )
  })
  it('a restart never shrinks: whatever is voted, the first pass takes nothing away', () => {
    fc.assert(
      fc.property(run, moment, fc.integer({ min: 0, max: 3_600_000 }), (given, next, downMs) => {
        play(given, (input, { decision, state }) => {
          if (decision.by === 'bounds') return
          const now = input.now + downMs
          const stored = JSON.parse(JSON.stringify(state)) as ScalingState
          const { answers, paused, isDegraded } = next
          const after = decide({
            ...input,
            now,
            answers,
            paused,
            isDegraded,
            current: decision.to,
            state: resume(stored, decision.to, now),
          })
          assert.notEqual(after.decision.action, 'in')
        })
      }),
    )
  })
  it('an hour of restless votes leaves no more in memory than there are sizes', () => {
    const behavior = {
      scaleOut: { stabilizationWindowSeconds: 3600, policies: [], isDisabled: false },
      scaleIn: { stabilizationWindowSeconds: 3600, policies: [], isDisabled: false },
    }
    const scaling = scalingOf({ maxReplicas: 60, behavior })
    let state: ScalingState | undefined
    for (let second = 0; second < 3600; second += 1) {
      const answers = [wants((second * 37) % 61)]
      const now = start + second * 1000
      const input = { now, app: 'shop', scaling, paused: 'none', current: 30, healthyReplicas: 30 } as const
      ;({ state } = decide({ ...input, isDegraded: false, answers, metrics: {}, ...(state && { state }) }))
    }
    assert.ok(state && state.highs.length <= 61 && state.lows.length <= 61)
  })
})
