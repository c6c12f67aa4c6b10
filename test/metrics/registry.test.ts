import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { limits } from '../../runtime/limits.ts'
import { createMetrics, type MetricsBounds } from '../../runtime/metrics/registry.ts'

function registry(bounds: Partial<MetricsBounds> = {}) {
  const clock = { nowMs: 1_000_000 }
  const metrics = createMetrics({ clock: { now: () => clock.nowMs }, bounds: { ...limits, ...bounds } })
  const put = (value: number, metric = 'rps', app = 'shop', atMs?: number) =>
    metrics.record([{ app, metric, value, ...(atMs === undefined ? {} : { atMs }) }])
  return { clock, metrics, put }
}

describe('the metrics of apps', () => {
  it('are a frozen window per metric that has a fresh sample', () => {
    const { clock, metrics, put } = registry()
    put(1)
    put(50, 'cpuPercent')
    clock.nowMs += 30_000
    put(3)
    const snapshot = metrics.snapshot('shop', 20, clock.nowMs)
    assert.deepEqual(snapshot, { rps: { last: 3, mean: 3, min: 3, max: 3, p95: 3, samples: 1, ageSeconds: 0 } })
    assert.ok(Object.isFrozen(snapshot) && Object.isFrozen(snapshot.rps))
    put(4)
    assert.equal(snapshot.rps?.samples, 1)
    assert.deepEqual(metrics.snapshot('nobody', 20, clock.nowMs), {})
  })

  it('keep the points of each metric, oldest first, across the ring’s end', () => {
    const { clock, metrics, put } = registry({ metricPoints: 40 })
    for (let value = 0; value < 100; value += 1) {
      clock.nowMs += 1_000
      put(value)
    }
    const all = metrics.series('shop', 'rps', 0)
    assert.deepEqual(
      all.map(({ value }) => value),
      Array.from({ length: 40 }, (_, index) => 60 + index),
    )
    assert.deepEqual(
      metrics.series('shop', 'rps', clock.nowMs - 2_000).map(({ value }) => value),
      [98, 99],
    )
    assert.deepEqual(metrics.metricNames('shop'), ['rps'])
    assert.deepEqual(metrics.series('shop', 'nothing', 0), [])
  })

  for (const [what, value, atMs] of [
    ['NaN', Number.NaN, undefined],
    ['infinity', Number.POSITIVE_INFINITY, undefined],
    ['a time that is none', 1, Number.NaN],
  ] as const) {
    it(`refuse ${what}`, () => {
      const { clock, metrics, put } = registry()
      put(value, 'rps', 'shop', atMs)
      assert.deepEqual(metrics.snapshot('shop', 60, clock.nowMs), {})
      assert.equal(metrics.refused, 1)
    })
  }

  it('refuse names that are none, also the dangerous ones', () => {
    const { clock, metrics, put } = registry()
    for (const metric of ['__proto__', '', '9lives', 'a b', 'x'.repeat(65)]) put(1, metric)
    put(7, 'constructor')
    assert.deepEqual(metrics.metricNames('shop'), ['constructor'])
    assert.equal(new Map(Object.entries(metrics.snapshot('shop', 60, clock.nowMs))).get('constructor')?.last, 7)
    assert.equal(metrics.refused, 5)
  })

  it('take a sample from the future as one of now, and none that is older than the newest', () => {
    const { clock, metrics, put } = registry()
    put(1, 'rps', 'shop', clock.nowMs + 3_600_000)
    clock.nowMs += 10_000
    put(2)
    put(9, 'rps', 'shop', clock.nowMs - 5_000)
    assert.deepEqual(
      metrics.series('shop', 'rps', 0).map(({ value }) => value),
      [1, 2],
    )
    assert.equal(metrics.refused, 1)
  })

  it('go on when the clock was set back', () => {
    const { clock, metrics, put } = registry()
    put(1)
    clock.nowMs -= 3_600_000
    put(2)
    assert.equal(metrics.snapshot('shop', 60, clock.nowMs).rps?.mean, 2)
  })

  it('are bounded in series and apps, and what is forgotten makes room', () => {
    const { metrics, put } = registry({ metricSeriesPerApp: 2, metricApps: 2 })
    for (const metric of ['a', 'b', 'c']) put(1, metric)
    for (const app of ['blog', 'wiki']) put(1, 'a', app)
    assert.deepEqual(metrics.metricNames('shop'), ['a', 'b'])
    assert.deepEqual(metrics.metricNames('wiki'), [])
    metrics.forget('shop')
    put(1, 'a', 'wiki')
    assert.deepEqual(metrics.metricNames('wiki'), ['a'])
  })

  it('are bounded in points altogether: when the room is used up rings keep the newest instead of growing', () => {
    const { clock, metrics, put } = registry({ metricPointsTotal: 48 })
    for (let value = 0; value < 100; value += 1) {
      clock.nowMs += 1_000
      put(value, 'a')
      put(value, 'b')
    }
    put(1, 'c')
    const kept = ['a', 'b', 'c'].map((metric) => metrics.series('shop', metric, 0).length)
    assert.deepEqual(kept, [32, 16, 0])
    metrics.forget('shop')
    for (const metric of ['a', 'b', 'c']) put(1, metric)
    assert.equal(metrics.metricNames('shop').length, 3)
  })
})
