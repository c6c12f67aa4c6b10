import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import type { AppChange } from '../../runtime/apps/app.ts'
import { createApps } from '../../runtime/apps/registry.ts'
import { OrchestryError } from '../../runtime/errors.ts'
import type { NewEvent } from '../../runtime/events/events.ts'
import { createLmdbStore } from '../../runtime/store/lmdb.ts'
import { createMemoryStore } from '../../runtime/store/memory.ts'
import type { Store } from '../../runtime/store/store.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { tempDir } from '../support/temp-dir.ts'
import { head, run } from './spec-cases.ts'

const shop = `${head}${run}`
const named = (name: string, more = '') => shop.replace('name: shop', `name: ${name}`) + more

async function openMemory(test: TestContext): Promise<Store> {
  const store = createMemoryStore({ clock: createFakeClock() })
  test.after(() => store.close())
  return store
}
async function openLmdb(test: TestContext): Promise<Store> {
  const store = await createLmdbStore({ path: join(await tempDir(test), 'store'), clock: createFakeClock() })
  test.after(() => store.close())
  return store
}

/** A registry on a real store, with everything it says written down. */
async function open(store: Store) {
  const events: NewEvent[] = []
  const clock = createFakeClock()
  const apps = await createApps({ store, clock, events: { emit: (event) => events.push(event) }, drivers: ['process'] })
  const changes: AppChange[] = []
  apps.onChange((change) => changes.push(change))
  return { apps, clock, changes, events, types: () => events.map(({ type, app }) => `${type} ${app}`) }
}

const refusedWith =
  (code: string, ...texts: RegExp[]) =>
  (error: unknown) => {
    assert.ok(error instanceof OrchestryError, String(error))
    assert.equal(error.code, code)
    for (const text of texts) assert.match(error.message, text)
    return true
  }

for (const [kind, openStore] of [
  ['memory', openMemory],
  ['LMDB', openLmdb],
] as const)
  describe(`apps on ${kind}`, () => {
    test('a new app runs at its minimum, and is found again by the next process', async (t) => {
      const store = await openStore(t)
      const { apps, types } = await open(store)
      const { record, outcome } = await apps.apply(named('shop', 'scaling: { minReplicas: 2 }\n'))
      assert.equal(outcome, 'created')
      assert.deepEqual([record.desired, record.isRunning, record.paused, record.revision], [2, true, 'none', 1])
      assert.deepEqual(types(), ['app.registered shop'])
      assert.deepEqual((await open(store)).apps.list(), [record])
    })

    test('everything that was changed is found again by the next process', async (t) => {
      const store = await openStore(t)
      const { apps } = await open(store)
      await apps.apply(shop)
      await apps.setDesired('shop', 4)
      await apps.setRunning('shop', false)
      await apps.setPaused('shop', 'in')
      await apps.setScaling('shop', { maxReplicas: 20 })
      const later = (await open(store)).apps.require('shop')
      assert.deepEqual(later, apps.require('shop'))
      assert.deepEqual(
        [later.desired, later.isRunning, later.paused, later.app.scaling.maxReplicas, later.revision],
        [4, false, 'in', 20, 5],
      )
    })

    test('the same text again changes nothing, writes nothing and says nothing', async (t) => {
      const { apps, changes, events } = await open(await openStore(t))
      const first = await apps.apply(shop)
      const second = await apps.apply(shop)
      assert.equal(second.outcome, 'unchanged')
      assert.equal(second.record, first.record)
      assert.deepEqual([changes.length, events.length], [1, 1])
    })

    test('the same text again is unchanged for the next process too', async (t) => {
      const store = await openStore(t)
      const text = named('shop', 'healthCheck: {}\nscaling: { fallback: { afterSeconds: 1, replicas: 2 } }\n')
      await (await open(store)).apps.apply(text)
      assert.equal((await (await open(store)).apps.apply(text)).outcome, 'unchanged')
    })

    test('a new spec keeps what is desired, clamped into the new bounds, and tells what changed', async (t) => {
      const { apps, events } = await open(await openStore(t))
      await apps.apply(shop)
      await apps.setDesired('shop', 7)
      const kept = await apps.apply(named('shop', 'rollout: { maxSurge: 2 }\n'))
      assert.deepEqual([kept.outcome, kept.record.desired], ['changed', 7])
      const clamped = await apps.apply(named('shop', 'scaling: { maxReplicas: 5 }\n'))
      assert.equal(clamped.record.desired, 5)
      assert.deepEqual(
        events.map(({ data }) => data.changed),
        [undefined, ['rollout'], ['scaling', 'rollout']],
      )
    })

    test('a deleted app is gone, its route is free, and it may come again', async (t) => {
      const store = await openStore(t)
      const { apps, types } = await open(store)
      await apps.apply(shop)
      await apps.remove('shop')
      assert.equal(apps.get('shop'), undefined)
      await apps.apply(named('other', 'ingress: { path: /shop/ }\n'))
      await apps.apply(named('shop', 'ingress: { path: /again/ }\n'))
      assert.deepEqual(types(), [
        'app.registered shop',
        'app.deleted shop',
        'app.registered other',
        'app.registered shop',
      ])
      assert.deepEqual(
        (await open(store)).apps.list().map(({ app }) => app.name),
        ['other', 'shop'],
      )
    })

    test('a hundred changes at once of one app are done one after the other, none is lost', async (t) => {
      const { apps, changes } = await open(await openStore(t))
      await apps.apply(named('shop', 'scaling: { maxReplicas: 200 }\n'))
      await Promise.all(Array.from({ length: 100 }, (_, index) => apps.setDesired('shop', index + 2)))
      assert.equal(apps.require('shop').revision, 101)
      assert.deepEqual(
        changes.slice(1).map(({ record }) => record?.desired),
        Array.from({ length: 100 }, (_, index) => index + 2),
      )
    })

    test('of twenty that want one route at once, one gets it', async (t) => {
      const store = await openStore(t)
      const { apps } = await open(store)
      const applied = await Promise.allSettled(
        Array.from({ length: 20 }, (_, index) => apps.apply(named(`app-${index}`, 'ingress: { path: /one/ }\n'))),
      )
      assert.equal(applied.filter(({ status }) => status === 'fulfilled').length, 1)
      assert.equal((await store.list({ prefix: ['apps'] })).length, 1)
    })
  })

test('nobody hears of a change before it is in the store', async (t) => {
  const store = await openMemory(t)
  const { apps } = await open(store)
  const stored: unknown[] = []
  const reads: Promise<unknown>[] = []
  apps.onChange(({ name }) => reads.push(store.get(['apps', name]).then((entry) => stored.push(entry?.revision))))
  await apps.apply(shop)
  await apps.setRunning('shop', false)
  await Promise.all(reads)
  assert.deepEqual(stored, [1, 2])
})

test('a store that refuses leaves the app, its route and the listeners as they were', async (t) => {
  const store = await openMemory(t)
  let isFull = false
  const full: Store = {
    ...store,
    write: (writes) =>
      isFull ? Promise.reject(new OrchestryError('ORC_STORE_FAILED', 'the disk is full')) : store.write(writes),
  }
  const { apps, changes, events } = await open(full)
  const { record } = await apps.apply(shop)
  isFull = true
  await assert.rejects(apps.apply(named('shop', 'ingress: { path: /new/ }\n')), refusedWith('ORC_STORE_FAILED'))
  await assert.rejects(apps.apply(named('other')), refusedWith('ORC_STORE_FAILED'))
  await assert.rejects(apps.remove('shop'), refusedWith('ORC_STORE_FAILED'))
  await assert.rejects(apps.setScaling('shop', { maxReplicas: 3 }), refusedWith('ORC_STORE_FAILED'))
  assert.deepEqual([apps.list(), changes.length, events.length], [[record], 1, 1])
  isFull = false
  await apps.apply(named('third', 'ingress: { path: /new/ }\n'))
  await assert.rejects(apps.apply(named('fourth', 'ingress: { path: /shop/ }\n')), refusedWith('ORC_APP_ROUTE_TAKEN'))
})

test('what another controller wrote in between wins, and is seen', async (t) => {
  const store = await openMemory(t)
  const one = await open(store)
  await one.apps.apply(shop)
  const two = await open(store)
  await two.apps.setDesired('shop', 6)
  await assert.rejects(
    one.apps.setDesired('shop', 3),
    refusedWith('ORC_API_PRECONDITION', /another controller/i, /Nothing/),
  )
  assert.equal(one.apps.require('shop').desired, 6)
  assert.equal((await one.apps.setDesired('shop', 3)).desired, 3)
  await two.apps.remove('shop').catch(() => two.apps.remove('shop'))
  await assert.rejects(one.apps.setDesired('shop', 2), refusedWith('ORC_API_PRECONDITION'))
  assert.equal(one.apps.get('shop'), undefined)
})

const routes: [title: string, first: string, second: string, isTaken: boolean][] = [
  ['the same path', '{ path: /a/ }', '{ path: /a/ }', true],
  ['the same path without its last slash', '{ path: /a }', '{ path: /a/ }', true],
  ['the same path on the same host', '{ host: x.example, path: /a }', '{ host: x.example, path: /a }', true],
  ['the same host', '{ host: x.example }', '{ host: x.example }', true],
  ['the same path on another host', '{ host: x.example, path: /a }', '{ host: y.example, path: /a }', false],
  ['the same path on any host', '{ host: x.example, path: /a }', '{ path: /a }', false],
  ['a path below it', '{ path: /a }', '{ path: /a/b }', false],
  ['the same path in other capitals, which is another path', '{ path: /a }', '{ path: /A }', false],
  ['the whole host, spelled out', '{ host: x.example }', '{ host: x.example, path: / }', true],
]
for (const [title, first, second, isTaken] of routes)
  test(`a second app on ${title} is ${isTaken ? 'refused' : 'welcome'}`, async (t) => {
    const { apps } = await open(await openMemory(t))
    await apps.apply(named('one', `ingress: ${first}\n`))
    const applied = apps.apply(named('two', `ingress: ${second}\n`))
    if (isTaken) await assert.rejects(applied, refusedWith('ORC_APP_ROUTE_TAKEN', /`one`/, /Nothing was stored/))
    else assert.equal((await applied).outcome, 'created')
    assert.equal(apps.list().length, isTaken ? 1 : 2)
  })

test('a route of another app is refused on a change as it is on creation, and nothing moves', async (t) => {
  const { apps } = await open(await openMemory(t))
  const before = await apps.apply(named('one', 'ingress: { path: /a }\n'))
  await apps.apply(named('two', 'ingress: { path: /b/ }\n'))
  for (const path of ['/b', '/b/'])
    await assert.rejects(
      apps.apply(named('one', `ingress: { path: ${path} }\n`)),
      refusedWith('ORC_APP_ROUTE_TAKEN', /`two`/, /Nothing was stored/),
    )
  assert.deepEqual(apps.get('one'), before.record)
  await assert.rejects(
    apps.apply(named('three', 'ingress: { path: /a }\n')),
    refusedWith('ORC_APP_ROUTE_TAKEN', /`one`/),
  )
})

test('a route that an app gives up is free at once, the one it moved to is not', async (t) => {
  const { apps } = await open(await openMemory(t))
  await apps.apply(shop)
  await apps.apply(named('shop', 'ingress: { path: /new/ }\n'))
  await apps.apply(named('other', 'ingress: { path: /shop/ }\n'))
  await assert.rejects(
    apps.apply(named('third', 'ingress: { path: /new/ }\n')),
    refusedWith('ORC_APP_ROUTE_TAKEN', /`shop`/),
  )
})

test('conditions of a caller are kept', async (t) => {
  const { apps } = await open(await openMemory(t))
  await assert.rejects(apps.apply(shop, { expectedRevision: 1 }), refusedWith('ORC_API_PRECONDITION', /no such app/))
  await apps.apply(shop, { ifAbsent: true, expectedRevision: 0 })
  await assert.rejects(apps.apply(shop, { ifAbsent: true }), refusedWith('ORC_APP_EXISTS', /`shop`/))
  const changed = named('shop', 'rollout: { maxSurge: 2 }\n')
  await assert.rejects(
    apps.apply(changed, { expectedRevision: 7 }),
    refusedWith('ORC_API_PRECONDITION', /revision 7/, /revision 1/),
  )
  assert.equal((await apps.apply(changed, { expectedRevision: 1 })).record.revision, 2)
})

test('an earlier spec can come back with the scaling that is in force now', async (t) => {
  const { apps } = await open(await openMemory(t))
  const before = named('shop', 'scaling: { mode: manual, maxReplicas: 5, replicas: 2 } # then\n')
  await apps.apply(before)
  await apps.apply(named('shop', 'scaling: { mode: manual, maxReplicas: 9, replicas: 2 }\nrollout: { maxSurge: 2 }\n'))
  await apps.setDesired('shop', 8)
  const { record } = await apps.apply(before, { keepScaling: true })
  assert.deepEqual([record.desired, record.app.scaling.maxReplicas, record.app.rollout.maxSurge], [8, 9, 1])
  assert.match(record.source, /maxReplicas: 9/)
  const { record: bare } = await apps.apply(named('shop'), { keepScaling: true })
  assert.equal(bare.app.scaling.maxReplicas, 9)
})

test('a restart is another version of the same spec, and stays so with the next spec', async (t) => {
  const store = await openMemory(t)
  const { apps, events } = await open(store)
  const { record: first } = await apps.apply(shop)
  const restarted = await apps.restart('shop')
  assert.notEqual(restarted.version, first.version)
  assert.deepEqual(restarted.app, first.app)
  assert.equal(events.at(-1)?.type, 'app.changed')
  const { record: next } = await apps.apply(named('shop', 'rollout: { maxSurge: 2 }\n'))
  assert.equal(next.version, restarted.version, 'what replaces nothing does not undo a restart either')
  assert.equal((await open(store)).apps.get('shop')?.version, restarted.version)
})

test('a spec of another name than the address is refused where its name stands', async (t) => {
  const { apps } = await open(await openMemory(t))
  await assert.rejects(apps.apply(shop, { expectedName: 'store' }), (error: unknown) => {
    refusedWith('ORC_SPEC_INVALID', /expected `store`/)(error)
    const { problems } = error as OrchestryError
    assert.deepEqual(
      problems.map(({ path, line, column }) => [path, line, column]),
      [['/metadata/name', 3, 19]],
    )
    return true
  })
  assert.deepEqual(apps.list(), [])
})

test('an invalid spec and an unknown driver store nothing', async (t) => {
  const store = await openMemory(t)
  const { apps, events } = await open(store)
  await assert.rejects(apps.apply('a: b: c'), refusedWith('ORC_SPEC_UNREADABLE'))
  await assert.rejects(
    apps.apply(shop.replace('command', 'comand')),
    refusedWith('ORC_SPEC_INVALID', /did you mean `command`/),
  )
  await assert.rejects(
    apps.apply(`${head}spec: { image: a, ports: [{ containerPort: 1 }] }`),
    refusedWith('ORC_SPEC_INVALID', /`docker`/),
  )
  assert.deepEqual([await store.list({ prefix: [] }), events], [[], []])
})

test('an app that is not there is named, with those that are', async (t) => {
  const { apps } = await open(await openMemory(t))
  assert.throws(() => apps.require('shop'), refusedWith('ORC_APP_UNKNOWN', /no app "shop"\. Apps: none\./))
  await apps.apply(shop)
  await apps.apply(named('blog'))
  assert.throws(() => apps.require('shpo'), refusedWith('ORC_APP_UNKNOWN', /Did you mean `shop`\?/))
  assert.throws(() => apps.require('../etc'), refusedWith('ORC_APP_UNKNOWN', /Apps: blog, shop\./))
  for (const work of [
    apps.remove('x1y2'),
    apps.setDesired('x1y2', 1),
    apps.setRunning('x1y2', true),
    apps.setPaused('x1y2', 'all'),
    apps.setScaling('x1y2', {}),
  ])
    await assert.rejects(work, refusedWith('ORC_APP_UNKNOWN'))
})

test('what is desired stays within the bounds and is a whole number', async (t) => {
  const { apps } = await open(await openMemory(t))
  await apps.apply(named('shop', 'scaling: { minReplicas: 2, maxReplicas: 4 }\n'))
  assert.equal((await apps.setDesired('shop', 99)).desired, 4)
  assert.equal((await apps.setDesired('shop', -1)).desired, 2)
  for (const replicas of [1.5, Number.NaN, Number.POSITIVE_INFINITY])
    await assert.rejects(apps.setDesired('shop', replicas), refusedWith('ORC_API_VALIDATION'))
})

test('starting, stopping and pausing are told once, and only when they change something', async (t) => {
  const { apps, types } = await open(await openMemory(t))
  await apps.apply(shop)
  await apps.setRunning('shop', true)
  await apps.setRunning('shop', false)
  await apps.setRunning('shop', false)
  await apps.setRunning('shop', true)
  await apps.setPaused('shop', 'none')
  await apps.setPaused('shop', 'all')
  await apps.setPaused('shop', 'all')
  await apps.setPaused('shop', 'none')
  assert.deepEqual(types(), [
    'app.registered shop',
    'app.stopped shop',
    'app.started shop',
    'app.paused shop',
    'app.resumed shop',
  ])
  assert.equal(apps.require('shop').revision, 5)
})

test('a new spec neither starts a stopped app nor resumes a paused one', async (t) => {
  const { apps } = await open(await openMemory(t))
  await apps.apply(shop)
  await apps.setRunning('shop', false)
  await apps.setPaused('shop', 'out')
  const { record } = await apps.apply(named('shop', 'rollout: { maxSurge: 2 }\n'))
  assert.deepEqual([record.isRunning, record.paused], [false, 'out'])
})

test('replicas in the spec begin an app, and in manual mode a new number moves it', async (t) => {
  const { apps } = await open(await openMemory(t))
  const spec = (mode: string, replicas: number, max = 10) =>
    named('shop', `scaling: { mode: ${mode}, replicas: ${replicas}, maxReplicas: ${max} }\n`)
  const desired = async (text: string) => (await apps.apply(text)).record.desired
  assert.equal(await desired(spec('auto', 3)), 3)
  assert.equal(await desired(spec('auto', 5)), 3, 'scaling decides in auto mode')
  assert.equal(await desired(spec('manual', 6)), 6)
  await apps.setDesired('shop', 2)
  assert.equal(await desired(spec('manual', 6, 11)), 2, 'the same number does not undo what was scaled by hand')
  assert.equal(await desired(spec('manual', 4, 11)), 4)
})

test('a version changes only with what replicas depend on', async (t) => {
  const { apps } = await open(await openMemory(t))
  const first = (await apps.apply(shop)).record.version
  assert.equal((await apps.apply(named('shop', 'scaling: { maxReplicas: 3 }\n'))).record.version, first)
  assert.notEqual((await apps.apply(shop.replace('server.js', 'main.js'))).record.version, first)
})

test('a part of the scaling section goes through the same validation, and the text tells of it', async (t) => {
  const { apps, events } = await open(await openMemory(t))
  await apps.apply(named('shop', 'scaling:\n  maxReplicas: 8 # for now\n'))
  await apps.setDesired('shop', 8)
  await assert.rejects(
    apps.setScaling('shop', { minReplica: 1 }),
    refusedWith('ORC_SPEC_INVALID', /did you mean `minReplicas`/),
  )
  const record = await apps.setScaling('shop', { maxReplicas: 6, targetRPSPerReplica: 20 })
  assert.deepEqual([record.desired, record.app.scaling.targets], [6, { rpsPerReplica: 20 }])
  assert.match(record.source, /maxReplicas: 6 # for now/)
  assert.deepEqual(events.at(-1)?.data.changed, ['scaling'])
  const { revision } = record
  assert.equal((await apps.setScaling('shop', { maxReplicas: 6 })).revision, revision, 'no change, no write')
  assert.equal((await apps.apply(record.source)).outcome, 'unchanged', 'the text is the app')
})

test('who stops listening hears no more', async (t) => {
  const { apps } = await open(await openMemory(t))
  const heard: string[] = []
  const stop = apps.onChange(({ name, record, previous }) =>
    heard.push(`${name} ${previous?.desired} → ${record?.desired}`),
  )
  await apps.apply(shop)
  await apps.setDesired('shop', 3)
  await apps.remove('shop')
  stop()
  await apps.apply(shop)
  assert.deepEqual(heard, ['shop undefined → 1', 'shop 1 → 3', 'shop 3 → undefined'])
})
