/** What every command file gets, and the options that several of them share. */
import { type Command, InvalidArgumentError } from 'commander'
import type { Settings } from '../config.ts'
import type { Client } from './client.ts'
import type { Terminal, TerminalStreams } from './terminal.ts'

export interface CliDeps extends Omit<TerminalStreams, 'stdin'> {
  readonly stdin?: TerminalStreams['stdin']
  readonly version: string
  /** Runs Orchestry in this process until it is asked to end. */
  serve(settings: Settings): Promise<void>
  demo(): Promise<void>
}

/** Handed to a command when it is declared; the client is made only when its action runs. */
export interface Cli {
  readonly terminal: Terminal
  readonly deps: CliDeps
  client(options: { url?: string }): Client
}

/** Longer than a rollout may go without progress. */
const rolloutSeconds = 900

/** Gives a command its arguments, options and action. */
export type Declare = (command: Command, cli: Cli) => void

export function reads(command: Command): Command {
  return talks(command).option('--json', 'for programs: JSON, with what is not printable escaped')
}

export function talks(command: Command): Command {
  return command.option('--url <url>', 'address of the API (default: ORCHESTRY_URL or http://127.0.0.1:8000)')
}

export function waits(command: Command): Command {
  return command
    .option('--wait <seconds>', 'how long to wait until it is so; exit code 1 when it is not', wholeFrom(0, 280), 60)
    .option('--no-wait', 'return as soon as the server has accepted it')
}

/** Where nobody waits unless asked to: for a whole rollout, which may take long. */
export function followsOnRequest(command: Command): Command {
  return command
    .option('--wait', 'follow the rollout to its end; exit code 3 when it was rolled back, 1 when it takes too long')
    .option('--timeout <seconds>', 'how long to follow it', wholeFrom(1, 86_400), rolloutSeconds)
}

export interface FollowOptions {
  wait?: boolean
  timeout: number
}

/** Of `--wait` and `--no-wait`: commander makes the latter a false. */
export const secondsOf = (wait: number | false) => (wait === false ? undefined : wait)

export function wholeFrom(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (/^\d+$/.test(text) && value >= min && value <= max) return value
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`)
  }
}
