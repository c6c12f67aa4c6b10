import type { Decision, DecisionPage } from '../answers.ts'
import { pathOfApp } from '../client.ts'
import { type Cli, type Declare, reads, wholeFrom } from '../command.ts'
import { number, state, time } from '../format.ts'
import { styled } from '../terminal.ts'

type Options = { url?: string; json?: boolean; lines: number }

export const declare: Declare = (command, cli) => {
  reads(command)
    .argument('[app]', 'all apps where none is named')
    .option('-n, --lines <count>', 'how many of the newest', wholeFrom(1, 500), 10)
    .action(async (app: string | undefined, options: Options) => {
      const path = app === undefined ? '/api/v1/decisions' : pathOfApp(app, '/decisions')
      const page = await cli.client(options).call<DecisionPage>('GET', path, { query: { limit: options.lines } })
      if (options.json) return cli.terminal.json(page)
      const newest = page.latest ?? (app === undefined ? undefined : page.decisions[0])
      if (newest) explainDecision(cli, newest)
      if (page.decisions.length === 0) return cli.terminal.say(newest ? '' : 'No decision has been made yet.')
      if (newest) cli.terminal.say('')
      await cli.terminal.table(
        ['TIME', 'APP', 'ACTION', 'REPLICAS', 'BY', 'REASON'],
        page.decisions.map((decision) => [
          time(decision.atMs),
          decision.app,
          state(decision.action),
          decision.from === decision.to ? String(decision.to) : `${decision.from} → ${decision.to}`,
          decision.winner ?? decision.by,
          decision.reason,
        ]),
      )
    })
}

/** The newest decision with all it was made of: what was measured, who wanted what, what held it back. */
function explainDecision({ terminal }: Cli, decision: Decision): void {
  const { app, action, from, to, reason, atMs, votes, limits, metrics } = decision
  const what = action === 'hold' ? `holds at ${to}` : `scales ${action} from ${from} to ${to}`
  terminal.say(styled('bold', app), ` ${what}: ${reason}`, styled('dim', ` (${time(atMs)})`))
  for (const [name, window] of Object.entries(metrics))
    if (window)
      terminal.say(`  measured  ${name} ${number(window.last)} (mean ${number(window.mean)} of ${window.samples})`)
  for (const record of votes) {
    if ('error' in record) {
      const instead = record.fallback === undefined ? 'vetoes scale-in' : `counts as ${record.fallback}`
      terminal.say(
        `  vote      ${record.scaler}: `,
        styled('red', record.error.code),
        ` ${record.error.message} (${instead})`,
      )
    } else terminal.say(`  vote      ${record.scaler}: ${wish(record.vote)}, ${record.vote.reason}`)
  }
  for (const limit of limits) terminal.say(`  ${limit.kind.padEnd(9)} ${limit.from} → ${limit.to}: ${limit.reason}`)
}

function wish(vote: Extract<Decision['votes'][number], { vote: unknown }>['vote']): string {
  if ('replicas' in vote) return `${vote.replicas} replicas`
  if ('floor' in vote) return `at least ${vote.floor}`
  return 'ceiling' in vote ? `at most ${vote.ceiling}` : 'holds'
}
