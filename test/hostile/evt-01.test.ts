/** EVT-01: a guest speaks in the name of others, says far too much, and answers its own events for ever. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { waitFor } from '../support/wait-for.ts'
import { startGuestRoom } from './guest-room.ts'

test('EVT-01 no type of the core or of another plugin is emitted, nor one that only looks granted', async (t) => {
  const room = await startGuestRoom(t)
  const types = ['app.scaled', 'plugin.installed', 'runtime.stopped', 'other.done', 'acmeX.done', 'acme', 'Acme.done']
  await room.install({
    name: 'liar',
    capabilities: [{ kind: 'events', emit: ['acme.*'] }],
    head: `const types = ${JSON.stringify(types)}`,
    body: `const told = []
      for (const type of types) told.push(await tell(() => ctx.events.emit(type, {})))
      return told.concat(await tell(() => ctx.events.recent()))`,
  })
  const [denied, argument] = ['ORC_CAPABILITY_DENIED', 'ORC_CAPABILITY_ARGUMENT']
  assert.deepEqual(await room.ask('liar'), [denied, denied, denied, denied, denied, argument, argument, denied])
  for (const type of types) {
    const sources = (await room.events(type)).map(({ source }) => source)
    assert.ok(!sources.some((source) => source.startsWith('plugin:')), type)
  }
  assert.equal((await room.events('plugin.violated')).length, 1)
})

test('EVT-01 a grant that covers types of the core is not given', async (t) => {
  const room = await startGuestRoom(t)
  for (const emit of ['*', 'app.*', 'plugin.installed', 'a*'])
    await assert.rejects(room.install({ name: 'wide', capabilities: [{ kind: 'events', emit: [emit] }] }), {
      code: 'ORC_PLUGIN_MANIFEST_INVALID',
      message: /Orchestry's own/,
    })
})

test('EVT-01 a giant payload is refused, and more than ten events a second too', async (t) => {
  const room = await startGuestRoom(t)
  await room.install({
    name: 'giant',
    capabilities: [{ kind: 'events', emit: ['acme.*'] }],
    body: `const told = [await tell(() => ctx.events.emit('acme.giant', { x: 'x'.repeat(17000) })), await tell(() => ctx.events.emit('acme.giant', { x: '\\u20ac'.repeat(6000) }))]
      for (let index = 0; index < 50; index += 1) told.push(await tell(() => ctx.events.emit('acme.many', {})))
      return told`,
  })
  const told = (await room.ask('giant')) as string[]
  assert.deepEqual(told.slice(0, 2), ['ORC_CAPABILITY_LIMIT', 'ORC_CAPABILITY_LIMIT'])
  assert.deepEqual([told.at(2), told.at(-1)], ['done', 'ORC_CAPABILITY_LIMIT'])
  assert.equal((await room.events('acme.giant')).length, 0)
  const done = told.filter((one) => one === 'done').length
  assert.ok(done >= 10 && done <= 20, `${done}`)
  assert.equal((await room.events('acme.many')).length, done)
})

/** Answers every event of its type with another one, and tells how that went. */
const answering = (emit: string) => `
  eventHandler: {
    events: ['acme.ping'],
    async handle(event, { ctx }) {
      heard += 1
      try { ${emit} } catch (error) { last = error.code }
    },
  },`

for (const [how, emit] of [
  ['at once', `await ctx.events.emit('acme.ping', {})`],
  [
    'by a timer',
    `await ctx.timers.after(100, () => ctx.events.emit('acme.ping', {}).catch((error) => { last = error.code }))`,
  ],
] as const) {
  test(`EVT-01 a handler that answers its own events ${how} is cut at depth 8`, async (t) => {
    const room = await startGuestRoom(t)
    await room.install({
      name: 'loop',
      capabilities: [{ kind: 'events', emit: ['acme.*'] }, { kind: 'timers' }],
      head: `let heard = 0\nlet last = ''\nlet isBegun = false`,
      more: answering(emit),
      body: `if (!isBegun) { isBegun = true; await ctx.events.emit('acme.ping', {}) }
        return { heard, last }`,
    })
    await room.ask('loop')
    await waitFor(async () => ((await room.ask('loop')) as { last: string }).last !== '', { timeoutMs: 15_000 })
    assert.deepEqual(await room.ask('loop'), { heard: 8, last: 'ORC_CAPABILITY_LIMIT' })
    assert.equal((await room.events('acme.ping')).length, 8)
  })
}

test('EVT-01 two plugins that answer each other are cut together', async (t) => {
  const room = await startGuestRoom(t)
  const capabilities = [{ kind: 'events', emit: ['acme.*'] }]
  const head = `let heard = 0\nlet last = ''\nlet isBegun = false`
  const more = answering(`await ctx.events.emit('acme.pong', {})`)
  await room.install({
    name: 'ping',
    capabilities,
    head,
    more,
    body: `if (!isBegun) { isBegun = true; await ctx.events.emit('acme.ping', {}) }
      return { heard, last }`,
  })
  const pong = more.replace("['acme.ping']", "['acme.pong']").replace("emit('acme.pong'", "emit('acme.ping'")
  await room.install({ name: 'pong', capabilities, head, more: pong, body: 'return { heard, last }' })
  await room.ask('ping')
  await waitFor(async () => ((await room.ask('pong')) as { last: string }).last !== '', { timeoutMs: 15_000 })
  assert.deepEqual(
    [await room.ask('ping'), await room.ask('pong')],
    [
      { heard: 4, last: '' },
      { heard: 4, last: 'ORC_CAPABILITY_LIMIT' },
    ],
  )
  assert.equal((await room.events('acme.ping')).length + (await room.events('acme.pong')).length, 8)
})
