import { pathOfApp } from '../client.ts'
import { type Declare, reads } from '../command.ts'

export const declare: Declare = (command, cli) => {
  reads(command)
    .argument('<app>')
    .action(async (app: string, options: { url?: string; json?: boolean }) => {
      const client = cli.client(options)
      if (options.json)
        return cli.terminal.json(await client.call('GET', pathOfApp(app, '/spec'), { query: { format: 'json' } }))
      cli.terminal.sayLines(await client.text(pathOfApp(app, '/spec')))
    })
}
