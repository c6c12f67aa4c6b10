import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { systemClock } from '../../runtime/clock.ts'
import type { ErrorCode } from '../../runtime/errors.ts'
import { createEventDelivery, type EventDeliveryDeps } from '../../runtime/events/delivery.ts'
import { createEvents } from '../../runtime/events/log.ts'
import type { Provider } from '../../runtime/hooks/hooks.ts'
import { createLog } from '../../runtime/log.ts'
import { createMemoryStore } from '../../runtime/store/memory.ts'
import { waitFor } from '../support/wait-for.ts'

const log = createLog({ level: 'silent' })

/** Handlers by instance name: each returns how it failed, or nothing. */
type Handlers = Record<
  string,
  { events?: string[]; handle(number: unknown): Promise<ErrorCode | undefined> | ErrorCode | undefined }
>

function house(test: TestContext, handlers: Handlers) {
  const store = createMemoryStore({ clock: systemClock })
  const events = createEvents({ store, clock: systemClock, log })
  const heard: string[] = []
  const rests: number[] = []
  const listeners = new Set<() => void>()
  const provider = (instance: string): Provider => ({
    plugin: `@test/${instance}`,
    version: '1.0.0',
    instance,
    kind: 'eventHandler',
    isDefault: true,
    isServing: true,
    functions: ['handle'],
    declares: handlers[instance]?.events === undefined ? {} : { events: handlers[instance].events },
  })
  const hooks: EventDeliveryDeps['hooks'] = {
    providers: () => Object.keys(handlers).map(provider),
    broadcast: (async (_kind: string, hook: string, instance: string, event: { data: { number: number } }) => {
      heard.push(`${instance} ${event.data.number}`)
      const code = await handlers[instance]?.handle(event.data.number)
      if (code === undefined) return { ok: true, value: null }
      return {
        ok: false,
        failure: { code, message: 'it failed', plugin: `@test/${instance}`, instance, hook, atMs: 1 },
      }
    }) as EventDeliveryDeps['hooks']['broadcast'],
    onProvidersChanged(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
  const clock: EventDeliveryDeps['clock'] = {
    async sleep(ms) {
      rests.push(ms)
      await setImmediate()
    },
  }
  const deliver = (random = () => 0) => {
    const delivery = createEventDelivery({ events, hooks, store, clock, log, random })
    test.after(() => delivery.stop())
    return delivery
  }
  const emit = (number: number, type = 'app.scaled') => events.append([{ type, data: { number } }])
  const changed = () => {
    for (const listener of listeners) listener()
  }
  const cursorOf = async (instance: string) => (await store.get(['eventCursor', instance]))?.value
  const hasCursor = (instance: string) => waitFor(() => cursorOf(instance))
  return { store, events, heard, rests, deliver, emit, changed, cursorOf, hasCursor }
}

const takes = () => undefined

describe('delivery of events', () => {
  it('brings each handler what it declared, in order, from the moment it is first seen', async (t) => {
    const { deliver, emit, heard, hasCursor } = house(t, {
      some: { events: ['app.*'], handle: takes },
      all: { handle: takes },
      none: { events: [], handle: takes },
    })
    await emit(0)
    deliver().start()
    await Promise.all(['some', 'all', 'none'].map(hasCursor))
    for (let number = 1; number <= 5; number += 1) await emit(number, number % 2 === 0 ? 'plugin.failed' : 'app.scaled')
    await waitFor(() => heard.includes('all 5') && heard.includes('some 5'))
    assert.deepEqual(
      heard.filter((line) => line.startsWith('all')),
      ['all 1', 'all 2', 'all 3', 'all 4', 'all 5'],
    )
    assert.deepEqual(
      heard.filter((line) => !line.startsWith('all')),
      ['some 1', 'some 3', 'some 5'],
    )
  })

  it('goes on after a restart where it was, and brings what happened in between', async (t) => {
    const { deliver, emit, heard, hasCursor } = house(t, { one: { handle: takes } })
    const first = deliver()
    first.start()
    await hasCursor('one')
    await emit(1)
    await waitFor(() => heard.includes('one 1'))
    await first.stop()
    await first.stop()
    await emit(2)
    deliver().start()
    await waitFor(() => heard.includes('one 2'))
    assert.deepEqual(heard, ['one 1', 'one 2'])
  })

  it('tries again with growing pauses, keeps the order meanwhile, and holds up nobody else', async (t) => {
    let failures = 3
    const { deliver, emit, heard, rests, hasCursor } = house(t, {
      weak: { handle: () => (failures-- > 0 ? 'ORC_SANDBOX_TIMEOUT' : undefined) },
      good: { handle: takes },
    })
    deliver().start()
    await Promise.all(['weak', 'good'].map(hasCursor))
    await emit(1)
    await emit(2)
    await waitFor(() => heard.includes('weak 2') && heard.includes('good 2'))
    assert.deepEqual(
      heard.filter((line) => line.startsWith('weak')),
      ['weak 1', 'weak 1', 'weak 1', 'weak 1', 'weak 2'],
    )
    assert.deepEqual(rests, [500, 1_000, 2_000])
  })

  it('does not let a handler that never answers hold up another', async (t) => {
    let release: (() => void) | undefined
    const stuck = new Promise<undefined>((resolve) => {
      release = () => resolve(undefined)
    })
    const { deliver, emit, heard, hasCursor } = house(t, { stuck: { handle: () => stuck }, good: { handle: takes } })
    deliver().start()
    await Promise.all(['stuck', 'good'].map(hasCursor))
    for (let number = 1; number <= 3; number += 1) await emit(number)
    await waitFor(() => heard.includes('good 3'))
    assert.deepEqual(
      heard.filter((line) => line.startsWith('stuck')),
      ['stuck 1'],
    )
    release?.()
  })

  it('sets an event aside after eight failures, says why, and moves on', async (t) => {
    const { deliver, emit, heard, cursorOf, hasCursor } = house(t, {
      picky: { handle: (number) => (number === 1 ? 'ORC_SANDBOX_GUEST_ERROR' : undefined) },
    })
    const delivery = deliver()
    delivery.start()
    await hasCursor('picky')
    const [poison] = await emit(1)
    const [next] = await emit(2)
    await waitFor(() => heard.includes('picky 2'))
    assert.equal(heard.filter((line) => line === 'picky 1').length, 8)
    const letters = await delivery.deadLetters('picky')
    assert.deepEqual(
      letters.map(({ event, attempts, failure }) => [event.id, attempts, failure.code]),
      [[poison?.id, 8, 'ORC_SANDBOX_GUEST_ERROR']],
    )
    await waitFor(async () => (await cursorOf('picky')) === next?.id)
  })

  it('waits, without setting anything aside, for a handler that is not serving', async (t) => {
    let isServing = false
    const { deliver, emit, heard, rests, hasCursor } = house(t, {
      away: { handle: () => (isServing ? undefined : 'ORC_HOOK_NOT_SERVING') },
    })
    const delivery = deliver()
    delivery.start()
    await hasCursor('away')
    await emit(1)
    await waitFor(() => heard.length > 30)
    isServing = true
    await emit(2)
    await waitFor(() => heard.includes('away 2'))
    assert.deepEqual(await delivery.deadLetters('away'), [])
    assert.equal(Math.max(...rests), 5_000)
  })

  it('serves a handler that comes later, and stops with one that goes', async (t) => {
    const handlers: Handlers = {}
    const { deliver, emit, heard, changed, hasCursor } = house(t, handlers)
    deliver().start()
    await emit(1)
    handlers.late = { handle: takes }
    changed()
    await hasCursor('late')
    await emit(2)
    await waitFor(() => heard.includes('late 2'))
    delete handlers.late
    changed()
    await emit(3)
    handlers.late = { handle: takes }
    changed()
    await waitFor(() => heard.includes('late 3'))
    assert.deepEqual(heard, ['late 2', 'late 3'])
  })

  it('begins anew with what happens next when its cursor is from a store that was replaced', async (t) => {
    const { deliver, emit, heard, store, cursorOf } = house(t, { one: { handle: takes } })
    await store.write([{ put: ['eventCursor', 'one'], value: '000000000009999' }])
    const [last] = await emit(1)
    deliver().start()
    await waitFor(async () => (await cursorOf('one')) === last?.id)
    await emit(2)
    await waitFor(() => heard.length > 0)
    assert.deepEqual(heard, ['one 2'])
  })

  it('can be stopped before it was started', async (t) => {
    await house(t, {}).deliver().stop()
  })
})
