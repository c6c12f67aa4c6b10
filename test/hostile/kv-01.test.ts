/** KV-01: a guest tries to keep more than its quota: by count, by bytes, by overwriting and with a hundred writers at once. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startGuestRoom } from './guest-room.ts'

const kv = { kind: 'kv', quotaKb: 16, maxValueKb: 4 }
const quotaBytes = 16 * 1024

test('KV-01 whatever a guest tries, no more than its quota is stored', async (t) => {
  const room = await startGuestRoom(t)
  const stored = async (plugin: string) => {
    const entries = await room.store.list({ prefix: ['kv', plugin] })
    const bytes = entries.reduce(
      (sum, { key, value }) => sum + Buffer.byteLength(String(key.at(-1))) + Buffer.byteLength(JSON.stringify(value)),
      0,
    )
    return { count: entries.length, bytes }
  }

  await t.test('by bytes', async () => {
    const body = `const told = []
      for (let index = 0; index < 20; index += 1) told.push(await tell(() => ctx.kv.put('k' + index, 'x'.repeat(2000))))
      return told`
    await room.install({ name: 'bytes', capabilities: [kv], body })
    const told = (await room.ask('bytes')) as string[]
    assert.deepEqual([told.filter((one) => one === 'done').length, told.at(-1)], [8, 'ORC_CAPABILITY_LIMIT'])
    assert.ok((await stored('bytes')).bytes <= quotaBytes)
  })

  await t.test('by one value that is too large', async () => {
    await room.install({
      name: 'large',
      capabilities: [kv],
      body: `return tell(() => ctx.kv.put('k', 'x'.repeat(5000)))`,
    })
    assert.equal(await room.ask('large'), 'ORC_CAPABILITY_LIMIT')
    assert.equal((await stored('large')).count, 0)
  })

  await t.test('by count', async () => {
    const body = `const told = await Promise.all(Array.from({ length: 300 }, (_, index) => tell(() => ctx.kv.put('key' + index, index))))
      return { done: told.filter((one) => one === 'done').length, others: [...new Set(told)].filter((one) => one !== 'done') }`
    await room.install({ name: 'count', capabilities: [{ ...kv, quotaKb: 1, maxValueKb: 1 }], body })
    const { done, others } = (await room.ask('count')) as { done: number; others: string[] }
    const { count, bytes } = await stored('count')
    assert.deepEqual([count, others], [done, ['ORC_CAPABILITY_LIMIT']])
    assert.ok(bytes <= 1024, `${bytes}`)
  })

  await t.test('by overwriting again and again', async () => {
    const body = `for (let round = 0; round < 100; round += 1) await ctx.kv.put('k' + (round % 4), String(round).repeat(1000))
      return (await ctx.kv.list()).length`
    await room.install({ name: 'churn', capabilities: [kv], body })
    assert.equal(await room.ask('churn'), 4)
    assert.equal(await room.ask('churn'), 4)
    assert.ok((await stored('churn')).bytes <= quotaBytes)
  })

  await t.test('with a hundred writers at once', async () => {
    const body = `return (await Promise.all(Array.from({ length: 100 }, (_, index) => tell(() => ctx.kv.put('w' + index, 'x'.repeat(1000)))))).filter((one) => one === 'done').length`
    await room.install({ name: 'race', capabilities: [kv], body })
    const done = await room.ask('race')
    const { count, bytes } = await stored('race')
    assert.equal(count, done)
    assert.ok(count === 16 && bytes <= quotaBytes, `${count} entries, ${bytes} bytes`)
  })
})
