import { type Declare, reads, waits, wholeFrom } from '../command.ts'
import { change, type WaitOptions } from './run.ts'

export const declare: Declare = (command, cli) => {
  waits(reads(command))
    .argument('<app>')
    .argument('<replicas>', 'how many, within the bounds of the app', wholeFrom(0, 100_000))
    .option('--reason <text>', 'kept with the decision')
    .action(async (app: string, replicas: number, options: WaitOptions & { reason?: string }) => {
      const { reason } = options
      const body = reason === undefined ? { replicas } : { replicas, reason }
      await change(cli, cli.client(options), app, 'scale', options, body)
    })
}
