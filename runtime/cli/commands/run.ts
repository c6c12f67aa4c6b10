import type { Accepted } from '../answers.ts'
import { type Client, pathOfApp } from '../client.ts'
import { type Cli, type Declare, reads, secondsOf, waits } from '../command.ts'
import { CliError, exitCodes } from '../exit.ts'
import { replicas, state } from '../format.ts'
import { styled } from '../terminal.ts'

export interface WaitOptions {
  url?: string
  json?: boolean
  wait: number | false
}

const runs =
  (action: 'start' | 'stop'): Declare =>
  (command, cli) => {
    waits(reads(command))
      .argument('<app>')
      .action(async (app: string, options: WaitOptions) => {
        await change(cli, cli.client(options), app, action, options)
      })
  }

export const declareUp = runs('start')
export const declareDown = runs('stop')

/** Sends a change of an app, waits for it as asked, and says how far it has come. */
export async function change(
  { terminal }: Cli,
  client: Client,
  app: string,
  action: string,
  options: WaitOptions,
  body?: unknown,
): Promise<void> {
  const wait = secondsOf(options.wait)
  const query = { query: { wait } }
  const sent = client.call<Accepted>(
    'POST',
    pathOfApp(app, `/${action}`),
    body === undefined ? query : { ...query, body },
  )
  const accepted = await terminal.during(`waiting for ${app}`, sent)
  if (options.json) terminal.json(accepted)
  else {
    const { app: now } = accepted
    terminal.say(styled('bold', now.name), ' ', state(now.phase), `  replicas ${replicas(now)}`)
  }
  if (!accepted.isSettled && wait !== undefined && wait > 0) throw notYet(accepted, wait)
}

function notYet({ app }: Accepted, seconds: number): CliError {
  const problems = app.problems.map((message) => ({ path: '', message }))
  return new CliError(exitCodes.refused, `After ${seconds} s ${app.name} is not yet as it should be; it goes on.`, {
    problems,
    hint: `\`orchestry status ${app.name}\` shows how it fares; --no-wait does not wait`,
  })
}
