import type { HealthCheck } from '@orchestry/sdk'
import type { HealthAnswer } from '../answers.ts'
import { pathOfApp } from '../client.ts'
import { type Cli, type Declare, reads } from '../command.ts'
import { number, state, time } from '../format.ts'
import { styled } from '../terminal.ts'

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
      await show(cli, app, answer)
    })
}

async function show({ terminal }: Cli, app: string, answer: HealthAnswer) {
  if (answer.healthCheck) terminal.say(styled('bold', app), `  ${checkText(answer.healthCheck)}`)
  else
    terminal.say(`${app} has no health check: a replica counts as healthy as long as it runs and accepts connections.`)
  if (answer.instances.length === 0) terminal.say(`${app} has no replicas.`)
  else
    await terminal.table(
      ['REPLICA', 'HEALTH', 'STATE', 'SINCE', 'CHECKED', 'TOOK', 'SAYS'],
      answer.instances.map(({ id, rotation, health }) => [
        id,
        state(health?.status ?? 'unchecked'),
        state(rotation ?? ''),
        health ? time(health.sinceMs) : '',
        health?.last ? time(health.last.atMs) : '',
        health?.last?.responseTimeMs === undefined ? '' : `${number(health.last.responseTimeMs)} ms`,
        health?.problem ?? health?.last?.message ?? '',
      ]),
    )
  for (const problem of answer.problems) terminal.say(styled('red', 'problem'), `  ${problem}`)
}

/** `HTTP GET /healthz every 5 s within 2 s; down after 3 failures, up after 1 success`. */
function checkText({ protocol, method, path, port, ...check }: HealthCheck): string {
  const what = [protocol, method, path, port === undefined ? '' : `on port ${port}`].filter((word) => word !== '')
  const often = `every ${check.periodSeconds} s within ${check.timeoutSeconds} s`
  return `${what.join(' ')} ${often}; down after ${times(check.failureThreshold, 'failure')}, up after ${times(check.successThreshold, 'success')}`
}

const times = (count: number, noun: string) => {
  const plural = noun.endsWith('s') ? `${noun}es` : `${noun}s`
  return `${count} ${count === 1 ? noun : plural}`
}
