import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CapabilityRecord, Metrics, Sample } from '@orchestry/sdk'
import { createMetricsCapability } from '../../runtime/capabilities/metrics.ts'
import { bindAs } from '../support/bound.ts'
import { createFakeClock } from '../support/fake-clock.ts'

type Grant = Omit<Extract<CapabilityRecord, { kind: 'metrics' }>, 'kind'>
const window = { last: 1, mean: 1, min: 1, max: 1, p95: 1, samples: 1, ageSeconds: 0 }

function make(grant: Grant) {
  const recorded: Sample[] = []
  const clock = createFakeClock()
  const capability = createMetricsCapability({
    clock,
    hasApp: (name) => name === 'shop',
    coreMetrics: ['rps', 'cpuPercent'],
    metrics: {
      record: (samples) => void recorded.push(...samples),
      snapshot: (): Metrics => ({ rps: window, queueDepth: window }),
    },
  })
  const as = (instance: string) => bindAs(capability, { kind: 'metrics', ...grant }, { instance }).call
  return { recorded, clock, capability, as, ...bindAs(capability, { kind: 'metrics', ...grant }) }
}
const sample = (fields: Partial<Sample> = {}): Sample => ({ app: 'shop', metric: 'queueDepth', value: 5, ...fields })

test('granted metrics are read, and only those that were asked for', async () => {
  const { call } = make({ read: ['rps', 'queue*'] })
  assert.deepEqual(await call('metrics.read', 'shop', ['rps']), { rps: window })
  assert.deepEqual(await call('metrics.read', 'shop', ['queueDepth', 'queueAge'], 30), { queueDepth: window })
  await assert.rejects(call('metrics.read', 'shop', ['rps', 'cpuPercent']), { code: 'ORC_CAPABILITY_DENIED' })
})

test('C45: samples under granted names are recorded, marked with the plugin, never in the future', async () => {
  const { call, recorded, clock } = make({ emit: ['queue*'] })
  await call('metrics.emit', [sample(), sample({ atMs: clock.now() + 9e9, labels: { plugin: 'forged', q: 'a' } })])
  assert.deepEqual(recorded, [
    { ...sample(), atMs: clock.now(), labels: { plugin: '@test/plugin' } },
    { ...sample(), atMs: clock.now(), labels: { q: 'a', plugin: '@test/plugin' } },
  ])
})

const refused: [string, unknown, string][] = [
  ['a name that is not granted', sample({ metric: 'other' }), 'ORC_CAPABILITY_DENIED'],
  ['a metric of the runtime', sample({ metric: 'rps' }), 'ORC_CAPABILITY_DENIED'],
  ['an app that is not there', sample({ app: 'none' }), 'ORC_CAPABILITY_DENIED'],
  ['a name with a newline', sample({ metric: 'queue\nDepth' }), 'ORC_CAPABILITY_ARGUMENT'],
  ['a value that is null', { ...sample(), value: null }, 'ORC_CAPABILITY_ARGUMENT'],
  ['a value that is a text', { ...sample(), value: '5' }, 'ORC_CAPABILITY_ARGUMENT'],
  ['a label that is long', sample({ labels: { a: 'x'.repeat(200) } }), 'ORC_CAPABILITY_LIMIT'],
]
for (const [what, given, code] of refused) {
  test(`MET-01: ${what} is refused, and nothing of the same call is recorded`, async () => {
    const { call, recorded } = make({ emit: ['queue*'] })
    await assert.rejects(call('metrics.emit', [sample(), given]), { code })
    assert.equal(recorded.length, 0)
  })
}

test('C45, MET-01: series are capped for the whole plugin, and idle ones make room', async () => {
  const { as, clock, recorded } = make({ emit: ['queue*'], maxSeries: 3 })
  const one = as('one')
  for (const q of ['a', 'b', 'c', 'a']) await one('metrics.emit', [sample({ labels: { q } })])
  await assert.rejects(as('two')('metrics.emit', [sample({ labels: { q: 'd' } })]), {
    code: 'ORC_CAPABILITY_LIMIT',
    message: /more than 3 series/,
  })
  assert.equal(recorded.length, 4)
  await clock.advance(11 * 60_000)
  await as('two')('metrics.emit', [sample({ labels: { q: 'd' } })])
})

const grants: [Grant, RegExp | undefined][] = [
  [{ read: ['*'] }, undefined],
  [{ emit: ['queue*'], maxSeries: 5 }, undefined],
  [{}, /neither/],
  [{ emit: ['*'] }, /measures itself/],
  [{ emit: ['rps'] }, /measures itself/],
  [{ emit: ['cpu*'] }, /cpuPercent/],
  [{ emit: ['a-b'] }, /neither a name/],
]
for (const [grant, text] of grants) {
  test(`the grant ${JSON.stringify(grant)} is ${text === undefined ? 'right' : 'refused'}`, () => {
    const problems = make({}).capability.check?.({ kind: 'metrics', ...grant }) ?? []
    if (text === undefined) assert.deepEqual(problems, [])
    else assert.match(problems.join(), text)
  })
}
