import type { Accepted } from '../answers.ts'
import { pathOfApp } from '../client.ts'
import { type Declare, reads } from '../command.ts'
import { usageError } from '../exit.ts'
import { styled } from '../terminal.ts'

type Options = { url?: string; json?: boolean; in?: boolean; out?: boolean }

export const declarePause: Declare = (command, cli) => {
  reads(command)
    .argument('<app>')
    .option('--in', 'suspend only scaling in')
    .option('--out', 'suspend only scaling out')
    .action(async (app: string, options: Options) => {
      if (options.in && options.out)
        throw usageError('--in and --out exclude each other; without either, both are meant.')
      const direction = options.in ? 'in' : options.out ? 'out' : 'all'
      const { app: now } = await cli
        .client(options)
        .call<Accepted>('POST', pathOfApp(app, '/pause'), { body: { direction } })
      if (options.json) return cli.terminal.json(now)
      cli.terminal.say(
        styled('bold', now.name),
        ` does not scale${direction === 'all' ? '' : ` ${direction}`} until it is resumed`,
      )
    })
}

export const declareResume: Declare = (command, cli) => {
  reads(command)
    .argument('<app>')
    .action(async (app: string, options: Options) => {
      const { app: now } = await cli.client(options).call<Accepted>('POST', pathOfApp(app, '/resume'))
      if (options.json) return cli.terminal.json(now)
      cli.terminal.say(styled('bold', now.name), ` scales again (${now.mode})`)
    })
}
