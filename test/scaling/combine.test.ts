/** From votes to one wanted size. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { combine } from '../../runtime/scaling/combine.ts'
import type { VoteRecord } from '../../runtime/scaling/decision.ts'
import { gather } from '../../runtime/scaling/gather.ts'
import { ceiling, fails, floor, holds, start, wants } from './sample.ts'

describe('combine', () => {
  /** sentence, votes, current → wanted (undefined = nobody said), winner */
  const table: [string, VoteRecord[], number, number | undefined, string | undefined][] = [
    ['the largest size wins', [wants(3, 'a'), wants(7, 'b'), wants(5, 'c')], 4, 7, 'b'],
    ['of equal ones the first wins', [wants(3, 'a'), wants(3, 'b')], 4, 3, 'a'],
    ['a hold counts as nothing', [holds('a'), wants(2, 'b')], 4, 2, 'b'],
    ['only holds say nothing', [holds('a'), holds('b')], 4, undefined, undefined],
    ['no votes say nothing', [], 4, undefined, undefined],
    ['only an error says nothing', [fails()], 4, undefined, undefined],
    ['an error leaves the others their say', [fails(), wants(9)], 4, 9, 'load'],
    ['a fallback is a size', [{ ...fails(), fallback: 6 } as VoteRecord, wants(2)], 4, 6, 'broken'],
    ['a floor lifts the size', [wants(2), floor(5)], 4, 5, 'schedule'],
    ['a floor below the size does nothing', [wants(6), floor(5)], 4, 6, 'load'],
    ['a ceiling lowers the size', [wants(9), ceiling(5)], 4, 5, 'budget'],
    ['a ceiling beats a floor', [floor(8), ceiling(5)], 6, 5, 'budget'],
    [
      'of floors the highest, of ceilings the lowest',
      [wants(1), floor(3, 'x'), floor(4, 'y'), ceiling(9, 'u'), ceiling(8, 'v')],
      4,
      4,
      'y',
    ],
    ['a floor alone is the size: its window may end', [floor(2)], 6, 2, 'schedule'],
    ['a floor beside a hold only raises', [floor(2), holds()], 6, 6, undefined],
    ['a floor beside an error only raises', [floor(8), fails()], 6, 8, 'schedule'],
    ['a ceiling alone only lowers', [ceiling(9)], 6, 6, undefined],
    ['a ceiling alone lowers', [ceiling(3)], 6, 3, 'budget'],
  ]
  for (const [sentence, votes, current, wanted, winner] of table) {
    it(sentence, () => {
      const combined = combine(votes, current)
      assert.equal(combined.wanted, wanted)
      assert.equal(combined.winner, winner)
      assert.notEqual(combined.reason, '')
    })
  }

  // hashicorp/nomad-autoscaler ede4e61 tests of sdk/ (MPL-2.0, figures only): two proposals, up > none > down, then the
  // larger. Our sizes are absolute, so "up" and "down" are above and below the present size of 4. Differs on purpose:
  // "none against down" is no shrink there, while a hold here leaves it to the others ("recommendation" has no twin).
  const preempt: [string, VoteRecord[], number | undefined][] = [
    ['none-vs-none', [holds('a'), holds('b')], undefined],
    ['down-vs-down', [wants(1, 'a'), wants(2, 'b')], 2],
    ['down-vs-down-same-count', [wants(2, 'a'), wants(2, 'b')], 2],
    ['down-vs-up', [wants(0, 'a'), wants(5, 'b')], 5],
    ['up-vs-up', [wants(5, 'a'), wants(6, 'b')], 6],
    ['up-vs-up-reverse', [wants(6, 'a'), wants(5, 'b')], 6],
  ]
  for (const [name, votes, wanted] of preempt) it(name, () => assert.equal(combine(votes, 4).wanted, wanted))

  it('records what a floor and a ceiling changed', () => {
    const { limits, reason } = combine([wants(2), floor(9), ceiling(7)], 4)
    assert.deepEqual(
      limits.map(({ kind, from, to }) => [kind, from, to]),
      [
        ['floor', 2, 9],
        ['ceiling', 9, 7],
      ],
    )
    assert.equal(reason, 'at most 7')
  })
  it('says which scaler failed and how', () => {
    assert.match(combine([fails('mine')], 4).reason, /scaler mine failed \(ORC_SANDBOX_TIMEOUT\): no answer/)
  })
})

describe('gather', () => {
  const empty = { failingSinceMs: {}, keptVotes: {} }
  const fallback = { afterSeconds: 60, replicas: 6 }

  it('gives a scaler its fallback after failing for long enough, and not before', () => {
    const first = gather([fails()], empty, fallback, start)
    assert.deepEqual(first.votes, [fails()])
    const later = gather([fails()], first, fallback, start + 59_999)
    assert.deepEqual(later.votes, [fails()])
    const atLast = gather([fails()], later, fallback, start + 60_000)
    assert.deepEqual(atLast.votes, [{ ...fails(), fallback: 6 }])
  })
  it('starts counting anew after one answer', () => {
    const first = gather([fails()], empty, fallback, start)
    const answered = gather([wants(3, 'broken')], first, fallback, start + 30_000)
    const again = gather([fails()], answered, fallback, start + 61_000)
    assert.deepEqual(again.votes, [fails()])
  })
  it('never falls back without a fallback', () => {
    const first = gather([fails()], empty, undefined, start)
    assert.deepEqual(gather([fails()], first, undefined, start + 1e9).votes, [fails()])
  })
  it('keeps a vote with a ttl beside the errors that follow, until it expires', () => {
    const lasting: VoteRecord = { scaler: 'broken', vote: { floor: 5, reason: 'evening', ttlSeconds: 30 } }
    const first = gather([lasting], empty, undefined, start)
    const failing = gather([fails()], first, undefined, start + 29_999)
    assert.deepEqual(failing.votes, [fails(), lasting])
    assert.deepEqual(gather([fails()], failing, undefined, start + 30_000).votes, [fails()])
  })
  it('lets any answer replace a kept vote', () => {
    const lasting: VoteRecord = { scaler: 'broken', vote: { floor: 5, reason: 'evening', ttlSeconds: 30 } }
    const first = gather([lasting], empty, undefined, start)
    const held = gather([holds('broken')], first, undefined, start + 1000)
    assert.deepEqual(gather([fails()], held, undefined, start + 2000).votes, [fails()])
  })
})
