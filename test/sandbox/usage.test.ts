/** The account of one instance: by hook, and by hook and app, exact where it can be and bounded always. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { limits } from '../../runtime/limits.ts'
import type { GuestAnswer } from '../../runtime/sandbox/sandbox.ts'
import { createUsage } from '../../runtime/sandbox/usage.ts'

const good: GuestAnswer = { ok: true, value: 1 }
const bad: GuestAnswer = { ok: false, code: 'ORC_SANDBOX_GUEST_ERROR', message: 'no' }
const spent = (hook: string, apps?: string[]) => ({
  hook,
  apps,
  cpuMs: 12,
  wallMs: 24,
  hostCalls: 4,
  bytesIn: 400,
  bytesOut: 40,
})

test('a batch is one call, and each app in it has its share and its own errors', () => {
  const usage = createUsage()
  usage.setHeapMb(3)
  usage.charge(spent('scaler', ['a', 'b', 'b', 'c']), [good, bad, bad, good])
  usage.setHeapMb(2)
  const total = usage.total()
  assert.deepEqual([total.calls, total.errors, total.cpuMs, total.heapMb, total.peakHeapMb], [1, 1, 12, 2, 3])
  const rows = new Map(usage.rows().map((row) => [row.app, row]))
  assert.deepEqual([rows.get('a')?.cpuMs, rows.get('b')?.cpuMs, rows.get('c')?.bytesIn], [3, 6, 100])
  assert.deepEqual([rows.get('a')?.errors, rows.get('b')?.errors, rows.get('c')?.errors], [0, 2, 0])
  assert.deepEqual([rows.get('a')?.calls, rows.get('b')?.calls, rows.get('b')?.peakHeapMb], [1, 1, 3])
  const sum = usage.rows().reduce((ms, row) => ms + row.cpuMs, 0)
  assert.equal(sum, total.cpuMs)
})

test('one answer for many apps is a fault to each of them', () => {
  const usage = createUsage()
  usage.charge(spent('metricsSource', ['a', 'b']), [bad])
  assert.deepEqual(
    usage.rows().map(({ app, errors, calls }) => [app, errors, calls]),
    [
      ['a', 1, 1],
      ['b', 1, 1],
    ],
  )
  assert.equal(usage.byHook()[0]?.errors, 1)
})

test('hooks are told apart, and what is about no app is under none', () => {
  const usage = createUsage()
  usage.charge(spent('activate'), [good])
  usage.charge(spent('eventHandler', ['']), [good])
  usage.drop({ hook: 'eventHandler' }, 3, true)
  assert.deepEqual(
    usage.byHook().map(({ hook, calls, drops, errors }) => [hook, calls, drops, errors]),
    [
      ['activate', 1, 0, 0],
      ['eventHandler', 1, 3, 1],
    ],
  )
  assert.deepEqual(
    usage.rows().map(({ app }) => app),
    ['', ''],
  )
})

test('apps beyond the bound are summed up under none, and nothing is lost', () => {
  const usage = createUsage()
  const count = limits.usageRows + 500
  for (let n = 0; n < count; n += 1) usage.charge(spent('scaler', [`app-${n}`]), [good])
  const rows = usage.rows()
  assert.ok(rows.length <= limits.usageRows + 1, `${rows.length}`)
  assert.equal(rows.find(({ app }) => app === '')?.calls, 500)
  assert.equal(
    rows.reduce((ms, row) => ms + row.cpuMs, 0),
    usage.total().cpuMs,
  )
})
