import type { LogAnswer, LogLine } from '../answers.ts'
import { pathOfApp, urlOf } from '../client.ts'
import { type Declare, reads, wholeFrom } from '../command.ts'
import { styled } from '../terminal.ts'

type Options = {
  url?: string
  json?: boolean
  lines: number
  follow?: boolean
  instance?: string
  timestamps?: boolean
}

export const declare: Declare = (command, cli) => {
  reads(command)
    .argument('<app>')
    .option('-n, --lines <count>', 'how many of the newest lines of each replica', wholeFrom(1, 2_000), 100)
    .option('-f, --follow', 'go on with new lines until ctrl-c')
    .option('-t, --timestamps', 'with the time at which each line was written, where the driver knows it')
    .option('-i, --instance <id>', 'only this replica')
    .action(async (app: string, options: Options) => {
      const client = cli.client(options)
      const { lines: count, instance } = options
      // Asked also where the stream follows: it has a status line with which an unknown app can be refused.
      const { lines } = await client.call<LogAnswer>('GET', pathOfApp(app, '/logs'), {
        query: { lines: count, instance },
      })
      const show = ({ instance: id, stream, line, atMs }: LogLine) => {
        if (options.json && options.follow)
          return cli.terminal.json(
            { instance: id, stream, line, ...(atMs !== undefined && { atMs }) },
            { isLine: true },
          )
        const at = options.timestamps ? `${atMs === undefined ? '-' : new Date(atMs).toISOString()} ` : ''
        cli.terminal.say(at, styled('cyan', id), stream === 'stderr' ? styled('red', ' ! ') : ' | ', line)
      }
      if (options.follow) {
        const { follow } = await import('../follow.ts')
        const url = urlOf(client.url, pathOfApp(app, '/logs/stream'), { instance, lines: count })
        return follow(url, ['line'], (data) => show(data as LogLine))
      }
      if (options.json) return cli.terminal.json(lines)
      for (const line of lines) show(line)
    })
}
