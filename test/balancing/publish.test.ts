import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Upstream, UpstreamStatus } from '@orchestry/sdk'
import { createBalancing } from '../../runtime/balancing/publish.ts'
import type { NewEvent } from '../../runtime/events/events.ts'
import type { Answer, CallScope, HookFailure, Hooks, Provider } from '../../runtime/hooks/hooks.ts'
import { createLog } from '../../runtime/log.ts'
import { createFakeClock } from '../support/fake-clock.ts'

type Call = { fn: string; instance: string; payload: unknown; scope: CallScope | undefined }

/** Load balancer plugins that do as they are told: `gate` holds a call back, `failure` refuses it. */
function makeWorld() {
  const calls: Call[] = []
  const events: NewEvent[] = []
  const listeners = new Set<() => void>()
  const clock = createFakeClock()
  const world = {
    calls,
    events,
    clock,
    providers: [provider('proxy', true), provider('nginx', false)],
    failure: undefined as string | undefined,
    gate: undefined as Promise<void> | undefined,
    statuses: new Map<string, UpstreamStatus>(),
    change(...providers: Provider[]) {
      world.providers = providers
      for (const listener of listeners) listener()
    },
    named: (fn: string) => calls.filter((call) => call.fn === fn),
    applied: () =>
      world.named('apply').map(({ payload }) => (payload as Upstream).endpoints.map(({ id }) => id).join()),
  }
  const exclusive = async (_kind: string, fn: string, instance: string, payload: unknown, scope?: CallScope) => {
    calls.push({ fn, instance, payload, scope })
    if (fn === 'status') return { ok: true, value: world.statuses.get(String(payload)) ?? null }
    await world.gate
    const message = world.failure
    if (message === undefined) return { ok: true, value: null }
    const failure: HookFailure = { code: 'ORC_SANDBOX_TIMEOUT', message, plugin: 'p', instance, hook: fn, atMs: 0 }
    return { ok: false, failure } satisfies Answer<never>
  }
  const hooks: Pick<Hooks, 'providers' | 'exclusive' | 'onProvidersChanged'> = {
    providers: () => world.providers,
    exclusive: exclusive as Hooks['exclusive'],
    onProvidersChanged: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
  const emit = (event: NewEvent) => void events.push(event)
  const balancing = createBalancing({ hooks, events: { emit }, clock, log: createLog({ level: 'silent' }) })
  return { ...world, world, balancing }
}

function provider(instance: string, isDefault: boolean, changes: Partial<Provider> = {}): Provider {
  const shape = { plugin: `@x/${instance}`, version: '1.0.0', kind: 'loadBalancer', isServing: true } as const
  return { ...shape, instance, isDefault, functions: [], declares: {}, ...changes }
}

const wanted = (ids: string, loadBalancer?: string) => ({
  route: { path: '/shop/' },
  endpoints: ids.split('').map((id) => ({ id, host: '127.0.0.1', port: 4000 })),
  draining: [],
  ...(loadBalancer === undefined ? {} : { loadBalancer }),
})
const types = (events: readonly NewEvent[]) => events.map(({ type }) => type)

test('an upstream goes to the default load balancer, with the endpoints it may speak of', async () => {
  const { balancing, named, events, clock } = makeWorld()
  assert.equal(await balancing.publish('shop', wanted('ab')), true)
  const [call] = named('apply')
  assert.equal(call?.instance, 'proxy')
  assert.deepEqual([...(call?.scope?.endpoints ?? [])].length, 2)
  assert.equal(balancing.generation('shop'), clock.now())
  assert.equal(balancing.problem('shop'), undefined)
  assert.deepEqual(events, [
    {
      type: 'upstream.published',
      app: 'shop',
      data: { generation: clock.now(), loadBalancer: 'proxy', endpoints: 2, draining: 0 },
    },
  ])
  await balancing.stop()
})

test('the same upstream again is not sent again', async () => {
  const { balancing, named, events } = makeWorld()
  await balancing.publish('shop', wanted('ab'))
  assert.equal(await balancing.publish('shop', wanted('ba')), true)
  assert.equal(named('apply').length, 1)
  assert.equal(events.length, 1)
  await balancing.stop()
})

test('while one call is under way only the newest waits; the ones between are never sent', async () => {
  const { balancing, world, applied } = makeWorld()
  let open = () => {}
  world.gate = new Promise((resolve) => {
    open = resolve
  })
  const first = balancing.publish('shop', wanted('a'))
  await new Promise(setImmediate)
  const second = balancing.publish('shop', wanted('b'))
  const third = balancing.publish('shop', wanted('c'))
  assert.equal(await second, false)
  open()
  assert.deepEqual([await first, await third], [true, true])
  assert.deepEqual(applied(), ['a', 'c'])
  await balancing.stop()
})

test('apps do not wait for each other', async () => {
  const { balancing, world } = makeWorld()
  world.gate = new Promise(() => {})
  void balancing.publish('stuck', wanted('a'))
  await new Promise(setImmediate)
  world.gate = undefined
  assert.equal(await balancing.publish('shop', wanted('a')), true)
})

test('a failure is told at once, once, and tried again with backoff until it succeeds', async () => {
  const { balancing, world, applied, events, clock } = makeWorld()
  await balancing.publish('shop', wanted('a'))
  const good = balancing.generation('shop')
  world.failure = 'no answer'
  assert.equal(await balancing.publish('shop', wanted('b')), false)
  assert.equal(balancing.generation('shop'), good)
  assert.equal(balancing.problem('shop'), 'no answer')
  const tries = () => applied().length - 1
  const after = async (ms: number) => {
    await clock.advance(ms)
    return tries()
  }
  assert.deepEqual([await after(199), await after(1)], [1, 2])
  assert.deepEqual([await after(399), await after(1)], [2, 3])
  await clock.advance(120_000)
  assert.ok(tries() < 25, `${tries()} tries in two minutes`)
  const before = tries()
  assert.deepEqual(types(events), ['upstream.published', 'upstream.failed'])
  world.failure = undefined
  await clock.advance(10_000)
  assert.equal(tries(), before + 1)
  assert.equal(balancing.problem('shop'), undefined)
  assert.ok(balancing.generation('shop') > good)
  assert.deepEqual(types(events), ['upstream.published', 'upstream.failed', 'upstream.published'])
  await clock.advance(60_000)
  assert.equal(tries(), before + 1)
  await balancing.stop()
})

test('a newer upstream does not wait for the backoff of the one before', async () => {
  const { balancing, world, applied } = makeWorld()
  world.failure = 'no answer'
  assert.equal(await balancing.publish('shop', wanted('a')), false)
  world.failure = undefined
  assert.equal(await balancing.publish('shop', wanted('b')), true)
  assert.deepEqual(applied(), ['a', 'b'])
  await balancing.stop()
})

test('an app that names its load balancer gets that one; a name that does not exist is a problem that names those that do', async () => {
  const { balancing, named, events } = makeWorld()
  assert.equal(await balancing.publish('shop', wanted('a', 'nginx')), true)
  assert.equal(named('apply')[0]?.instance, 'nginx')
  assert.equal(await balancing.publish('blog', wanted('a', 'haproxy')), false)
  assert.match(balancing.problem('blog') ?? '', /haproxy.*proxy, nginx/)
  assert.equal(events.at(-1)?.data.code, 'ORC_BALANCING_NO_BALANCER')
  await balancing.stop()
})

test('an app that changes its load balancer is taken from the old one, after the new one has it', async () => {
  const { balancing, calls } = makeWorld()
  await balancing.publish('shop', wanted('a'))
  await balancing.publish('shop', wanted('a', 'nginx'))
  assert.deepEqual(
    calls.filter(({ fn }) => fn !== 'status').map(({ fn, instance }) => `${fn} ${instance}`),
    ['apply proxy', 'apply nginx', 'remove proxy'],
  )
  await balancing.stop()
})

test('a load balancer that comes back, or in another version, is told again; other changes disturb nobody', async () => {
  const { balancing, change, applied, clock } = makeWorld()
  await balancing.publish('shop', wanted('a'))
  const tries = async (...providers: Provider[]) => {
    change(...providers)
    await clock.advance(0)
    return applied().length
  }
  const nginx = provider('nginx', false)
  assert.equal(await tries(provider('proxy', true), provider('nginx', false, { isServing: false })), 1)
  assert.equal(await tries(provider('proxy', true, { isServing: false }), nginx), 1)
  assert.equal(await tries(provider('proxy', true), nginx), 2)
  assert.equal(await tries(provider('proxy', true, { version: '1.1.0' }), nginx), 3)
  assert.equal(await tries(nginx), 4)
  await balancing.stop()
})

test('a change of providers that a failing call causes does not make it try without pause', async () => {
  const { balancing, change, world, applied, clock } = makeWorld()
  world.failure = 'no answer'
  await balancing.publish('shop', wanted('a'))
  for (let round = 0; round < 20; round += 1) change(...world.providers)
  await clock.advance(0)
  assert.equal(applied().length, 1)
  await balancing.stop()
})

test('republish sends every upstream again, under its own generation', async () => {
  const { balancing, named, events, clock } = makeWorld()
  await balancing.publish('shop', wanted('a'))
  await balancing.publish('blog', wanted('b'))
  balancing.republish()
  await clock.advance(0)
  const generations = named('apply').map(({ payload }) => (payload as Upstream).generation)
  assert.deepEqual(new Set(generations.slice(2)), new Set(generations.slice(0, 2)))
  assert.equal(generations.length, 4)
  assert.equal(events.length, 2)
  await balancing.stop()
})

test('removing takes the app from its load balancer, is tried until it works, and forgets it', async () => {
  const { balancing, world, named, clock } = makeWorld()
  await balancing.publish('shop', wanted('a', 'nginx'))
  world.failure = 'no answer'
  assert.equal(await balancing.remove('shop'), false, 'who remembers the app must go on doing so')
  world.failure = undefined
  await clock.advance(200)
  assert.deepEqual(
    named('remove').map(({ instance }) => instance),
    ['nginx', 'nginx'],
  )
  assert.equal(balancing.generation('shop'), 0)
  assert.equal(balancing.problem('shop'), undefined)
  assert.equal(await balancing.publish('shop', wanted('a')), true)
  await balancing.stop()
})

test('an app that comes back while it is being removed is published', async () => {
  const { balancing, world, calls } = makeWorld()
  await balancing.publish('shop', wanted('a'))
  let open = () => {}
  world.gate = new Promise((resolve) => {
    open = resolve
  })
  const removed = balancing.remove('shop')
  const published = balancing.publish('shop', wanted('b'))
  open()
  await removed
  assert.equal(await published, true)
  assert.equal(calls.filter(({ fn }) => fn !== 'status').at(-1)?.fn, 'apply')
  await balancing.stop()
})

test('a clock that was set back does not make a load balancer ignore us', async () => {
  const { balancing, world, named, clock } = makeWorld()
  const ahead = clock.now() + 3_600_000
  world.statuses.set('shop', { app: 'shop', generation: ahead, endpoints: [] })
  await balancing.publish('shop', wanted('a'))
  await balancing.publish('shop', wanted('b'))
  const generations = named('apply').map(({ payload }) => (payload as Upstream).generation)
  assert.equal(generations[0], ahead + 1)
  assert.ok((generations[1] ?? 0) > ahead + 1)
  assert.equal(balancing.generation('shop'), generations[1])
  assert.equal(named('status').length, 1)
  await balancing.stop()
})

test('after stop nothing is tried any more, and no timer is left', async () => {
  const { balancing, world, applied, clock } = makeWorld()
  world.failure = 'no answer'
  await balancing.publish('shop', wanted('a'))
  await balancing.stop()
  await clock.advance(60_000)
  assert.equal(applied().length, 1)
  assert.equal(clock.timers(), 0)
  assert.equal(await balancing.publish('shop', wanted('b')), false)
})
