/** TMR-01: a guest asks for a million timers, for timers without a pause, and for a function that outlasts its own timer. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { waitFor } from '../support/wait-for.ts'
import { startGuestRoom } from './guest-room.ts'

const capabilities = [{ kind: 'timers' }]

test('TMR-01 of a million timers sixteen are accepted', async (t) => {
  const room = await startGuestRoom(t)
  await room.install({
    name: 'many',
    capabilities,
    body: `const counts = {}
      for (let index = 0; index < 1002; index += 1) {
        const told = await tell(() => ctx.timers.every(60000, () => {}))
        const name = told.startsWith('ORC_') ? told : 'accepted'
        counts[name] = (counts[name] ?? 0) + 1
      }
      return counts`,
  })
  const counts = (await room.ask('many')) as Record<string, number>
  assert.deepEqual([counts.accepted, counts.ORC_CAPABILITY_LIMIT], [16, 1_002 - 16])
  assert.deepEqual(await room.ask('many'), { ORC_CAPABILITY_LIMIT: 1_002 }, 'they are still there at the next call')

  await room.install({
    name: 'flood',
    capabilities,
    body: `const asked = []
      for (let index = 0; index < 1000000; index += 1) asked.push(ctx.timers.after(60000, () => {}).then(() => 'accepted', () => 'refused'))
      return (await Promise.all(asked)).filter((one) => one === 'accepted').length`,
  })
  const told = await room.ask('flood')
  assert.ok(told === 16 || /^ORC_SANDBOX_|^ORC_CAPABILITY_LIMIT$/.test(String(told)), String(told))
  // The neighbour has not noticed.
  assert.deepEqual(await room.ask('many'), { ORC_CAPABILITY_LIMIT: 1_002 })
})

test('TMR-01 a timer without a pause is refused', async (t) => {
  const room = await startGuestRoom(t)
  await room.install({
    name: 'fast',
    capabilities,
    head: `const delays = [0, 1, 99, -1, NaN, Infinity, '100', 1e12]`,
    body: `const told = []
      for (const ms of delays) told.push(await tell(() => ctx.timers.every(ms, () => {})))
      return told`,
  })
  const [limit, argument] = ['ORC_CAPABILITY_LIMIT', 'ORC_CAPABILITY_ARGUMENT']
  assert.deepEqual(await room.ask('fast'), [limit, limit, limit, ...Array(5).fill(argument)])
})

test('TMR-01 a function that outlasts its period never runs twice at once, and its deadline is told', async (t) => {
  const room = await startGuestRoom(t)
  await room.install({
    name: 'slow',
    capabilities: [...capabilities, { kind: 'kv' }],
    limits: { timeoutMs: 400 },
    head: `let now = 0\nlet most = 0\nlet runs = 0\nlet isBegun = false`,
    body: `if (!isBegun) {
        isBegun = true
        await ctx.timers.every(100, async () => {
          now += 1
          runs += 1
          most = Math.max(most, now)
          for (let index = 0; index < 100; index += 1) await ctx.kv.get('x')
          now -= 1
        })
      }
      return { most, runs }`,
  })
  await room.ask('slow')
  const { most } = (await waitFor(
    async () => {
      const told = (await room.ask('slow')) as { most: number; runs: number }
      return told.runs >= 5 ? told : undefined
    },
    { timeoutMs: 10_000 },
  )) as { most: number }
  assert.equal(most, 1)

  await room.install({
    name: 'endless',
    capabilities,
    limits: { timeoutMs: 300 },
    body: `await ctx.timers.after(100, () => { for (;;); })
      return 'begun'`,
  })
  assert.equal(await room.ask('endless'), 'begun')
  const incident = await waitFor(
    () =>
      room.plugins.show('endless').incidents.find(({ hook, code }) => hook === 'timers' && code.includes('TIMEOUT')),
    { timeoutMs: 5_000, what: 'the deadline of the timer to be told' },
  )
  assert.equal(incident.instance, 'endless')
  assert.deepEqual(((await room.ask('slow')) as { most: number }).most, 1)
})
