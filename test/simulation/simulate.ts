/** `npm run simulate -- --seed N [--runs N] [--trace]`: runs of the whole core against fate, each the same again by its seed. */
import { parseArgs } from 'node:util'
import { checkers } from './checkers.ts'
import { simulate } from './run.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    runs: { type: 'string' },
    trace: { type: 'boolean', default: false },
  },
})
const first = Number(values.seed)
const runs = Number(values.runs ?? 1)
if (!Number.isInteger(first) || !Number.isInteger(runs) || runs < 1) {
  process.stderr.write('usage: npm run simulate -- --seed N [--runs N] [--trace]; N whole numbers\n')
  process.exit(2)
}
const startedMs = performance.now()
let failed = 0
for (let seed = first; seed < first + runs; seed += 1) {
  const write = (line: string) => process.stdout.write(`${line}\n`)
  const breaches = await simulate({ seed, checkers, ...(values.trace ? { trace: write } : {}) })
  if (breaches.length === 0) continue
  failed += 1
  for (const { checker, text, atMs } of breaches.slice(0, 3))
    write(`seed ${seed}: ${checker} at ${(atMs / 1000).toFixed(1)} s: ${text}`)
  write(`  again: npm run simulate -- --seed ${seed} --trace`)
}
process.stdout.write(
  `${runs} runs from seed ${first} in ${((performance.now() - startedMs) / 1000).toFixed(1)} s, ${failed} failed\n`,
)
process.exitCode = failed === 0 ? 0 : 1
