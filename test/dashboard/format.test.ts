import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ago, figure, oneLine, plural } from '../../runtime/dashboard/page/format.ts'

test('figures keep the digits that matter, and what is not known is no zero', () => {
  const cases: [number | null | undefined, string][] = [
    [undefined, '–'],
    [null, '–'],
    [Number.NaN, '–'],
    [Number.POSITIVE_INFINITY, '–'],
    [0, '0'],
    [0.004, '0'],
    [0.123, '0.12'],
    [9.999, '10'],
    [12.34, '12.3'],
    [100.4, '100'],
    [1234.5, '1,235'],
    [1_250_000, '1.3M'],
    [-2.5, '-2.5'],
  ]
  for (const [value, text] of cases) assert.equal(figure(value), text)
})

test('times are told in the largest unit that fits', () => {
  const cases: [number, string][] = [
    [-5, 'now'],
    [1, 'now'],
    [2, '2 s ago'],
    [59, '59 s ago'],
    [60, '1 min ago'],
    [3_599, '59 min ago'],
    [3_600, '1 h ago'],
    [172_800, '2 d ago'],
  ]
  for (const [seconds, text] of cases) assert.equal(ago(1e12 - seconds * 1000, 1e12), text)
})

test('one is one, and none are many', () => {
  assert.deepEqual(
    [0, 1, 2].map((count) => plural(count, 'replica')),
    ['0 replicas', '1 replica', '2 replicas'],
  )
})

test('what an event carries stands in one line, without what says nothing and cut where it is long', () => {
  const data = { from: 1, to: 0, reason: '', by: null, wider: [], more: { a: [1] }, long: 'x'.repeat(500) }
  assert.equal(oneLine(data), `from 1 · to 0 · more {"a":[1]} · long ${'x'.repeat(160)}…`)
})
