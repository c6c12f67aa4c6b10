/** Holds what plugins answer against the hook table. Compiled once; words are only made when something does not fit. */
import { type HookKind, hookTable } from '@orchestry/sdk'
import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'

type Checker = ReturnType<typeof Compile>
const checkers = new Map<string, Checker>()

function checkerOf(kind: HookKind, fn: string): Checker {
  const key = `${kind}.${fn}`
  let checker = checkers.get(key)
  if (checker === undefined) {
    const functions = hookTable[kind].functions as Record<string, { output: TSchema }>
    const output = functions[fn]?.output
    if (output === undefined) throw new Error(`the hook table has no ${key}`)
    checker = Compile(output)
    checkers.set(key, checker)
  }
  return checker
}

/** Characters of JSON up to which a wrong answer is looked through for what is wrong. */
const lookedThrough = 4_096

/** What is wrong with an answer, in words for its author; undefined when it fits. */
export function problemOfAnswer(kind: HookKind, fn: string, value: unknown): string | undefined {
  const checker = checkerOf(kind, fn)
  if (checker.Check(value)) return undefined
  const shown = JSON.stringify(value) ?? String(value)
  // Finding the place takes far longer than finding that there is one, and how long is up to whoever answered.
  const errors = shown.length > lookedThrough ? [] : checker.Errors(value)
  const error = errors.find(({ keyword }) => keyword !== 'boolean' && keyword !== 'anyOf')
  const where = error === undefined ? '' : `${error.instancePath === '' ? 'it' : error.instancePath} ${error.message}; `
  return `${kind}.${fn} answered ${shown.length > 120 ? `${shown.slice(0, 120)}…` : shown}: ${where}see the hook's answer in the SDK`
}
