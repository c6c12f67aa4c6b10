/** The last words of a command that could not do what it was told: code, title, what was wrong and where, what helps. */
import { CommanderError } from 'commander'
import { messageOf, OrchestryError, type Problem } from '../errors.ts'
import { CliError, exitCodes } from './exit.ts'
import { styled, type Terminal } from './terminal.ts'

/** Prints and returns the exit code. */
export function explain(thrown: unknown, terminal: Terminal): number {
  // Commander has printed its own text by now.
  if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? exitCodes.done : exitCodes.usage
  const error = asCliError(thrown)
  const head = [error.code, error.title].filter((part) => part !== undefined).join(': ')
  terminal.complain(styled('red', 'error'), head === '' ? `: ${error.message}` : ` ${head}`)
  if (head !== '') terminal.complain(`  ${error.message}`)
  for (const problem of error.problems) {
    // Not once more where the sentence above has said it.
    if (problem.line === undefined && error.message.includes(problem.message)) continue
    terminal.complain(`  ${placeOf(problem)}${problem.message}`)
  }
  if (error.hint !== undefined) terminal.complain(styled('cyan', 'hint'), `: ${error.hint}`)
  return error.exitCode
}

function placeOf({ line, column, path }: Problem): string {
  const place = line === undefined ? [] : [`${line}:${column ?? 1}`]
  return [...place, ...(path === '' ? [] : [path])].map((part) => `${part}  `).join('')
}

function asCliError(thrown: unknown): CliError {
  if (thrown instanceof CliError) return thrown
  if (thrown instanceof OrchestryError)
    return new CliError(exitCodes.refused, thrown.message, {
      code: thrown.code,
      title: thrown.title,
      problems: thrown.problems,
    })
  return new CliError(exitCodes.refused, messageOf(thrown), { cause: thrown })
}
