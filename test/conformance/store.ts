/** What every store must do, whatever it is made of. */
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { Clock } from '../../runtime/clock.ts'
import type { Change, Key, Store, Write } from '../../runtime/store/store.ts'

export type OpenStore = (test: TestContext, clock: Pick<Clock, 'now'>) => Promise<Store>

const keysOf = (entries: readonly { key: Key }[]) => entries.map(({ key }) => key)
const conflict = { code: 'ORC_STORE_CONFLICT' }

export function testStore(name: string, openStore: OpenStore): void {
  const open = (test: TestContext, now = () => 1_000) => openStore(test, { now })

  describe(`${name}: values and revisions`, () => {
    it('gives back what was put, with a revision that grows by one', async (t) => {
      const store = await open(t)
      assert.equal(await store.get(['app', 'shop']), undefined)
      assert.deepEqual(await store.write([{ put: ['app', 'shop'], value: { size: 1 } }]), [1])
      assert.deepEqual(await store.write([{ put: ['app', 'shop'], value: { size: 2 } }]), [2])
      assert.deepEqual(await store.get(['app', 'shop']), { key: ['app', 'shop'], value: { size: 2 }, revision: 2 })
    })

    for (const value of [
      null,
      0,
      '',
      false,
      [],
      {},
      'ä😀\u0000\ud800',
      [1, [2, { a: null }]],
      { ['__proto__']: 1 },
      'x'.repeat(300_000),
    ]) {
      it(`keeps ${JSON.stringify(value).slice(0, 40)} as it is`, async (t) => {
        const store = await open(t)
        await store.write([{ put: ['v'], value }])
        const entry = await store.get(['v'])
        assert.deepEqual(entry?.value, JSON.parse(JSON.stringify(value)))
      })
    }

    it('keeps the value of the moment of the call, and hands out a copy every time', async (t) => {
      const store = await open(t)
      const value = { list: [1] }
      const written = store.write([{ put: ['v'], value }])
      value.list.push(2)
      await written
      const [first, second] = [await store.get<typeof value>(['v']), await store.get<typeof value>(['v'])]
      first?.value.list.push(3)
      assert.deepEqual(second?.value, { list: [1] })
      assert.deepEqual((await store.list<typeof value>({ prefix: ['v'] }))[0]?.value, { list: [1] })
    })

    it('does not let a caller change a key through what it was given or gave', async (t) => {
      const store = await open(t)
      const key = ['a', 'b']
      const written = store.write([{ put: key, value: 1 }])
      key[1] = 'c'
      await written
      assert.deepEqual(keysOf(await store.list({ prefix: [] })), [['a', 'b']])
    })

    const unstorable: [string, Write][] = [
      ['undefined', { put: ['v'], value: undefined }],
      ['a function', { put: ['v'], value: () => 1 }],
      ['a bigint', { put: ['v'], value: 1n }],
      ['an empty key', { put: [], value: 1 }],
      ['a key with NaN', { put: [Number.NaN], value: 1 }],
      ['a key with a control character', { put: ['a\u0000b'], value: 1 }],
      ['a key with half a character', { put: ['\ud800'], value: 1 }],
      ['a key that is too long', { put: ['x'.repeat(2_000)], value: 1 }],
      ['a key with too many parts', { put: Array(17).fill('x'), value: 1 }],
    ]
    for (const [what, write] of unstorable) {
      it(`refuses ${what}, and everything written with it`, async (t) => {
        const store = await open(t)
        await assert.rejects(store.write([{ put: ['good'], value: 1 }, write]), { code: 'ORC_STORE_FAILED' })
        assert.deepEqual(await store.list({ prefix: [] }), [])
      })
    }
  })

  describe(`${name}: compare and set`, () => {
    it('creates only what is not there with revision 0', async (t) => {
      const store = await open(t)
      assert.deepEqual(await store.write([{ put: ['a'], value: 1, expectedRevision: 0 }]), [1])
      await assert.rejects(store.write([{ put: ['a'], value: 2, expectedRevision: 0 }]), conflict)
      assert.equal((await store.get(['a']))?.value, 1)
    })

    it('writes all or nothing, and names the key that was in the way', async (t) => {
      const store = await open(t)
      await store.write([{ put: ['a'], value: 1 }])
      const writes: Write[] = [
        { put: ['b'], value: 1 },
        { put: ['a'], value: 2, expectedRevision: 7 },
        { delete: ['a'] },
      ]
      await assert.rejects(store.write(writes), { ...conflict, message: /\["a"\] has revision 1, not the expected 7/ })
      assert.deepEqual(keysOf(await store.list({ prefix: [] })), [['a']])
    })

    it('deletes, on condition too; a deleted key begins anew', async (t) => {
      const store = await open(t)
      await store.write([{ put: ['a'], value: 1 }])
      await store.write([{ put: ['a'], value: 2 }])
      await assert.rejects(store.write([{ delete: ['a'], expectedRevision: 1 }]), conflict)
      assert.deepEqual(await store.write([{ delete: ['a'], expectedRevision: 2 }]), [0])
      assert.deepEqual(await store.write([{ delete: ['a'] }]), [0])
      assert.deepEqual(await store.write([{ put: ['a'], value: 3, expectedRevision: 0 }]), [1])
    })

    it('goes through the writes of one call in order', async (t) => {
      const store = await open(t)
      const writes: Write[] = [
        { put: ['a'], value: 1, expectedRevision: 0 },
        { put: ['a'], value: 2, expectedRevision: 1 },
        { delete: ['a'], expectedRevision: 2 },
        { put: ['a'], value: 3, expectedRevision: 0 },
      ]
      assert.deepEqual(await store.write(writes), [1, 2, 0, 1])
      assert.deepEqual(await store.get(['a']), { key: ['a'], value: 3, revision: 1 })
    })

    it('lets exactly one of many writers win each round, also when they come at once', async (t) => {
      const store = await open(t)
      await store.write([{ put: ['n'], value: 0 }])
      const add = async (): Promise<void> => {
        for (;;) {
          const present = await store.get<number>(['n'])
          if (present === undefined) throw new Error('the counter is gone')
          try {
            await store.write([{ put: ['n'], value: present.value + 1, expectedRevision: present.revision }])
            return
          } catch (error) {
            if ((error as { code?: string }).code !== 'ORC_STORE_CONFLICT') throw error
          }
        }
      }
      await Promise.all(Array.from({ length: 20 }, add))
      assert.deepEqual(await store.get(['n']), { key: ['n'], value: 20, revision: 21 })
    })
  })

  describe(`${name}: ranges`, () => {
    const sorted: Key[] = [
      ['a'],
      ['a', -1.5],
      ['a', 0],
      ['a', 2],
      ['a', 10],
      ['a', ''],
      ['a', '!'],
      ['a', '10'],
      ['a', '2'],
      ['a', 'b'],
      ['a', 'b', 1],
      ['a', 'b', 'c'],
      ['a', 'ba'],
      ['a', 'ä'],
      ['a', '\uffee'],
      ['a', '😀'],
      ['ab'],
      ['b', 1],
    ]
    const fill = async (store: Store) => {
      await store.write([...sorted].reverse().map((key) => ({ put: key, value: sorted.indexOf(key) })))
    }

    it('lists in the order of the parts: numbers by value, then texts, a prefix before what it begins', async (t) => {
      const store = await open(t)
      await fill(store)
      assert.deepEqual(keysOf(await store.list({ prefix: [] })), sorted)
      assert.deepEqual(keysOf(await store.list({ prefix: [], reverse: true })), sorted.toReversed())
    })

    const cases: [string, Parameters<Store['list']>[0], Key[]][] = [
      [
        'a prefix is whole parts',
        { prefix: ['a', 'b'] },
        [
          ['a', 'b'],
          ['a', 'b', 1],
          ['a', 'b', 'c'],
        ],
      ],
      ['nothing there', { prefix: ['zzz'] }, []],
      [
        'from is included, to is not',
        { prefix: ['a'], from: [2], to: ['!'] },
        [
          ['a', 2],
          ['a', 10],
          ['a', ''],
        ],
      ],
      [
        'the same backwards',
        { prefix: ['a'], from: [2], to: ['!'], reverse: true },
        [
          ['a', ''],
          ['a', 10],
          ['a', 2],
        ],
      ],
      [
        'to leaves out what it begins',
        { prefix: ['a'], from: ['2'], to: ['b'] },
        [
          ['a', '2'],
          ['a', 'b'],
        ].slice(0, 1),
      ],
      ['the first few', { prefix: ['a'], limit: 2 }, [['a'], ['a', -1.5]]],
      [
        'the last few',
        { prefix: ['a'], limit: 2, reverse: true },
        [
          ['a', '😀'],
          ['a', '\uffee'],
        ],
      ],
      ['none', { prefix: ['a'], limit: 0 }, []],
      [
        'from alone, backwards',
        { prefix: ['a'], from: ['ä'], reverse: true },
        [
          ['a', '😀'],
          ['a', '\uffee'],
          ['a', 'ä'],
        ],
      ],
      ['to alone', { prefix: ['a'], to: [0] }, [['a'], ['a', -1.5]]],
      ['an empty range', { prefix: ['a'], from: ['b'], to: ['a'] }, []],
    ]
    for (const [what, range, expected] of cases) {
      it(`lists ${JSON.stringify(range)}: ${what}`, async (t) => {
        const store = await open(t)
        await fill(store)
        assert.deepEqual(keysOf(await store.list(range)), expected)
      })
    }
  })

  describe(`${name}: watch`, () => {
    it('tells of every write below the prefix, in order, after it is stored, until it is ended', async (t) => {
      const store = await open(t)
      const seen: (readonly Change[])[] = []
      const end = store.watch(['app'], (changes) => void seen.push(changes))
      await Promise.all([
        store.write([
          { put: ['app', 'a'], value: 1 },
          { put: ['other'], value: 1 },
          { put: ['app', 'b'], value: 2 },
        ]),
        store.write([{ put: ['other'], value: 2 }]),
        store.write([{ delete: ['app', 'a'] }]),
      ])
      await assert.rejects(store.write([{ put: ['app', 'b'], value: 9, expectedRevision: 9 }]), conflict)
      end()
      await store.write([{ put: ['app', 'c'], value: 1 }])
      assert.deepEqual(seen, [
        [
          { key: ['app', 'a'], entry: { key: ['app', 'a'], value: 1, revision: 1 } },
          { key: ['app', 'b'], entry: { key: ['app', 'b'], value: 2, revision: 1 } },
        ],
        [{ key: ['app', 'a'] }],
      ])
    })

    it('does not mind a listener that throws, nor let listeners share a value', async (t) => {
      const store = await open(t)
      const seen: unknown[] = []
      store.watch([], () => {
        throw new Error('no')
      })
      store.watch([], ([change]) => void (change?.entry?.value as number[] | undefined)?.push(9))
      store.watch([], ([change]) => void seen.push(change?.entry?.value))
      assert.deepEqual(await store.write([{ put: ['a'], value: [1] }]), [1])
      assert.deepEqual(seen, [[1]])
    })
  })

  describe(`${name}: leases`, () => {
    it('is held by one, given up or expired; every new holder gets a larger token', async (t) => {
      let nowMs = 1_000
      const store = await open(t, () => nowMs)
      const first = await store.acquireLease('controller', 'one', 100)
      assert.ok(first)
      assert.equal(await store.acquireLease('controller', 'two', 100), undefined)
      nowMs += 90
      assert.equal(await first.renew(), true)
      nowMs += 90
      assert.equal(await store.acquireLease('controller', 'two', 100), undefined)
      nowMs += 20
      const second = await store.acquireLease('controller', 'two', 100)
      assert.ok(second && second.fencingToken > first.fencingToken)
      assert.equal(await first.renew(), false)
      await first.release()
      assert.equal(await second.renew(), true)
      await second.release()
      assert.equal(await second.renew(), false)
      const third = await store.acquireLease('controller', 'one', 100)
      assert.ok(third && third.fencingToken > second.fencingToken)
    })

    it('goes to exactly one of many who ask at once', async (t) => {
      const store = await open(t)
      const asked = Array.from({ length: 10 }, (_, index) => store.acquireLease('controller', `h${index}`, 100))
      const won = (await Promise.all(asked)).filter((lease) => lease !== undefined)
      assert.equal(won.length, 1)
    })

    it('goes at once to a holder that comes again, and fences off its earlier self', async (t) => {
      const store = await open(t)
      const before = await store.acquireLease('controller', 'one', 100)
      const after = await store.acquireLease('controller', 'one', 100)
      assert.ok(before && after && after.fencingToken > before.fencingToken)
      assert.equal(await before.renew(), false)
      assert.equal(await after.renew(), true)
    })
  })

  describe(`${name}: close`, () => {
    it('finishes what was under way, refuses what comes after, and may be called twice', async (t) => {
      const store = await open(t)
      const written = store.write([{ put: ['a'], value: 1 }])
      const closed = [store.close(), store.close()]
      assert.deepEqual(await written, [1])
      await Promise.all(closed)
      await assert.rejects(store.write([{ put: ['a'], value: 2 }]), { code: 'ORC_STORE_FAILED' })
      await assert.rejects(store.get(['a']), { code: 'ORC_STORE_FAILED' })
      await assert.rejects(store.list({ prefix: [] }), { code: 'ORC_STORE_FAILED' })
    })
  })
}
