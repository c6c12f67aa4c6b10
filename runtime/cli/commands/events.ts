import type { EventPage, OrchestryEvent } from '../answers.ts'
import { pathOfApp, urlOf } from '../client.ts'
import { type Cli, type Declare, reads, wholeFrom } from '../command.ts'
import { time } from '../format.ts'
import { styled } from '../terminal.ts'

type Options = { url?: string; json?: boolean; lines: number; follow?: boolean; type?: string }

export const declare: Declare = (command, cli) => {
  reads(command)
    .argument('[app]', 'all apps where none is named')
    .option('-n, --lines <count>', 'how many of the newest', wholeFrom(1, 1_000), 50)
    .option('-f, --follow', 'go on with new events until ctrl-c')
    .option('-t, --type <type>', 'only events of this type, like app.scaled')
    .action(async (app: string | undefined, options: Options) => {
      const client = cli.client(options)
      const { type, lines: limit } = options
      const path = app === undefined ? '/api/v1/events' : pathOfApp(app, '/events')
      const { events, next } = await client.call<EventPage>('GET', path, { query: { limit, type } })
      if (options.json && !options.follow) return cli.terminal.json(events)
      for (const event of events) show(cli, event, options.json)
      if (!options.follow) return
      const { follow } = await import('../follow.ts')
      await follow(urlOf(client.url, `${path}/stream`, { type, after: next }), ['message'], (data) =>
        show(cli, data as OrchestryEvent, options.json),
      )
    })
}

function show({ terminal }: Cli, event: OrchestryEvent, isJson: boolean | undefined): void {
  if (isJson) return terminal.json(event, { isLine: true })
  const facts = Object.entries(event.data).map(
    ([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  )
  terminal.say(
    styled('dim', time(event.atMs)),
    '  ',
    styled('bold', event.type),
    `  ${event.app ?? ''}  ${facts.join(' ')}`,
  )
}
