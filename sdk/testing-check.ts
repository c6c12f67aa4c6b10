/** What the host checks around a plugin's code: its config, what goes in, what comes out, how long it takes. */
import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { Default } from 'typebox/value'
import { type HookKind, hookTable } from './hooks.ts'
import type { PluginDefinition } from './plugin.ts'

/** The codes under which the host would book a failure of the plugin. */
export type FailureCode =
  /** The config does not fit its schema, or `validateConfig` objects. */
  | 'ORC_PLUGIN_CONFIG_INVALID'
  /** `activate` threw. */
  | 'ORC_PLUGIN_ACTIVATE_FAILED'
  /** The plugin has no such hook function. */
  | 'ORC_HOOK_NOT_OFFERED'
  /** The function threw. */
  | 'ORC_SANDBOX_GUEST_ERROR'
  /** A promise was not settled in time. */
  | 'ORC_SANDBOX_TIMEOUT'
  /** The answer is larger than the limit. */
  | 'ORC_SANDBOX_RESULT_TOO_LARGE'
  /** The answer does not fit the hook. */
  | 'ORC_HOOK_OUTPUT_INVALID'

/** A failure of the plugin, as the host would see it. */
export class PluginFailure extends Error {
  readonly code: FailureCode
  /** One line for each thing that is wrong, where there can be several. */
  readonly problems: readonly string[]

  constructor(code: FailureCode, message: string, problems: readonly string[] = []) {
    super(message)
    this.name = 'PluginFailure'
    this.code = code
    this.problems = problems
  }
}

/** One slot of a batch: an answer, or why there is none. */
export type Outcome<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly failure: PluginFailure }

/** Fills in the defaults of a plugin's config and says everything that is wrong with it, one line a fault. */
export function checkConfig<S extends TSchema>(
  plugin: PluginDefinition<S>,
  given?: unknown,
): { config: unknown; problems: string[] } {
  const schema = plugin.config as TSchema | undefined
  if (schema === undefined) {
    const isEmpty = given === undefined || JSON.stringify(given) === '{}'
    return { config: {}, problems: isEmpty ? [] : ['/: the plugin takes no config'] }
  }
  const config = Default(schema, given === undefined ? {} : (JSON.parse(JSON.stringify(given)) as unknown))
  const problems = errorsOf(schema, config)
  if (problems.length > 0) return { config, problems }
  return { config, problems: plugin.validateConfig?.(config as never) ?? [] }
}

export function functionOf(kind: HookKind, fn: string): { per: 'item' | 'call'; input: TSchema; output: TSchema } {
  const found = (
    hookTable[kind].functions as Record<string, { per: 'item' | 'call'; input: TSchema; output: TSchema }>
  )[fn]
  if (found === undefined) throw new TypeError(`the hook table has no ${kind}.${fn}`)
  return found
}

/** @throws TypeError, because an input that the host would never send is a mistake of the test, not of the plugin. */
export function checkInput(kind: HookKind, fn: string, input: unknown): string {
  const problems = errorsOf(functionOf(kind, fn).input, input)
  if (problems.length > 0) throw new TypeError(`no input of ${kind}.${fn}: ${problems.join('; ')}`)
  return JSON.stringify(input ?? null)
}

export function checkAnswer(kind: HookKind, fn: string, text: string): Outcome<never> {
  const value: unknown = JSON.parse(text)
  const { output } = functionOf(kind, fn)
  if (compiled(output).Check(value)) return { ok: true, value: value as never }
  const problems = errorsOf(output, value)
  const shown = text.length > 120 ? `${text.slice(0, 120)}…` : text
  const message = `${kind}.${fn} answered ${shown}: ${problems[0] ?? 'it does not fit'}`
  return failed(new PluginFailure('ORC_HOOK_OUTPUT_INVALID', message, problems))
}

/** Runs foreign code to its end or its deadline; whatever it throws becomes a failure with the words the host would show. */
export async function guarded(work: () => unknown, timeoutMs: number): Promise<unknown> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new PluginFailure('ORC_SANDBOX_TIMEOUT', `no answer within ${timeoutMs} ms`)),
      timeoutMs,
    )
  })
  try {
    return await Promise.race([(async () => await work())(), deadline])
  } catch (error) {
    if (error instanceof PluginFailure) throw error
    throw new PluginFailure('ORC_SANDBOX_GUEST_ERROR', wordsOf(error))
  } finally {
    clearTimeout(timer)
  }
}

/** The answer as the JSON text that would cross. */
export async function settled(work: () => Promise<unknown>): Promise<Outcome<string>> {
  try {
    const value = await work()
    try {
      return { ok: true, value: JSON.stringify(value ?? null) ?? 'null' }
    } catch (error) {
      return failed(new PluginFailure('ORC_SANDBOX_GUEST_ERROR', wordsOf(error)))
    }
  } catch (error) {
    return failed(error as PluginFailure)
  }
}

export function spread(answer: Outcome<string>, hook: string, count: number): Outcome<string>[] {
  if (!answer.ok) return Array.from({ length: count }, () => answer)
  const values: unknown = JSON.parse(answer.value)
  if (Array.isArray(values) && values.length === count) {
    return values.map((value) => ({ ok: true, value: JSON.stringify(value) }))
  }
  const message = `${hook} must answer a list of ${count}, one for each input`
  return Array.from({ length: count }, () => failed(new PluginFailure('ORC_HOOK_OUTPUT_INVALID', message)))
}

export function failed(failure: PluginFailure): { ok: false; failure: PluginFailure } {
  return { ok: false, failure }
}

function wordsOf(thrown: unknown): string {
  if (typeof thrown !== 'object' || thrown === null) return String(thrown).slice(0, 500)
  const { name, message } = thrown as { name?: unknown; message?: unknown }
  return `${typeof name === 'string' ? name : 'Error'}: ${typeof message === 'string' ? message : ''}`.slice(0, 400)
}

const validators = new WeakMap<TSchema, ReturnType<typeof Compile>>()

function compiled(schema: TSchema): ReturnType<typeof Compile> {
  const known = validators.get(schema) ?? Compile(schema)
  validators.set(schema, known)
  return known
}

/** One line a fault. A union that does not fit complains of every branch and then of itself; the branches only confuse. */
function errorsOf(schema: TSchema, value: unknown): string[] {
  const validator = compiled(schema)
  if (validator.Check(value)) return []
  const errors = validator.Errors(value).filter(({ keyword }) => keyword !== 'boolean')
  const unions = errors.filter(({ keyword }) => keyword === 'anyOf')
  return errors
    .filter((error) => !unions.some((union) => error !== union && error.schemaPath.startsWith(`${union.schemaPath}/`)))
    .map(({ instancePath, message }) => `${instancePath || '/'}: ${message}`)
}
