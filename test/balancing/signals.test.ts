import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EndpointSignal } from '@orchestry/sdk'
import { createSignals } from '../../runtime/balancing/signals.ts'
import type { Answer, Hooks, Provider } from '../../runtime/hooks/hooks.ts'
import { createLog } from '../../runtime/log.ts'
import { createFakeClock } from '../support/fake-clock.ts'

const provider = (instance: string, more: Partial<Provider> = {}): Provider => ({
  plugin: `@x/${instance}`,
  version: '1.0.0',
  kind: 'loadBalancer',
  instance,
  isDefault: true,
  isServing: true,
  functions: ['apply', 'signals'],
  declares: {},
  ...more,
})

/** Load balancers that answer what the test says, after a while. */
function makeWorld(...providers: Provider[]) {
  const clock = createFakeClock()
  const world = {
    clock,
    asked: [] as string[],
    failing: [] as string[],
    answerMs: 5,
    answer: (_instance: string): Answer<EndpointSignal[]> => ({ ok: true, value: [] }),
  }
  const hooks: Pick<Hooks, 'providers' | 'exclusive'> = {
    providers: () => providers,
    exclusive: (async (_kind: string, fn: string, instance: string) => {
      world.asked.push(`${instance}.${fn}`)
      await clock.sleep(world.answerMs)
      return world.answer(instance)
    }) as unknown as Hooks['exclusive'],
  }
  const onFailing = ({ app, id }: EndpointSignal) => void world.failing.push(`${app}/${id}`)
  return Object.assign(world, {
    signals: createSignals({ hooks, clock, log: createLog({ level: 'silent' }), onFailing }),
  })
}

test('everyone who can tell is asked once a second, and only failures are passed on', async () => {
  const world = makeWorld(provider('a'), provider('b', { functions: ['apply'] }), provider('c', { isServing: false }))
  world.answer = () => ({
    ok: true,
    value: [
      { app: 'shop', id: 'one', answered: 7, failed: 0 },
      { app: 'shop', id: 'two', answered: 0, failed: 3 },
    ],
  })
  world.signals.start()
  world.signals.start()
  await world.clock.advance(2500)
  assert.deepEqual(world.asked, ['a.signals', 'a.signals'])
  assert.deepEqual(world.failing, ['shop/two', 'shop/two'])
})

test('who owes an answer is not asked again, and holds up nobody else', async () => {
  const world = makeWorld(provider('a'))
  world.answerMs = 10_000
  world.signals.start()
  await world.clock.advance(9000)
  assert.equal(world.asked.length, 1)
})

test('a failure is nothing, and the next answer counts', async () => {
  const world = makeWorld(provider('a'))
  const failure = {
    code: 'ORC_SANDBOX_TIMEOUT',
    message: 'late',
    plugin: 'p',
    instance: 'a',
    hook: '',
    atMs: 0,
  } as const
  world.answer = () => ({ ok: false, failure })
  world.signals.start()
  await world.clock.advance(3500)
  assert.deepEqual(world.failing, [])
  world.answer = () => ({ ok: true, value: [{ app: 'shop', id: 'one', answered: 0, failed: 1 }] })
  await world.clock.advance(1000)
  assert.deepEqual(world.failing, ['shop/one'])
})

test('of more endpoints than anybody has, some are heard', async () => {
  const world = makeWorld(provider('a'))
  const value = Array.from({ length: 50_000 }, (_, index) => ({ app: 'shop', id: `r${index}`, answered: 0, failed: 1 }))
  world.answer = () => ({ ok: true, value })
  world.signals.start()
  await world.clock.advance(1500)
  assert.equal(world.failing.length, 1000)
})

test('after the stop nobody is asked, and what still comes in is not passed on', async () => {
  const world = makeWorld(provider('a'))
  world.answer = () => ({ ok: true, value: [{ app: 'shop', id: 'one', answered: 0, failed: 1 }] })
  world.answerMs = 500
  world.signals.start()
  await world.clock.advance(1200)
  world.signals.stop()
  await world.clock.advance(5000)
  assert.deepEqual([world.asked.length, world.failing.length], [1, 0])
  assert.equal(world.clock.timers(), 0)
})
