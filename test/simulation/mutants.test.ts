/** Every checker notices what it is there for: the core is broken on purpose, and some seed must show it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkers } from './checkers.ts'
import { mutants } from './mutants.ts'
import { simulate } from './run.ts'

/** So many lives at most until the fault must have shown. */
const livesAtMost = 40

for (const { name, noticedBy, breaking, isUndead = false } of mutants) {
  test(`${name}: ${noticedBy.join(' or ')} notices`, async (t) => {
    const seen = new Set<string>()
    for (let seed = 1; seed <= livesAtMost; seed += 1) {
      for (const { checker } of await simulate({ seed, checkers, breaking, isUndead })) seen.add(checker)
      if (noticedBy.some((checker) => seen.has(checker))) {
        t.diagnostic(`in life ${seed}`)
        return
      }
    }
    assert.fail(`nobody noticed; others saw: ${[...seen].join() || 'nothing'}`)
  })
}

test('each checker has a mutant', () => {
  const noticed = new Set(mutants.flatMap(({ noticedBy }) => noticedBy))
  assert.deepEqual(
    Object.keys(checkers).filter((name) => !noticed.has(name)),
    [],
  )
})
