/** `npm run fuzz -- --minutes N [--seed S]`: the properties again and again, each time from another seed, until time is up. */
import { parseArgs } from 'node:util'
import { properties } from './properties.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
  },
})
const minutes = Number(values.minutes)
const first = Number(values.seed)
if (!(minutes > 0) || !Number.isInteger(first)) {
  process.stderr.write('usage: npm run fuzz -- --minutes N [--seed S]; N above 0, S a whole number\n')
  process.exit(2)
}

const numRuns = 1_000
const endMs = performance.now() + minutes * 60_000
process.stdout.write(`seed ${first}: the same again with --seed ${first}\n`)
let rounds = 0
for (; performance.now() < endMs; rounds += 1) {
  const seed = (first + rounds) | 0
  for (const { name, check } of properties) {
    try {
      check({ seed, numRuns })
    } catch (thrown) {
      process.stderr.write(
        `\n${name}\nfails with --seed ${seed}:\n${thrown instanceof Error ? thrown.message : thrown}\n`,
      )
      process.exit(1)
    }
  }
}
process.stdout.write(`${rounds} rounds of ${properties.length} properties, ${numRuns} cases each: all hold\n`)
