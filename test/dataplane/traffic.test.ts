import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createAppTraffic } from '../../runtime/dataplane/traffic.ts'

test('an app that just came has no rate yet; from then on silence is a true zero, and latency stays unknown', () => {
  const traffic = createAppTraffic(1_000)
  assert.deepEqual(traffic.values(1_100), { activeConnections: 0 })
  assert.deepEqual(traffic.values(9_000), { activeConnections: 0, rps: 0 })
})

test('the rate is over the time that was covered, and at most over two seconds', () => {
  const traffic = createAppTraffic(0)
  for (let ms = 0; ms < 10_000; ms += 10) {
    traffic.opened(ms)
    traffic.answered(ms, 5, 200)
    traffic.closed()
    if (ms === 490) assert.equal(Math.round(traffic.values(500).rps ?? 0), 100)
  }
  assert.equal(Math.round(traffic.values(9_999).rps ?? 0), 100)
  assert.equal(traffic.values(20_000).rps, 0)
  assert.equal(traffic.values(20_000).latencyP95Ms, undefined)
})

test('percentiles are within a percent, and never beyond what was seen', () => {
  const traffic = createAppTraffic(0)
  for (let ms = 1; ms <= 1_000; ms += 1) traffic.answered(100, ms, 200)
  const { latencyP50Ms = 0, latencyP95Ms = 0, latencyP99Ms = 0 } = traffic.values(200)
  assert.ok(Math.abs(latencyP50Ms - 500) < 10 && Math.abs(latencyP95Ms - 950) < 15 && Math.abs(latencyP99Ms - 990) < 15)
  const single = createAppTraffic(0)
  single.answered(100, 123.4, 200)
  const values = single.values(200)
  assert.deepEqual([values.latencyP50Ms, values.latencyP95Ms, values.latencyP99Ms], [123.4, 123.4, 123.4])
})

test('what is old falls out of the percentiles', () => {
  const traffic = createAppTraffic(0)
  traffic.answered(0, 5_000, 200)
  traffic.answered(2_100, 10, 200)
  assert.equal(traffic.values(2_200).latencyP99Ms, 10)
})

test('errors are the share of 5xx among answers', () => {
  const traffic = createAppTraffic(0)
  for (const status of [200, 404, 500, 503]) traffic.answered(100, 1, status)
  assert.equal(traffic.values(200).errorPercent, 50)
})

test('open requests and sockets are counted until they close', () => {
  const traffic = createAppTraffic(0)
  traffic.opened(0)
  traffic.opened(0)
  traffic.closed()
  assert.equal(traffic.values(60_000).activeConnections, 1)
})
