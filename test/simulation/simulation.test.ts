/** A fixed number of seeds and a fresh one: the whole core against fate, with all checkers watching. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkers } from './checkers.ts'
import { simulate } from './run.ts'

const fixedRuns = Number(process.env.SIMULATION_RUNS ?? 250)

async function runAll(first: number, runs: number): Promise<string[]> {
  const failures: string[] = []
  for (let seed = first; seed < first + runs && failures.length < 5; seed += 1) {
    const [breach] = await simulate({ seed, checkers })
    if (breach) failures.push(`${breach.checker}: ${breach.text}; again: npm run simulate -- --seed ${seed} --trace`)
  }
  return failures
}

test(`nothing is lost, doubled, cut off, published unfit or told twice in ${fixedRuns} known lives of a cluster`, async () => {
  assert.deepEqual(await runAll(1, fixedRuns), [])
})

test('nor in one that nobody has lived before', async (t) => {
  const seed = Date.now() % 2 ** 31
  t.diagnostic(`seed ${seed}: the same again with npm run simulate -- --seed ${seed}`)
  assert.deepEqual(await runAll(seed, 1), [])
})
