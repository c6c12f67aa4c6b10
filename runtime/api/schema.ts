/** TypeBox on one side, what hono-openapi reads and what a client is told on the other. */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Context } from 'hono'
import type * as Type from 'typebox'
import { Compile } from 'typebox/compile'
import { OrchestryError, type Problem } from '../errors.ts'
import type { ApiEnv } from './deps.ts'

/** A Standard Schema that also tells its JSON schema: `Type()` is where hono-openapi looks for it. */
export interface StandardTypeBox<T extends Type.TSchema> extends StandardSchemaV1<unknown, Type.Static<T>> {
  Type(): T
}

export function standard<T extends Type.TSchema>(schema: T): StandardTypeBox<T> {
  const compiled = Compile(schema)
  return {
    Type: () => schema,
    '~standard': {
      version: 1,
      vendor: 'typebox',
      validate: (value) =>
        compiled.Check(value)
          ? { value: value as Type.Static<T> }
          : {
              issues: problemsOf(compiled.Errors(value)).map(({ path, message }) => ({
                message,
                path: path.split('/').slice(1),
              })),
            },
    },
  }
}

type Issue = { keyword: string; instancePath: string; message: string; params: object }

/** One sentence for each thing that is wrong. What a union or a closed object says twice is said once. */
function problemsOf(issues: readonly Issue[]): Problem[] {
  return issues
    .filter(({ keyword }) => keyword !== 'boolean')
    .flatMap(({ keyword, instancePath, message, params }) => {
      if (keyword === 'additionalProperties' && 'additionalProperties' in params)
        return (params.additionalProperties as string[]).map((name) => ({
          path: `${instancePath}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`,
          message: 'is not known here',
        }))
      if (keyword === 'enum' && 'allowedValues' in params)
        return [{ path: instancePath, message: `must be one of ${(params.allowedValues as unknown[]).join(', ')}` }]
      return [{ path: instancePath, message }]
    })
}

function refuse(where: string, problems: readonly Problem[]): never {
  const first = problems[0]
  const detail = `${where} does not fit: ${first ? `${first.path || 'it'} ${first.message}` : 'it is of another shape'}${
    problems.length > 1 ? `, and ${problems.length - 1} more` : ''
  }. Nothing was changed.`
  throw new OrchestryError('ORC_API_VALIDATION', detail, { problems })
}

/** Reads the query by its schema: numbers come as text, an unknown name is an error (a typing error, usually). */
export function queryReader<T extends Type.TSchema>(schema: T): (c: Context<ApiEnv>) => Type.Static<T> {
  const compiled = Compile(schema)
  return (c) => {
    const given: Record<string, unknown> = { ...c.req.query() }
    // '' converts to 0, which nobody means.
    const empty = Object.keys(given).filter((name) => given[name] === '')
    if (empty.length > 0)
      refuse(
        'The query',
        empty.map((name) => ({ path: `/${name}`, message: 'is empty' })),
      )
    const value = numbersOf(schema, given)
    if (!compiled.Check(value)) refuse('The query', problemsOf(compiled.Errors(value)))
    return value as Type.Static<T>
  }
}

/** TypeBox's own conversion cuts 1.5 to 1 where a whole number is wanted; here it stays what it is, and is refused. */
function numbersOf(schema: Type.TSchema, given: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { properties = {} } = schema as { properties?: Record<string, { type?: string }> }
  const isNumber = (name: string) =>
    Object.hasOwn(properties, name) && /^(?:integer|number)$/.test(properties[name]?.type ?? '')
  return Object.fromEntries(
    Object.entries(given).map(([name, text]) =>
      isNumber(name) && /^-?\d+(?:\.\d+)?$/.test(String(text)) ? [name, Number(text)] : [name, text],
    ),
  )
}

/** Reads a JSON body by its schema. An empty body counts as `{}`: what must be there, the schema says. */
export function bodyReader<T extends Type.TSchema>(schema: T): (c: Context<ApiEnv>) => Promise<Type.Static<T>> {
  const compiled = Compile(schema)
  return async (c) => {
    const text = await c.req.text()
    if (text.trim() !== '') requireJson(c)
    const value = text.trim() === '' ? {} : parse(text)
    if (!compiled.Check(value)) refuse('The body', problemsOf(compiled.Errors(value)))
    return value as Type.Static<T>
  }
}

function requireJson(c: Context<ApiEnv>): void {
  const type = c.req.header('content-type')
  if (type?.toLowerCase().includes('json')) return
  throw new OrchestryError(
    'ORC_API_MEDIA_TYPE',
    `The Content-Type is ${JSON.stringify(type ?? '')}; this route reads application/json. Nothing was changed.`,
  )
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (thrown) {
    const { message } = thrown as SyntaxError
    const at = Number(/at position (\d+)/.exec(message)?.[1] ?? text.length)
    const lines = text.slice(0, at).split('\n')
    const problem = { path: '', message, line: lines.length, column: (lines.at(-1)?.length ?? 0) + 1 }
    throw new OrchestryError(
      'ORC_API_BODY_INVALID',
      `The body is not JSON (line ${problem.line}, column ${problem.column}). Nothing was changed.`,
      { problems: [problem] },
    )
  }
}
