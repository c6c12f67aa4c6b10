import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createHistory, historyMs } from '../../runtime/dashboard/page/history.ts'

const startMs = 1_800_000_000_000
const seen = (seconds: number, rps?: number, name = 'shop') => ({
  atMs: startMs + seconds * 1000,
  apps: [{ name, serving: 1, load: rps === undefined ? {} : { rps } }] as never,
})
const pointsOf = (history: ReturnType<typeof createHistory>, metric = 'rps') => {
  const { seconds, values } = history.track('shop', metric)
  return seconds.map((second, index) => [Math.round(second - startMs / 1000), values[index]])
}

test('what was not measured is a gap', () => {
  const history = createHistory()
  for (const snapshot of [seen(0, 5), seen(1), seen(2, 6)]) history.record(snapshot)
  assert.deepEqual(pointsOf(history), [
    [0, 5],
    [1, null],
    [2, 6],
  ])
})

test('a pause without snapshots is a gap too', () => {
  const history = createHistory()
  for (const snapshot of [seen(0, 5), seen(60, 6)]) history.record(snapshot)
  assert.deepEqual(pointsOf(history), [
    [0, 5],
    [0, null],
    [60, 6],
  ])
})

test('what the server remembers comes before what was seen, and never over it', () => {
  const history = createHistory()
  history.record(seen(10, 5))
  const points = [8, 9, 10, 11].map((second) => ({ atMs: startMs + second * 1000, value: second }))
  history.seed('shop', { rps: points })
  history.seed('shop', { rps: points })
  assert.deepEqual(pointsOf(history), [
    [8, 8],
    [9, 9],
    [10, 5],
  ])
})

test('nothing is kept for longer than charts show, nor of an app that is gone', () => {
  const history = createHistory()
  for (let second = 0; second < 400; second += 1) history.record(seen(second, second))
  const points = pointsOf(history)
  assert.equal(points.length, historyMs / 1000 + 1)
  assert.deepEqual(points.at(-1), [399, 399])
  history.record(seen(400, 1, 'other'))
  assert.deepEqual(pointsOf(history), [])
})

test('a clock that was set back takes the points along that are now in the future', () => {
  const history = createHistory()
  for (const snapshot of [seen(0, 1), seen(1, 2), seen(2, 3), seen(1, 9)]) history.record(snapshot)
  assert.deepEqual(pointsOf(history), [
    [0, 1],
    [1, 9],
  ])
})

test('charts begin with the first point, a minute ago at the latest', () => {
  const history = createHistory()
  const begin = (nowSeconds: number) => (history.beginMs('shop', startMs + nowSeconds * 1000) - startMs) / 1000
  assert.equal(begin(0), -60)
  history.record(seen(0, 1))
  assert.deepEqual([begin(10), begin(200), begin(400)], [-50, 0, 100])
})
