/**
 * Fills in and checks a plugin's config against the schema that came out of its sandbox. The schema is foreign data: it is
 * bounded, never compiled to code, and where it brings its own patterns it is run in a thread that can be ended.
 */
import { Worker } from 'node:worker_threads'
import { escapePointer, OrchestryError, type Problem } from '../errors.ts'
import { limits } from '../limits.ts'
import { schemaProblems } from './config-check.ts'
import { problemsText } from './problems.ts'

export type ConfigSchema = Readonly<Record<string, unknown>>

const schemaNodes = 2_000
/** Values that the defaults of a schema may make: one default within another multiplies. */
const filledMost = 50_000
const patternDeadlineMs = 1_000
/** What TypeBox writes for `Type.Record(Type.String(), …)`; it can match anything and takes no time. */
const harmlessPatterns = new Set(['^.*$', '^(.*)$', '.*'])

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** What is wrong with the schema itself; empty when configs may be checked against it. */
export function configSchemaProblems(schema: ConfigSchema): Problem[] {
  const problems: Problem[] = []
  let nodes = 0
  const visit = (node: unknown, path: string, depth: number): void => {
    nodes += 1
    if (nodes > schemaNodes || problems.length > 0) return
    if (depth > limits.jsonDepth) {
      problems.push({ path, message: `is nested deeper than ${limits.jsonDepth}` })
    } else if (Array.isArray(node)) {
      for (const [index, item] of node.entries()) visit(item, `${path}/${index}`, depth + 1)
    } else if (isObject(node)) {
      for (const [key, value] of Object.entries(node)) {
        const at = `${path}/${escapePointer(key)}`
        // A reference could lead round in a circle; a config form could not show it anyway.
        if (key.startsWith('$') && typeof value === 'string')
          problems.push({ path: at, message: 'references are not supported in a config schema; write the type out' })
        else visit(value, at, depth + 1)
      }
    }
  }
  visit(schema, '', 0)
  if (nodes > schemaNodes) problems.push({ path: '', message: `has more than ${schemaNodes} parts` })
  return problems
}

/** There are more values than anybody would configure. */
class TooLargeError extends Error {}

/**
 * The config with every `default` of the schema filled in where nothing was given. Returns new data.
 * @throws TooLargeError
 */
export function withDefaults(schema: unknown, given: unknown): unknown {
  let left = filledMost
  const take = (values: number) => {
    left -= values
    if (left < 0) throw new TooLargeError(`its defaults make more than ${filledMost} values`)
  }

  function fill(part: unknown, was: unknown): unknown {
    take(1)
    if (!isObject(part)) return was
    let value = was
    if (was === undefined && Object.hasOwn(part, 'default')) {
      take(sizeOf(part.default))
      value = structuredClone(part.default)
    }
    if (isObject(part.properties) && (value === undefined || isObject(value))) {
      const filled = fillProperties(part.properties, value)
      // An object that nobody gave comes into being only where it must be there, or where a default is in it.
      if (value !== undefined || Object.keys(filled).length > 0) value = filled
    }
    const { items } = part
    if (Array.isArray(value) && isObject(items)) value = value.map((item) => fill(items, item ?? undefined))
    if (Array.isArray(part.allOf)) for (const one of part.allOf) value = fill(one, value)
    return value
  }

  function fillProperties(properties: Record<string, unknown>, was: unknown): Record<string, unknown> {
    const entries = isObject(was) ? Object.entries(was) : []
    const filled = new Map(entries)
    for (const [key, part] of Object.entries(properties)) {
      const value = fill(part, filled.get(key))
      if (value !== undefined) filled.set(key, value)
    }
    return Object.fromEntries(filled)
  }

  return fill(schema, given)
}

/** Long texts count for more, as they take more to copy. */
function sizeOf(value: unknown): number {
  if (typeof value === 'string') return 1 + Math.floor(value.length / 64)
  if (typeof value !== 'object' || value === null) return 1
  return Object.entries(value).reduce((sum, [key, part]) => sum + sizeOf(key) + sizeOf(part), 1)
}

/**
 * The config complete with its defaults. Without a schema only no config, or an empty one, is right.
 * @throws ORC_PLUGIN_CONFIG_INVALID with every problem and its path in the config.
 */
export async function readConfig(plugin: string, schema: ConfigSchema | undefined, given: unknown): Promise<unknown> {
  const wanted = schema ?? { type: 'object', additionalProperties: false, properties: {} }
  const config = filledIn(plugin, wanted, given) ?? {}
  const problems = await checkConfig(wanted, config)
  if (problems.length > 0) throw configInvalid(plugin, problems)
  return config
}

function filledIn(plugin: string, schema: ConfigSchema, given: unknown): unknown {
  try {
    return withDefaults(schema, given ?? undefined)
  } catch (thrown) {
    if (thrown instanceof TooLargeError) throw configInvalid(plugin, [{ path: '', message: thrown.message }])
    throw thrown
  }
}

export function configInvalid(plugin: string, problems: readonly Problem[]): OrchestryError {
  return new OrchestryError(
    'ORC_PLUGIN_CONFIG_INVALID',
    `Config of ${plugin}: ${problemsText(problems)} Nothing was changed.`,
    { problems },
  )
}

async function checkConfig(schema: ConfigSchema, config: unknown): Promise<Problem[]> {
  return hasPattern(schema) ? await checkInThread(schema, config) : schemaProblems(schema, config)
}

function hasPattern(node: unknown): boolean {
  if (Array.isArray(node)) return node.some(hasPattern)
  if (!isObject(node)) return false
  return Object.entries(node).some(([key, value]) => {
    if (key === 'pattern') return typeof value === 'string' && !harmlessPatterns.has(value)
    if (key === 'patternProperties' && isObject(value))
      return Object.entries(value).some(([pattern, part]) => !harmlessPatterns.has(pattern) || hasPattern(part))
    return hasPattern(value)
  })
}

/** A pattern can be written so that one match never ends; a thread can be stopped in the middle of it. */
async function checkInThread(schema: ConfigSchema, config: unknown): Promise<Problem[]> {
  const own = new URL(import.meta.url)
  const file = new URL(own.pathname.endsWith('.ts') ? './config-check.ts' : './config-check.js', own)
  const thread = new Worker(file, {
    workerData: { schema, config },
    resourceLimits: { maxOldGenerationSizeMb: 64 },
    env: {},
  })
  try {
    return await new Promise<Problem[]>((resolve) => {
      const stop = () => resolve([{ path: '', message: 'a pattern of the config schema takes too long to check' }])
      const timer = setTimeout(stop, patternDeadlineMs)
      const settle = (problems: Problem[]) => {
        clearTimeout(timer)
        resolve(problems)
      }
      thread.once('message', settle)
      thread.once('error', (error) => settle([{ path: '', message: `cannot be checked: ${error.message}` }]))
    })
  } finally {
    await thread.terminate()
  }
}
