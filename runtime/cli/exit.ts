/** How a command can end. The numbers are a promise to scripts; `orchestry --help` lists them. */
import type { Problem } from '../errors.ts'

export const exitCodes = {
  done: 0,
  /** The server refused, or what was asked for did not come about in time. */
  refused: 1,
  /** The command line itself is wrong; nothing was sent. */
  usage: 2,
  /** A new version failed, and the one before it runs. */
  rolledBack: 3,
  /** Nobody answers at the address (EX_UNAVAILABLE of sysexits). */
  unreachable: 69,
} as const

/** Ends a command with a text for people. Never shown with a stack. */
export class CliError extends Error {
  readonly exitCode: number
  readonly code: string | undefined
  readonly title: string | undefined
  readonly problems: readonly Problem[]
  readonly hint: string | undefined

  constructor(
    exitCode: number,
    message: string,
    more: {
      code?: string
      title?: string
      problems?: readonly Problem[]
      hint?: string | undefined
      cause?: unknown
    } = {},
  ) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause })
    this.name = 'CliError'
    this.exitCode = exitCode
    this.code = more.code
    this.title = more.title
    this.problems = more.problems ?? []
    this.hint = more.hint
  }
}

export const usageError = (message: string, hint?: string) => new CliError(exitCodes.usage, message, { hint })
