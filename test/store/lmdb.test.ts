import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import { systemClock } from '../../runtime/clock.ts'
import { createLmdbStore } from '../../runtime/store/lmdb.ts'
import { createMemoryStore } from '../../runtime/store/memory.ts'
import type { Key, Range, Write } from '../../runtime/store/store.ts'
import { testStore } from '../conformance/store.ts'
import { tempDir } from '../support/temp-dir.ts'

testStore('lmdb', async (test, clock) => {
  const store = await createLmdbStore({ path: await tempDir(test), clock })
  test.after(() => store.close())
  return store
})

it('answers as the memory store does, whatever is written and asked', async (t) => {
  const lmdb = await createLmdbStore({ path: await tempDir(t), clock: systemClock })
  const memory = createMemoryStore({ clock: systemClock })
  t.after(() => lmdb.close())
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '~', 'é', '中', '😀', ' ', '!'), maxLength: 80 })
  const part = fc.oneof(text, fc.integer({ min: -3, max: 3 }), fc.double({ noNaN: true, noDefaultInfinity: true }))
  const key = fc.array(part, { minLength: 1, maxLength: 3 })
  const write = fc.oneof(
    fc.record({ put: key, value: fc.jsonValue({ maxDepth: 2 }) }),
    fc.record({ delete: key }),
  ) as fc.Arbitrary<Write>
  const range = fc.record(
    { prefix: fc.array(part, { maxLength: 2 }), from: key, to: key, limit: fc.nat(5), reverse: fc.boolean() },
    { requiredKeys: ['prefix'] },
  ) as fc.Arbitrary<Range>
  const seen: Key[] = []
  await fc.assert(
    fc.asyncProperty(
      fc.array(write, { minLength: 1, maxLength: 8 }),
      fc.array(range, { maxLength: 4 }),
      async (writes, ranges) => {
        assert.deepEqual(await lmdb.write(writes), await memory.write(writes))
        for (const one of writes) seen.push('put' in one ? one.put : one.delete)
        const near = seen.slice(-6).map((known): Range => ({ prefix: known.slice(0, 1) }))
        for (const one of [...ranges, ...near, { prefix: [] }]) {
          assert.deepEqual(await lmdb.list(one), await memory.list(one))
        }
      },
    ),
    { numRuns: 150 },
  )
})
