import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { createSeries } from '../../runtime/metrics/series.ts'
import { windowOf } from '../../runtime/metrics/window.ts'

/** One sample a second, the newest at second 1000. */
function seriesOf(values: readonly number[], maxPoints = 600) {
  const series = createSeries(maxPoints, () => true)
  for (const [index, value] of values.entries()) series.add((1_001 - values.length + index) * 1_000, value)
  return series
}
const windowOver = (values: readonly number[], seconds: number, nowMs = 1_000_000, maxPoints?: number) =>
  windowOf(seriesOf(values, maxPoints).run, nowMs - seconds * 1_000, nowMs)

describe('a window', () => {
  it('sums up the samples of its time and no others', () => {
    assert.deepEqual(windowOver([100, 1, 2, 6], 3), {
      last: 6,
      mean: 3,
      min: 1,
      max: 6,
      p95: 6,
      samples: 3,
      ageSeconds: 0,
    })
  })

  it('is none without a sample, or when all are too old or still to come', () => {
    assert.equal(windowOver([], 60), undefined)
    assert.equal(windowOver([1, 2], 60, 1_100_000), undefined)
    assert.equal(windowOver([1, 2], 60, 900_000), undefined)
  })

  it('tells the age of its newest sample', () => {
    assert.equal(windowOver([1, 2], 60, 1_007_500)?.ageSeconds, 7.5)
  })

  const percentiles: [number, number][] = [
    [1, 1],
    [2, 2],
    [19, 19],
    [20, 19],
    [21, 20],
    [100, 95],
    [200, 190],
    [600, 570],
  ]
  for (const [count, expected] of percentiles) {
    it(`has ${expected} as the 95th percentile of 1 to ${count}, in whatever order`, () => {
      const rising = Array.from({ length: count }, (_, index) => index + 1)
      for (const values of [
        rising,
        rising.toReversed(),
        rising.toSorted((a, b) => ((a * 7919) % 101) - ((b * 7919) % 101)),
      ]) {
        assert.equal(windowOver(values, 10_000)?.p95, expected)
      }
    })
  }

  it('has a percentile among its samples and a mean between them, whatever the samples are', () => {
    const value = fc.double({ noNaN: true, noDefaultInfinity: true })
    fc.assert(
      fc.property(
        fc.array(value, { minLength: 1, maxLength: 150 }),
        fc.integer({ min: 1, max: 60 }),
        (values, maxPoints) => {
          const window = windowOver(values, 10_000, undefined, maxPoints)
          const kept = values.slice(-maxPoints)
          assert.ok(window)
          const sorted = kept.toSorted((a, b) => a - b)
          assert.equal(window.p95 === sorted[Math.ceil(0.95 * kept.length) - 1], true)
          assert.equal(window.samples, kept.length)
          assert.equal(window.min === sorted[0] && window.max === sorted.at(-1) && window.last === kept.at(-1), true)
          assert.ok(window.mean >= window.min && window.mean <= window.max)
        },
      ),
    )
  })
})
