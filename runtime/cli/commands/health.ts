import type { HealthAnswer } from '../answers.ts'
import { pathOfApp } from '../client.ts'
import { type Declare, reads } from '../command.ts'
import { number, state, time } from '../format.ts'

type Options = { url?: string; json?: boolean; check?: boolean }

export const declare: Declare = (command, cli) => {
  reads(command)
    .argument('<app>')
    .option('--check', 'probe now instead of telling what the last probes found')
    .action(async (app: string, options: Options) => {
      const client = cli.client(options)
      const sent = options.check
        ? client.call<HealthAnswer>('POST', pathOfApp(app, '/health/check'))
        : client.call<HealthAnswer>('GET', pathOfApp(app, '/health'))
      const answer = await cli.terminal.during(`probing ${app}`, sent)
      if (options.json) return cli.terminal.json(answer)
      if (answer.protocol === undefined)
        cli.terminal.say(`${app} has no health check: a replica counts as healthy as long as it runs.`)
      if (answer.instances.length === 0) return cli.terminal.say(`${app} has no replicas.`)
      await cli.terminal.table(
        ['REPLICA', 'HEALTH', 'SINCE', 'TOOK', 'SAYS'],
        answer.instances.map(({ id, health }) => [
          id,
          state(health?.status ?? 'unchecked'),
          health ? time(health.sinceMs) : '',
          health?.last?.responseTimeMs === undefined ? '' : `${number(health.last.responseTimeMs)} ms`,
          health?.problem ?? health?.last?.message ?? '',
        ]),
      )
    })
}
