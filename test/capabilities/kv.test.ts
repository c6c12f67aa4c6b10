import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createKvCapability } from '../../runtime/capabilities/kv.ts'
import { systemClock } from '../../runtime/clock.ts'
import { createMemoryStore } from '../../runtime/store/memory.ts'
import { bindAs } from '../support/bound.ts'

function make(grant: { quotaKb?: number; maxValueKb?: number } = {}) {
  const store = createMemoryStore({ clock: systemClock })
  const capability = createKvCapability({ store })
  const as = (instance: string, plugin = '@test/plugin') =>
    bindAs(capability, { kind: 'kv', ...grant }, { plugin, instance }).call
  return { store, capability, as, call: as('one') }
}
const kb = (count: number) => 'x'.repeat(count * 1024 - 16)

test('what was put is got, listed by prefix, and gone when deleted', async () => {
  const { call } = make()
  await call('kv.put', 'a:1', { n: 1 })
  await call('kv.put', 'a:2', [null, true])
  await call('kv.put', 'b', 'text')
  assert.deepEqual(await call('kv.get', 'a:1'), { n: 1 })
  assert.equal(await call('kv.get', 'none'), null)
  assert.deepEqual(await call('kv.list', 'a:'), [
    { key: 'a:1', value: { n: 1 } },
    { key: 'a:2', value: [null, true] },
  ])
  await call('kv.delete', 'a:1')
  await call('kv.delete', 'a:1')
  assert.deepEqual(
    ((await call('kv.list')) as { key: string }[]).map(({ key }) => key),
    ['a:2', 'b'],
  )
})

test('C43, KV-02: instances and plugins do not see each other, whatever their keys look like', async () => {
  const { as, store } = make()
  await as('one')('kv.put', 'k', 1)
  await as('two')('kv.put', 'k', 2)
  await as('one', '@other/plugin')('kv.put', 'k', 3)
  for (const key of ['../two/k', 'two", "k', '__proto__', 'constructor', '/', '*']) {
    assert.equal(await as('one')('kv.get', key), null)
    await as('one')('kv.put', key, 'mine')
    assert.equal(await as('one')('kv.get', key), 'mine')
  }
  assert.deepEqual([await as('one')('kv.get', 'k'), await as('two')('kv.get', 'k')], [1, 2])
  assert.equal((await store.list({ prefix: ['kv', '@test/plugin', 'two'] })).length, 1)
})

test('KV-01: the quota counts keys and values, and overwriting and deleting give back', async () => {
  const { call } = make({ quotaKb: 4, maxValueKb: 2 })
  await call('kv.put', 'a', kb(2))
  await call('kv.put', 'b', kb(2))
  await assert.rejects(call('kv.put', 'c', 'x'.repeat(100)), {
    code: 'ORC_CAPABILITY_LIMIT',
    message: /4 KB are granted/,
  })
  for (let index = 0; index < 20; index += 1) await call('kv.put', 'a', kb(2))
  await call('kv.put', 'a', 'small')
  await call('kv.put', 'c', 'x'.repeat(100))
  await call('kv.delete', 'b')
  await call('kv.put', 'd', kb(2))
  await assert.rejects(call('kv.put', 'e', kb(2)), { code: 'ORC_CAPABILITY_LIMIT' })
})

test('KV-01: a hundred writers at once do not get past the quota together', async () => {
  const { call, as, store } = make({ quotaKb: 8, maxValueKb: 1 })
  const second = as('one')
  const results = await Promise.allSettled(
    Array.from({ length: 100 }, (_, index) => (index % 2 === 0 ? call : second)('kv.put', `k${index}`, kb(1))),
  )
  const stored = await store.list({ prefix: ['kv'] })
  const bytes = stored.reduce((sum, { value }) => sum + JSON.stringify(value).length, 0)
  assert.ok(bytes <= 8 * 1024, `${bytes}`)
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, stored.length)
  assert.equal(stored.length, 8)
})

test('the quota counts what was stored before a restart', async () => {
  const { store, call } = make({ quotaKb: 2, maxValueKb: 1 })
  await call('kv.put', 'a', kb(1))
  const again = bindAs(
    createKvCapability({ store }),
    { kind: 'kv', quotaKb: 2, maxValueKb: 1 },
    { instance: 'one' },
  ).call
  await again('kv.put', 'b', 'x'.repeat(900))
  await assert.rejects(again('kv.put', 'c', 'x'.repeat(200)), { code: 'ORC_CAPABILITY_LIMIT' })
})

for (const [what, operation, args, code] of [
  ['an empty key', 'kv.put', ['', 1], 'ORC_CAPABILITY_ARGUMENT'],
  ['a key of 257 bytes', 'kv.put', ['\u00e9'.repeat(129), 1], 'ORC_CAPABILITY_ARGUMENT'],
  ['a key with NUL', 'kv.get', ['a\0b'], 'ORC_CAPABILITY_ARGUMENT'],
  ['half a character', 'kv.put', ['\ud800', 1], 'ORC_CAPABILITY_ARGUMENT'],
  ['a key that is a number', 'kv.get', [1], 'ORC_CAPABILITY_ARGUMENT'],
  ['no key', 'kv.delete', [], 'ORC_CAPABILITY_ARGUMENT'],
  ['a value larger than granted', 'kv.put', ['a', 'x'.repeat(70_000)], 'ORC_CAPABILITY_LIMIT'],
] as const) {
  test(`C43: ${what} is refused`, async () => {
    await assert.rejects(make().call(operation, ...args), { code })
  })
}

test('a list of more than 1000 is refused, not cut', async () => {
  const { call } = make({ quotaKb: 4_096 })
  for (let index = 0; index < 1_001; index += 1) await call('kv.put', `k${index}`, 1)
  await assert.rejects(call('kv.list'), { code: 'ORC_CAPABILITY_LIMIT', message: /1001 keys/ })
  assert.equal(((await call('kv.list', 'k10')) as unknown[]).length, 12)
})

test('a value larger than the whole quota cannot be granted', () => {
  const { capability } = make()
  assert.match(capability.check?.({ kind: 'kv', quotaKb: 8, maxValueKb: 9 })[0] ?? '', /more than the whole/)
  assert.deepEqual(capability.check?.({ kind: 'kv', quotaKb: 8 }), [])
})
