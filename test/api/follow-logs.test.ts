/** Following the replicas of an app: those there are, those that come, those that are gone at once, and for how long. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { followLogs } from '../../runtime/api/follow-logs.ts'
import { systemClock as clock } from '../../runtime/clock.ts'
import { createMemoryDriver } from '../../runtime/drivers/memory.ts'
import { createFakeRooms } from '../support/fake-rooms.ts'
import { waitFor } from '../support/wait-for.ts'

function build() {
  const driver = createMemoryDriver({ clock })
  const { world } = driver
  const listeners = new Set<(app: string) => void>()
  const rooms = createFakeRooms({ followerOf: () => driver.follow })
  rooms.addApp('shop')
  const deps = {
    ...rooms.deps,
    logs: async (_app: string, { lines }: { lines: number }) =>
      [...world.logs.values()].flatMap((all) => all.slice(-lines)),
    reconciler: {
      ...rooms.deps.reconciler,
      instances: () =>
        [...world.instances.values()].map((instance) => ({
          ...instance,
          rotation: 'serving' as const,
          isCurrentVersion: true,
        })),
      onInstancesChanged: (listener: (app: string) => void) => {
        listeners.add(listener)
        return () => listeners.delete(listener)
      },
    },
  }
  const start = async (id: string) => {
    await driver.start({ id, app: 'shop', version: 'v', command: [], env: {}, envFields: {} })
    for (const listener of listeners) listener('shop')
  }
  const follow = (older = 0, instance?: string) => {
    const leave = new AbortController()
    const seen: string[] = []
    const reader = { seen, leave, pauseMs: 0, isOver: false, ended: Promise.resolve() }
    const send = async ({ data }: { data: unknown }) => {
      if (reader.pauseMs > 0) await clock.sleep(reader.pauseMs)
      const { instance: id, line } = data as { instance: string; line: string }
      seen.push(`${id} ${line}`)
    }
    const sink = { send, beat: async () => {}, signal: leave.signal }
    reader.ended = followLogs(deps, { app: 'shop', instance, older }, sink).then(() => {
      reader.isOver = true
    })
    return reader
  }
  const isFollowed = () => waitFor(() => listeners.size > 0)
  return {
    world,
    rooms,
    start,
    follow,
    isFollowed,
    listeners,
    print: (id: string, line: string) => world.print(id, 'stdout', line),
  }
}

test('a line that comes again and again is told as often as it came', async () => {
  const { start, follow, isFollowed, print } = build()
  await start('shop-1')
  print('shop-1', 'old')
  const reader = follow()
  await isFollowed()
  await clock.sleep(20)
  for (let index = 0; index < 500; index += 1) print('shop-1', 'tick')
  await waitFor(() => reader.seen.length === 500)
  reader.leave.abort()
  await reader.ended
  assert.deepEqual(new Set(reader.seen), new Set(['shop-1 tick']))
})

test('replicas that come are followed from their first line, also one that is gone at once', async () => {
  const { world, start, follow, isFollowed, print } = build()
  await start('shop-1')
  const reader = follow()
  await isFollowed()
  await start('shop-2')
  print('shop-2', 'first')
  await start('shop-3')
  print('shop-3', 'last words')
  world.exit('shop-3')
  world.instances.delete('shop-3')
  await waitFor(() => reader.seen.length === 2)
  reader.leave.abort()
  await reader.ended
  assert.deepEqual(reader.seen.toSorted(), ['shop-2 first', 'shop-3 last words'])
})

test('older lines come first, those of replicas that ended too; of one replica alone where it is named', async () => {
  const { world, start, follow, print } = build()
  for (const id of ['shop-0', 'shop-1', 'shop-2']) {
    await start(id)
    for (const line of ['a', 'b', 'c']) print(id, line)
  }
  world.exit('shop-0')
  world.instances.delete('shop-0')
  const all = follow(2)
  const one = follow(1, 'shop-2')
  await waitFor(() => all.seen.length === 6 && one.seen.length === 1)
  for (const { leave } of [all, one]) leave.abort()
  await Promise.all([all.ended, one.ended])
  assert.deepEqual(all.seen.slice(0, 2), ['shop-0 b', 'shop-0 c'])
  assert.deepEqual(all.seen.toSorted(), ['shop-0 b', 'shop-0 c', 'shop-1 b', 'shop-1 c', 'shop-2 b', 'shop-2 c'])
  assert.deepEqual(one.seen, ['shop-2 c'])
})

test('a reader that is slow misses lines, and what it gets is in order', async () => {
  const { start, follow, isFollowed, print } = build()
  await start('shop-1')
  const reader = follow()
  reader.pauseMs = 2
  await isFollowed()
  await clock.sleep(20)
  for (let index = 0; index < 5_000; index += 1) print('shop-1', String(index))
  await waitFor(() => reader.seen.includes('shop-1 4999'), { timeoutMs: 20_000 })
  reader.leave.abort()
  await reader.ended
  const numbers = reader.seen.map((line) => Number(line.split(' ')[1]))
  assert.ok(numbers.length <= 2_000)
  assert.ok(numbers.every((number, index) => index === 0 || number > (numbers[index - 1] ?? 0)))
})

test('it is over when the app is gone, and nobody is listened for any more', async () => {
  const { rooms, start, follow, isFollowed, listeners } = build()
  await start('shop-1')
  const reader = follow()
  await isFollowed()
  rooms.records.delete('shop')
  await waitFor(() => reader.isOver)
  assert.equal(listeners.size, 0)
})
