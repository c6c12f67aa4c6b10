import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { OrchestryEvent } from '@orchestry/sdk'
import { createEventsCapability } from '../../runtime/capabilities/events.ts'
import { eventTypes, type NewEvent } from '../../runtime/events/events.ts'
import { bindAs } from '../support/bound.ts'
import { createFakeClock } from '../support/fake-clock.ts'

function make(grant: { emit?: string[]; subscribe?: string[] }) {
  const appended: NewEvent[] = []
  const clock = createFakeClock()
  const stored = ['app.scaled', 'instance.started', 'instance.exited', 'acme.queue.drained'].map(
    (type, index): OrchestryEvent => ({ id: `${index}`, type, atMs: index, source: 'runtime', data: {} }),
  )
  const capability = createEventsCapability({
    clock,
    coreTypes: eventTypes,
    events: {
      append: async (events) => {
        appended.push(...events)
        return []
      },
      list: async () => stored,
    },
  })
  return { appended, clock, capability, ...bindAs(capability, { kind: 'events', ...grant }) }
}

test('an event under a granted name is stored with who said it', async () => {
  const { call, appended } = make({ emit: ['acme.*', 'queue.drained'] })
  await call('events.emit', 'acme.queue.filled', { depth: 5 }, 'shop')
  await call('events.emit', 'queue.drained', {})
  assert.deepEqual(appended, [
    { type: 'acme.queue.filled', data: { depth: 5 }, app: 'shop', depth: 1, source: 'plugin:@test/plugin/one' },
    { type: 'queue.drained', data: {}, depth: 1, source: 'plugin:@test/plugin/one' },
  ])
})

for (const type of ['app.scaled', 'acmeX.filled', 'queue.drained.twice', 'other.filled']) {
  test(`EVT-01: ${type} is not granted`, async () => {
    const { call, appended, violations } = make({ emit: ['acme.*', 'queue.drained'] })
    await assert.rejects(call('events.emit', type, {}), { code: 'ORC_CAPABILITY_DENIED', message: /acme\.\*, queue/ })
    assert.deepEqual([appended.length, violations.length], [0, 1])
  })
}

test('EVT-01: an event that answers one of a plugin is one deeper, and a chain of eight goes no further', async () => {
  const { callWith, appended } = make({ emit: ['acme.*'] })
  await callWith({ eventDepth: 7 }, 'events.emit', 'acme.filled', {})
  assert.equal(appended[0]?.depth, 8)
  await assert.rejects(callWith({ eventDepth: 8 }, 'events.emit', 'acme.filled', {}), {
    code: 'ORC_CAPABILITY_LIMIT',
    message: /8 events of plugins led to this call/,
  })
  assert.equal(appended.length, 1)
})

for (const [what, args] of [
  ['a type without a noun', ['filled', {}]],
  ['a type with a space', ['acme.was filled', {}]],
  ['data that is a text', ['acme.filled', 'x']],
  ['an app that is a number', ['acme.filled', {}, 5]],
] as const) {
  test(`${what} is refused`, async () => {
    await assert.rejects(make({ emit: ['acme.*'] }).call('events.emit', ...args), { code: 'ORC_CAPABILITY_ARGUMENT' })
  })
}

test('C44: ten a second, and no more data than 16 KB', async () => {
  const { call, appended, clock } = make({ emit: ['acme.*'] })
  await assert.rejects(call('events.emit', 'acme.filled', { x: 'x'.repeat(17_000) }), { code: 'ORC_CAPABILITY_LIMIT' })
  for (let index = 0; index < 10; index += 1) await call('events.emit', 'acme.filled', {})
  await assert.rejects(call('events.emit', 'acme.filled', {}), { code: 'ORC_CAPABILITY_LIMIT', message: /10 events/ })
  await clock.advance(300)
  for (let index = 0; index < 3; index += 1) await call('events.emit', 'acme.filled', {})
  await assert.rejects(call('events.emit', 'acme.filled', {}), { code: 'ORC_CAPABILITY_LIMIT' })
  assert.equal(appended.length, 13)
})

test('only granted types are read, the newest of them, oldest first', async () => {
  const { call } = make({ subscribe: ['instance.*', 'acme.*'] })
  const types = async (limit?: number) =>
    ((await call('events.recent', ...(limit === undefined ? [] : [limit]))) as OrchestryEvent[]).map(({ type }) => type)
  assert.deepEqual(await types(), ['instance.started', 'instance.exited', 'acme.queue.drained'])
  assert.deepEqual(await types(2), ['instance.exited', 'acme.queue.drained'])
  await assert.rejects(make({ emit: ['acme.*'] }).call('events.recent'), { code: 'ORC_CAPABILITY_DENIED' })
})

const grants: [{ emit?: string[]; subscribe?: string[] }, RegExp | undefined][] = [
  [{ emit: ['acme.*'] }, undefined],
  [{ subscribe: ['*'] }, undefined],
  [{}, /neither/],
  [{ emit: ['*'] }, /Orchestry's own/],
  [{ emit: ['app.*'] }, /app\.\*/],
  [{ emit: ['plugin.installed'] }, /plugin\.\*/],
  [{ emit: ['ap*'] }, /Orchestry's own/],
  [{ emit: ['acme.*.x'] }, /neither a name/],
  [{ subscribe: ['a b'] }, /neither a name/],
]
for (const [grant, text] of grants) {
  test(`the grant ${JSON.stringify(grant)} is ${text === undefined ? 'right' : 'refused'}`, () => {
    const problems = make({}).capability.check?.({ kind: 'events', ...grant }) ?? []
    if (text === undefined) assert.deepEqual(problems, [])
    else assert.match(problems.join(), text)
  })
}
