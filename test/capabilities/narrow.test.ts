/** What is left of a grant when it is cut to what was used: each capability is used as a guest would, and then asked. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AppView, CapabilityRecord } from '@orchestry/sdk'
import { createAppsCapability } from '../../runtime/capabilities/apps.ts'
import type { AnyCapability } from '../../runtime/capabilities/capability.ts'
import { createEventsCapability } from '../../runtime/capabilities/events.ts'
import { createKvCapability } from '../../runtime/capabilities/kv.ts'
import { createMetricsCapability } from '../../runtime/capabilities/metrics.ts'
import { createCapabilities } from '../../runtime/capabilities/table.ts'
import { createTimersCapability } from '../../runtime/capabilities/timers.ts'
import { systemClock } from '../../runtime/clock.ts'
import { createMemoryStore } from '../../runtime/store/memory.ts'
import { bindAs } from '../support/bound.ts'
import { createFakeClock } from '../support/fake-clock.ts'

const clock = createFakeClock()
const app = (name: string) => ({ name, labels: {} }) as unknown as AppView
const capabilities: Record<string, () => AnyCapability> = {
  kv: () => createKvCapability({ store: createMemoryStore({ clock: systemClock }) }),
  events: () =>
    createEventsCapability({ clock, coreTypes: [], events: { append: async () => [], list: async () => [] } }),
  metrics: () =>
    createMetricsCapability({
      clock,
      coreMetrics: [],
      hasApp: () => true,
      metrics: { record: () => {}, snapshot: () => ({}) },
    }),
  apps: () => createAppsCapability({ views: () => [app('shop'), app('mail')], scale: async () => {} }),
  timers: () => createTimersCapability({ clock }),
}

type Uses = readonly (readonly [string, ...unknown[]])[]
const sample = (metric: string) => ({ app: 'shop', metric, value: 1 })
const cases: [string, CapabilityRecord, Uses, object][] = [
  ['kv: what was kept, doubled', { kind: 'kv' }, [['put', 'a', 'x'.repeat(2_500)]], { quotaKb: 8, maxValueKb: 8 }],
  [
    'kv: never more than was granted',
    { kind: 'kv', quotaKb: 4, maxValueKb: 1 },
    [['put', 'a', 'x'.repeat(900)]],
    { quotaKb: 2, maxValueKb: 1 },
  ],
  ['kv: what was only read', { kind: 'kv', quotaKb: 64 }, [['get', 'a']], { quotaKb: 2, maxValueKb: 2 }],
  [
    'events: the types that were emitted, and nothing to hear',
    { kind: 'events', emit: ['acme.*'], subscribe: ['app.*'] },
    [
      ['emit', 'acme.jobDone', {}],
      ['emit', 'acme.jobBegun', {}],
      ['emit', 'other.thing', {}],
    ],
    { emit: ['acme.jobBegun', 'acme.jobDone'] },
  ],
  ['events: only hearing', { kind: 'events', emit: ['acme.*'], subscribe: ['*'] }, [['recent']], { subscribe: ['*'] }],
  [
    'metrics: the names that were read and written',
    { kind: 'metrics', read: ['*'], emit: ['acme*'], maxSeries: 5 },
    [
      ['read', 'shop', ['rps', 'queueDepth']],
      ['emit', [sample('acmeDepth')]],
    ],
    { read: ['queueDepth', 'rps'], emit: ['acmeDepth'], maxSeries: 5 },
  ],
  [
    'apps: only reading',
    { kind: 'apps', read: true, scale: { maxReplicas: 50 }, selector: {} },
    [['list']],
    { read: true, selector: {} },
  ],
  [
    'apps: the largest size that was asked for and granted',
    { kind: 'apps', read: true, scale: { maxReplicas: 50 } },
    [
      ['scale', 'shop', 3, 'busy'],
      ['scale', 'mail', 7, 'busy'],
      ['scale', 'shop', 60, 'too busy'],
      ['scale', 'none', 9, 'nobody'],
    ],
    { scale: { maxReplicas: 7 } },
  ],
  [
    'timers: as fast and as many as there were',
    { kind: 'timers' },
    [
      ['after', 2_500],
      ['after', 60_000],
      ['every', 30_000],
    ],
    { minMs: 2_000, max: 4 },
  ],
]
for (const [what, grant, uses, wanted] of cases) {
  test(`cut to what was used: ${what}`, async () => {
    const capability = capabilities[grant.kind]?.()
    assert.ok(capability)
    const { bound, call } = bindAs(capability, grant)
    for (const [operation, ...args] of uses) await call(`${grant.kind}.${operation}`, ...args).catch(() => {})
    const told = bound.usage()[0]?.targets ?? []
    const targets = told.flatMap(({ target, allowed }) => (allowed > 0 ? [target] : []))
    const table = createCapabilities([capability])
    const after = table.narrow(grant, targets)
    assert.deepEqual(after, { kind: grant.kind, ...wanted })
    assert.deepEqual(table.check(after), [])
    // What was used goes on working with what is left.
    const again = bindAs(capability, after, { instance: 'two' })
    const allowed = uses.filter(([, first, second]) => ![first, second].includes('none') && first !== 'other.thing')
    for (const [operation, ...args] of allowed)
      if (args[1] !== 60) await again.call(`${grant.kind}.${operation}`, ...args)
  })
}
