/** KV-02: a guest names keys as the store might write them, to read or change what another plugin keeps. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startGuestRoom } from './guest-room.ts'

const keys = [
  '../victim/secret',
  'victim\u0000secret',
  '\u0000',
  '\u0001victim',
  'victim","secret',
  '["kv","victim","victim","secret"]',
  'kv/victim/victim/secret',
  '\u001f',
  '__proto__',
  'constructor',
  '\ud800',
  '\u{10ffff}',
  '',
]

test('KV-02 no key reaches another plugin, and what that one keeps is unchanged', async (t) => {
  const room = await startGuestRoom(t)
  const capabilities = [{ kind: 'kv' }]
  await room.install({
    name: 'victim',
    capabilities,
    body: `if (await ctx.kv.get('secret') === null) await ctx.kv.put('secret', 'untouched')
      return ctx.kv.list()`,
  })
  const before = await room.ask('victim')
  assert.deepEqual(before, [{ key: 'secret', value: 'untouched' }])
  await room.install({
    name: 'thief',
    capabilities,
    head: `const keys = ${JSON.stringify(keys)}`,
    body: `const told = []
      for (const key of keys) told.push([await tell(() => ctx.kv.get(key)), await tell(() => ctx.kv.put(key, 'stolen')), await tell(() => ctx.kv.get(key)), await tell(() => ctx.kv.delete(key))])
      return told.concat([[await tell(() => ctx.kv.list('')), await tell(() => ctx.kv.list('victim'))]])`,
  })
  const told = (await room.ask('thief')) as unknown[][]
  const refused = Array(4).fill('ORC_CAPABILITY_ARGUMENT')
  for (const [index, key] of keys.entries()) {
    const isKey = key !== '' && key.isWellFormed() && !Array.from(key).some((character) => character < ' ')
    // A key that may be used is the thief's own: empty before it wrote there, and what it wrote afterwards.
    assert.deepEqual(told[index], isKey ? ['done', 'done', 'stolen', 'done'] : refused, JSON.stringify(key))
  }
  assert.deepEqual(told.at(-1), [[], []])
  assert.deepEqual(await room.ask('victim'), before)
  assert.equal((await room.store.list({ prefix: ['kv'] })).length, 1)
})
