import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { systemClock } from '../../runtime/clock.ts'
import type { Decision } from '../../runtime/scaling/decision.ts'
import { createDecisionLog } from '../../runtime/scaling/decision-log.ts'
import { createMemoryStore } from '../../runtime/store/memory.ts'
import type { Store, Write } from '../../runtime/store/store.ts'
import { waitFor } from '../support/wait-for.ts'

const newStore = () => createMemoryStore({ clock: systemClock })
const open = (store: Pick<Store, 'get' | 'list' | 'write'> = newStore(), kept?: number) =>
  createDecisionLog({ store, clock: systemClock, ...(kept === undefined ? {} : { kept }) })
const decision = (to: number, app = 'shop'): Omit<Decision, 'id'> => ({
  app,
  atMs: 1,
  action: 'out',
  from: 1,
  to,
  reason: 'load',
  votes: [],
  limits: [],
  metrics: {},
  by: 'scaler',
})
const sizes = (decisions: readonly Decision[]) => decisions.map(({ to }) => to)

describe('the decision log', () => {
  it('stores all decisions of a tick in one write and gives them ids that sort', async () => {
    const store = newStore()
    const written: number[] = []
    const write = (writes: readonly Write[]) => {
      written.push(writes.length)
      return store.write(writes)
    }
    const stored = await open({ ...store, write }).append([decision(1), decision(2, 'blog'), decision(3)])
    assert.deepEqual(written, [6])
    const ids = stored.map(({ id }) => id)
    assert.deepEqual(ids.toSorted(), ids)
    assert.deepEqual(await store.get(['decision', Number(ids[1])]), {
      key: ['decision', 2],
      value: stored[1],
      revision: 1,
    })
  })

  it('lists newest first, by app, and before an id', async () => {
    const log = open()
    const stored = await log.append(Array.from({ length: 10 }, (_, to) => decision(to, to % 2 === 0 ? 'even' : 'odd')))
    assert.deepEqual(sizes(await log.list({ limit: 3 })), [9, 8, 7])
    assert.deepEqual(sizes(await log.list({ app: 'even' })), [8, 6, 4, 2, 0])
    assert.deepEqual(sizes(await log.list({ app: 'even', before: stored[6]?.id ?? '', limit: 2 })), [4, 2])
    assert.deepEqual(sizes(await log.list({ before: stored[2]?.id ?? '' })), [1, 0])
    assert.deepEqual(await log.list({ app: 'nobody' }), [])
    await assert.rejects(log.list({ before: 'x' }), { code: 'ORC_API_VALIDATION' })
  })

  it('goes on counting after a restart', async () => {
    const store = newStore()
    await open(store).append([decision(1)])
    await open(store).append([decision(2)])
    assert.deepEqual(sizes(await open(store).list({})), [2, 1])
  })

  it('keeps only so many, in every index', async () => {
    const store = newStore()
    const log = open(store, 300)
    for (let batch = 0; batch < 20; batch += 1)
      await log.append(Array.from({ length: 100 }, (_, index) => decision(batch * 100 + index)))
    const countOf = async (prefix: string) => (await store.list({ prefix: [prefix] })).length
    await waitFor(async () => (await countOf('decision')) <= 800)
    await log.stop()
    await log.stop()
    assert.ok((await countOf('decision')) >= 300)
    assert.equal(await countOf('decisionByApp'), await countOf('decision'))
    assert.deepEqual(sizes(await log.list({ limit: 1 })), [1_999])
  })

  it('says so when nothing could be stored', async () => {
    const write = () => Promise.reject(new Error('disk full'))
    await assert.rejects(open({ ...newStore(), write }).append([decision(1)]), /disk full/)
  })
})
