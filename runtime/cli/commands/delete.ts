import { pathOfApp } from '../client.ts'
import { type Cli, type Declare, reads, secondsOf, waits } from '../command.ts'
import { CliError, exitCodes, usageError } from '../exit.ts'
import { styled } from '../terminal.ts'
import type { WaitOptions } from './run.ts'

export const declare: Declare = (command, cli) => {
  waits(reads(command))
    .argument('<app>')
    .option('-f, --force', 'do not ask')
    .action(async (app: string, options: WaitOptions & { force?: boolean }) => {
      const client = cli.client(options)
      const path = pathOfApp(app)
      // Asking about an app that is not there would be a waste of a question.
      await client.call('GET', path)
      await agree(cli, options.force, `Stop ${app} and forget it?`)
      const wait = secondsOf(options.wait)
      const sent = client.call<{ isSettled: boolean }>('DELETE', path, { query: { wait } })
      const { isSettled } = await cli.terminal.during(`stopping ${app}`, sent)
      if (options.json) cli.terminal.json({ name: app, isSettled })
      else
        cli.terminal.say(styled('bold', app), isSettled ? ' deleted' : ' deleted; its replicas are still being stopped')
      if (!isSettled && wait !== undefined && wait > 0)
        throw new CliError(exitCodes.refused, `After ${wait} s replicas of ${app} are still being stopped; it goes on.`)
    })
}

/** @throws where the answer is no, and where nobody can be asked. */
export async function agree({ terminal }: Cli, isForced: boolean | undefined, question: string): Promise<void> {
  if (isForced) return
  const answer = await terminal.confirm(question)
  if (answer === undefined)
    throw usageError(
      'Nobody can be asked here, because this is no terminal. Nothing was changed.',
      'add -f if you are sure',
    )
  if (!answer) throw new CliError(exitCodes.refused, 'Nothing was changed.')
}
