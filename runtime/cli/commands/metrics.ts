import type { MetricsAnswer } from '../answers.ts'
import { pathOfApp } from '../client.ts'
import { type Declare, reads, wholeFrom } from '../command.ts'
import { number } from '../format.ts'
import { styled } from '../terminal.ts'

type Options = { url?: string; json?: boolean; window?: number }

export const declare: Declare = (command, cli) => {
  reads(command)
    .argument('<app>')
    .option('-w, --window <seconds>', "how far to look back (default: the app's own window)", wholeFrom(1, 3_600))
    .action(async (app: string, options: Options) => {
      const query = { windowSeconds: options.window }
      const answer = await cli.client(options).call<MetricsAnswer>('GET', pathOfApp(app, '/metrics'), { query })
      if (options.json) return cli.terminal.json(answer)
      const rows = Object.entries(answer.metrics).flatMap(([name, window]) => {
        if (!window) return []
        const { last, mean, p95, min, max, samples, ageSeconds } = window
        return [
          [
            styled('bold', name),
            ...[last, mean, p95, min, max].map(number),
            String(samples),
            `${number(ageSeconds)} s`,
          ],
        ]
      })
      if (rows.length === 0) return cli.terminal.say(`No sample in the last ${answer.windowSeconds} s.`)
      await cli.terminal.table(['METRIC', 'LAST', 'MEAN', 'P95', 'MIN', 'MAX', 'SAMPLES', 'AGE'], rows)
    })
}
