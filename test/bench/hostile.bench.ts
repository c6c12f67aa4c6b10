/** What everybody else notices of a hostile plugin: answers of the API before an attack and during it, in one run. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { attacksOn } from '../hostile/front-door-attacks.ts'
import { startAttackStage } from '../support/attack-stage.ts'
import { startHostileOrigin } from '../support/hostile-origin.ts'
import { waitFor } from '../support/wait-for.ts'
import type { Bench, Row } from './bench.ts'
import { quantile } from './samples.ts'

/** Those that cost the most: processor, memory, calls, traffic, log lines. */
const chosen = [
  'unstoppable',
  'map-leak',
  'big-strings',
  'late-loop',
  'call-flood',
  'shouter',
  'many-requests',
  'bombed',
]
const pauseMs = 4

export const bench: Bench = {
  async run(context) {
    const dir = join(context.dir, 'granted')
    const foreignFile = join(context.dir, 'foreign.txt')
    mkdirSync(dir)
    writeFileSync(foreignFile, '')
    const stage = await startAttackStage(context, { tier: 'best' })
    const origin = await startHostileOrigin(context)
    const answers = context.isQuick ? 150 : 400
    const rows: Row[] = []
    // None of the chosen asks anything of these two.
    const targets = { ...origin, dir, foreignFile, redisPort: 1, grpcPort: 1 }
    for (const attack of attacksOn(targets).filter(({ name }) => chosen.includes(name))) {
      const quietMs = quantile(await stage.apiAnswersMs(answers, pauseMs), 0.99)
      await stage.install(attack)
      await stage.release(attack)
      await waitFor(async () => (await stage.answer(attack)) !== undefined, { timeoutMs: 15_000, what: attack.title })
      const hostileMs = quantile(await stage.apiAnswersMs(answers, pauseMs), 0.99)
      await stage.remove(attack)
      rows.push({
        what: `API while a plugin ${attack.title}`,
        figures: [
          { name: 'p99 before', value: quietMs, unit: 'ms' },
          { name: 'p99 during', value: hostileMs, unit: 'ms' },
          { name: 'ratio', value: hostileMs / quietMs, unit: '×', atMost: 2 },
        ],
        runs: answers,
      })
    }
    return rows
  },
}
