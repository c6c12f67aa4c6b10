import type { Accepted, RolloutHistory, RolloutView } from '../answers.ts'
import { awaitRollout, rolledBack } from '../await-rollout.ts'
import { pathOfApp } from '../client.ts'
import {
  type Cli,
  type Declare,
  type FollowOptions,
  followsOnRequest,
  reads,
  secondsOf,
  waits,
  wholeFrom,
} from '../command.ts'
import { time } from '../format.ts'
import { styled } from '../terminal.ts'
import type { WaitOptions } from './run.ts'

type Options = { url?: string; json?: boolean }

export const declare: Declare = (command, cli) => {
  followsOnRequest(reads(command.command('status')))
    .argument('<app>')
    .description('how far it has come and what it waits for; exit code 3 when it was rolled back')
    .action((app: string, options: Options & FollowOptions) => showStatus(cli, app, options))
  reads(command.command('history'))
    .argument('<app>')
    .description('the specs that were applied, and what became of each')
    .action((app: string, options: Options) => showHistory(cli, app, options))
  waits(reads(command.command('undo')))
    .argument('<app>')
    .description('apply an earlier spec again; how the app is scaled stays as it is')
    .option(
      '--to <number>',
      'its number in the history (default: the newest other one that was done)',
      wholeFrom(1, 1e9),
    )
    .action(async (app: string, options: WaitOptions & { to?: number }) => {
      const { to } = options
      await begin(cli, app, 'undo', options, to === undefined ? {} : { to })
    })
  waits(reads(command.command('restart')))
    .argument('<app>')
    .description('replace all replicas by such of the same spec')
    .action(async (app: string, options: WaitOptions) => {
      await begin(cli, app, 'restart', options, {})
    })
}

async function showStatus(cli: Cli, app: string, options: Options & FollowOptions): Promise<void> {
  const { terminal } = cli
  const client = cli.client(options)
  const say = (line: string) => {
    if (!options.json) terminal.say(styled('bold', app), `  ${line}`)
  }
  if (options.wait) {
    const view = await awaitRollout(client, app, options.timeout, say)
    if (options.json) terminal.json(view)
    return
  }
  const view = await client.call<RolloutView>('GET', pathOfApp(app, '/rollout'))
  if (options.json) terminal.json(view)
  else {
    say(view.line)
    terminal.say(`version   ${view.target}`)
    terminal.say(`replicas  ${view.updated} new (${view.ready} ready)  ${view.old} old  ${view.wanted} wanted`)
    if (view.waitsFor !== undefined) terminal.say(`waits for ${view.waitsFor}`)
    for (const line of view.progress) terminal.say(`fetching  ${line}`)
  }
  if (view.state === 'rolledBack' || view.state === 'rollingBack') throw rolledBack(view)
}

async function begin(cli: Cli, app: string, action: string, options: WaitOptions, body: object): Promise<void> {
  const { terminal } = cli
  const client = cli.client(options)
  const accepted = await client.call<Accepted>('POST', pathOfApp(app, `/rollout/${action}`), { body })
  const seconds = secondsOf(options.wait)
  if (seconds === undefined || seconds === 0) {
    if (options.json) terminal.json(accepted)
    else terminal.say(styled('bold', app), `  version ${accepted.app.version} is rolled out`)
    return
  }
  const view = await awaitRollout(client, app, seconds, (line) => {
    if (!options.json) terminal.say(styled('bold', app), `  ${line}`)
  })
  if (options.json) terminal.json(view)
}

async function showHistory({ terminal, client }: Cli, app: string, options: Options): Promise<void> {
  const history = await client(options).call<RolloutHistory>('GET', pathOfApp(app, '/rollout/history'))
  if (options.json) return terminal.json(history)
  if (history.entries.length === 0) return terminal.say('Nothing is remembered yet.')
  await terminal.table(
    ['NUMBER', 'APPLIED', 'VERSION', 'OUTCOME', 'WHY'],
    history.entries.map(({ number, appliedAtMs, version, outcome, because, isApplied }) => [
      `${number}${isApplied ? ' *' : ''}`,
      time(appliedAtMs),
      version,
      wordOf(outcome),
      because ?? '',
    ]),
  )
}

function wordOf(outcome: RolloutHistory['entries'][number]['outcome']) {
  if (outcome === 'done') return styled('green', 'done')
  if (outcome === 'rolledBack') return styled('red', 'rolled back')
  return outcome === 'underWay' ? styled('yellow', 'under way') : 'superseded'
}
