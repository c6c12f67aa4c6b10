import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { OrchestryEvent } from '@orchestry/sdk'
import { systemClock } from '../../runtime/clock.ts'
import { createEvents } from '../../runtime/events/log.ts'
import { createLog } from '../../runtime/log.ts'
import { createLmdbStore } from '../../runtime/store/lmdb.ts'
import { createMemoryStore } from '../../runtime/store/memory.ts'
import type { Store } from '../../runtime/store/store.ts'
import { tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'

const log = createLog({ level: 'silent' })
const newStore = () => createMemoryStore({ clock: systemClock })
const open = (store: Pick<Store, 'get' | 'list' | 'write'> = newStore(), kept?: number) =>
  createEvents({ store, clock: systemClock, log, ...(kept === undefined ? {} : { kept }) })
const event = (number: number, app?: string, type = 'app.scaled') => ({ type, data: { number }, ...(app && { app }) })
const numbersOf = (events: readonly OrchestryEvent[]) => events.map(({ data }) => data.number)

describe('the event log', () => {
  it('numbers events in the order of appending, also those that nobody waited for', async () => {
    const events = open()
    const first = events.append([event(1), event(2)])
    events.emit(event(3))
    const second = events.append([event(4)])
    events.emit(event(5))
    await events.flush()
    const all = await events.list({})
    assert.deepEqual(numbersOf(all), [1, 2, 3, 4, 5])
    assert.deepEqual(
      [...(await first), ...(await second)].map(({ id }) => id),
      [0, 1, 3].map((index) => all[index]?.id),
    )
    assert.deepEqual(
      all.map(({ id }) => id).toSorted(),
      all.map(({ id }) => id),
    )
    assert.equal(all[0]?.source, 'runtime')
  })

  it('goes on counting after a restart, also when everything older was removed', async () => {
    const store = newStore()
    const [last] = (await open(store).append([event(1)])).slice(-1)
    const [next] = await open(store).append([{ ...event(2), source: 'plugin:slack' }])
    assert.ok(last && next && next.id > last.id)
    assert.equal(next.source, 'plugin:slack')
  })

  it('does not let the sender choose the id or the time', async () => {
    const forged = { ...event(1), id: 'zzz', atMs: 1 }
    const [stored] = await open().append([forged])
    assert.match(stored?.id ?? '', /^\d{15}$/)
    assert.notEqual(stored?.atMs, 1)
  })

  it('tells listeners only what is stored, in order, and survives one that throws', async () => {
    const store = newStore()
    const events = open(store)
    const heard: unknown[] = []
    events.subscribe(() => {
      throw new Error('no')
    })
    const end = events.subscribe(async ({ id, data }) => {
      heard.push(data.number)
      assert.ok(await store.get(['event', Number(id)]))
    })
    for (let number = 0; number < 20; number += 1) events.emit(event(number))
    await events.flush()
    end()
    events.emit(event(99))
    await events.flush()
    assert.deepEqual(
      heard,
      Array.from({ length: 20 }, (_, number) => number),
    )
  })

  it('keeps what the event was when it happened', async () => {
    const events = open()
    const data = { list: [1] }
    const appended = events.append([{ type: 'app.scaled', data }])
    data.list.push(2)
    assert.deepEqual((await appended)[0]?.data, { list: [1] })
  })

  it('rejects what the store refuses, tells nobody of it, and goes on', async () => {
    const store = newStore()
    let isRefusing = true
    const write: Store['write'] = (writes) =>
      isRefusing ? Promise.reject(new Error('disk full')) : store.write(writes)
    const events = open({ ...store, write })
    const heard: unknown[] = []
    events.subscribe(({ data }) => heard.push(data.number))
    await assert.rejects(events.append([event(1)]), /disk full/)
    events.emit(event(2))
    await events.flush()
    isRefusing = false
    await assert.rejects(events.append([{ type: 'app.scaled', data: { size: 1n } }]), { code: 'ORC_STORE_FAILED' })
    await events.append([event(3)])
    assert.deepEqual(heard, [3])
    assert.deepEqual(numbersOf(await events.list({})), [3])
  })

  it('keeps only so many, and forgets the older ones in every index', async () => {
    const store = newStore()
    const events = open(store, 1_000)
    for (let batch = 0; batch < 40; batch += 1) {
      await events.append(Array.from({ length: 100 }, (_, index) => event(batch * 100 + index, `app${index % 3}`)))
    }
    const countOf = async (prefix: string) => (await store.list({ prefix: [prefix] })).length
    await waitFor(async () => (await countOf('event')) <= 1_500)
    await events.stop()
    const kept = await countOf('event')
    assert.ok(kept >= 1_000)
    assert.equal(await countOf('eventByApp'), kept)
    assert.equal(await countOf('eventByType'), kept)
    assert.deepEqual(numbersOf(await events.list({ limit: 1 })), [3_999])
    const oldest = await events.list({ after: '0', limit: 1 })
    assert.deepEqual(numbersOf(oldest), [4_000 - kept])
  })
})

describe('listing events', () => {
  const fill = async () => {
    const events = open()
    const all = Array.from({ length: 1_500 }, (_, number) =>
      event(
        number,
        number % 50 === 7 ? 'rare' : number % 5 === 0 ? undefined : 'busy',
        number % 100 === 7 ? 'app.stopped' : 'app.scaled',
      ),
    )
    return { events, stored: await events.append(all) }
  }
  const cases: [string, { app?: string; type?: string; limit?: number; afterNumber?: number }, number[]][] = [
    ['the newest', { limit: 3 }, [1497, 1498, 1499]],
    ['the oldest after an id', { limit: 3, afterNumber: 9 }, [10, 11, 12]],
    ['the newest of an app', { app: 'rare', limit: 3 }, [1357, 1407, 1457]],
    ['the next of an app', { app: 'rare', limit: 2, afterNumber: 7 }, [57, 107]],
    ['the newest of a type', { type: 'app.stopped', limit: 2 }, [1307, 1407]],
    ['the next of a type', { type: 'app.stopped', limit: 2, afterNumber: 107 }, [207, 307]],
    ['a type within an app', { app: 'rare', type: 'app.stopped', limit: 2 }, [1307, 1407]],
    ['the next of a type within an app', { app: 'rare', type: 'app.scaled', limit: 2, afterNumber: 57 }, [157, 257]],
    ['a type within an app that has none', { app: 'busy', type: 'app.stopped' }, []],
    ['an unknown app', { app: 'nobody' }, []],
    ['after the newest', { afterNumber: 1499 }, []],
    ['none', { limit: 0 }, []],
  ]
  for (const [what, { afterNumber, ...query }, expected] of cases) {
    it(`finds ${what}, oldest first`, async () => {
      const { events, stored } = await fill()
      const after = afterNumber === undefined ? {} : { after: stored[afterNumber]?.id ?? '' }
      assert.deepEqual(numbersOf(await events.list({ ...query, ...after })), expected)
    })
  }

  it('goes page by page through everything without a gap or a repetition', async () => {
    const { events } = await fill()
    const seen: unknown[] = []
    let after = '0'
    for (;;) {
      const page = await events.list({ app: 'busy', after, limit: 333 })
      if (page.length === 0) break
      seen.push(...numbersOf(page))
      after = page.at(-1)?.id ?? ''
    }
    assert.equal(seen.length, new Set(seen).size)
    assert.equal(seen.length, 1_170)
  })

  it('reads no event of other apps', async () => {
    const store = newStore()
    await open(store).append(Array.from({ length: 900 }, (_, number) => event(number, number === 3 ? 'rare' : 'busy')))
    const asked: unknown[] = []
    const get: Store['get'] = (key) => {
      asked.push(key)
      return store.get(key)
    }
    const list: Store['list'] = (range) => {
      asked.push(range.prefix)
      return store.list(range)
    }
    assert.deepEqual(numbersOf(await open({ ...store, get, list }).list({ app: 'rare' })), [3])
    assert.deepEqual(asked, [['event'], ['eventByApp', 'rare'], ['event', 4]])
  })

  it('refuses what is no id', async () => {
    await assert.rejects(open().list({ after: '../x' }), { code: 'ORC_API_VALIDATION' })
  })
})

it('loses no acknowledged event to kill -9, and never gives an id twice', async (t) => {
  const path = await tempDir(t)
  const emitter = fileURLToPath(new URL('emitter.ts', import.meta.url))
  const seen = new Map<string, string>()
  for (let round = 0; round < 3; round += 1) {
    const child = spawn(process.execPath, ['--conditions=@orchestry/source', emitter, path, String(round)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    t.after(() => child.kill('SIGKILL'))
    let text = ''
    child.stdout.on('data', (chunk) => {
      text += chunk
    })
    await waitFor(() => text.length > 30_000, { timeoutMs: 20_000 })
    child.kill('SIGKILL')
    await once(child, 'close')
    for (const line of text.split('\n').slice(0, -1)) {
      const [id = '', name = ''] = line.split(' ')
      assert.ok(!seen.has(id), `the id ${id} was given twice`)
      seen.set(id, name)
    }
  }
  const store = await createLmdbStore({ path, clock: systemClock })
  const stored = new Map(
    (await store.list<OrchestryEvent>({ prefix: ['event'] })).map(({ value }) => [value.id, value.data.name]),
  )
  for (const [id, name] of seen) assert.equal(stored.get(id), name)
  await store.close()
})
