/** Turns schema errors into problems a person can act on: one per fault, with its path, its value and the nearest known name. */
import { escapePointer, type Problem } from '../errors.ts'
import { nearest } from '../nearest.ts'

type SchemaNode = Readonly<Record<string, unknown>>

/** What TypeBox reports; only these fields are read. */
export interface SchemaError {
  readonly keyword: string
  readonly schemaPath: string
  readonly instancePath: string
  readonly params: unknown
  readonly message: string
}

/** `at` is the JSON pointer of `value` in what the operator wrote. */
export function problemsOf(errors: readonly SchemaError[], schema: unknown, value: unknown, at = ''): Problem[] {
  // A failed union reports every branch and then itself; the branches only confuse.
  const unions = errors.filter((error) => error.keyword === 'anyOf' || error.keyword === 'oneOf')
  const isBranch = (error: SchemaError) =>
    unions.some((union) => error !== union && error.schemaPath.startsWith(`${union.schemaPath}/${union.keyword}/`))
  return errors
    .filter((error) => error.keyword !== 'boolean' && !isBranch(error))
    .flatMap((error) => problemOf(error, schema, value, at))
}

function problemOf(error: SchemaError, schema: unknown, value: unknown, at: string): Problem[] {
  const params = (error.params ?? {}) as Record<string, unknown>
  const path = `${at}${error.instancePath}`
  const node = valueAt(schema, error.schemaPath.replace(/^#/, '')) as SchemaNode | undefined
  switch (error.keyword) {
    case 'additionalProperties': {
      const known = Object.keys((node?.properties as object | undefined) ?? {})
      return names(params.additionalProperties).map((name) => ({
        path: `${path}/${escapePointer(name)}`,
        message: unknownName('field', name, known),
      }))
    }
    case 'required':
      return names(params.requiredProperties).map((name) => ({
        path: `${path}/${escapePointer(name)}`,
        message: 'is missing',
      }))
    case 'const':
      return [
        { path, message: `must be ${show(params.allowedValue)}, and is ${show(valueAt(value, error.instancePath))}` },
      ]
    case 'enum': {
      const allowed = Array.isArray(params.allowedValues)
        ? params.allowedValues.map(show).join(', ')
        : 'what is allowed'
      return [{ path, message: `must be one of ${allowed}, and is ${show(valueAt(value, error.instancePath))}` }]
    }
    case 'anyOf':
    case 'oneOf': {
      const allowed = constants(node)
      const message = allowed === undefined ? 'fits none of the allowed forms' : `must be one of ${allowed.join(', ')}`
      return [{ path, message: `${message}, and is ${show(valueAt(value, error.instancePath))}` }]
    }
    default:
      return [{ path, message: `${error.message}, and is ${show(valueAt(value, error.instancePath))}` }]
  }
}

const names = (given: unknown): string[] => (Array.isArray(given) ? given.map(String) : [])

function constants(node: SchemaNode | undefined): string[] | undefined {
  const branches = (node?.anyOf ?? node?.oneOf) as SchemaNode[] | undefined
  if (branches?.every((branch) => 'const' in branch) !== true) return undefined
  return branches.map((branch) => show(branch.const))
}

/** The value a JSON pointer leads to; only own properties are followed. */
function valueAt(root: unknown, pointer: string): unknown {
  let node: unknown = root
  for (const part of pointer.split('/').slice(1)) {
    const key = part.replaceAll('~1', '/').replaceAll('~0', '~')
    if (typeof node !== 'object' || node === null || !Object.hasOwn(node, key)) return undefined
    node = (node as Record<string, unknown>)[key]
  }
  return node
}

/** A value, short enough for an error text; a digest is shown whole. */
export function show(value: unknown): string {
  const text = value === undefined ? 'nothing' : (JSON.stringify(value) ?? typeof value)
  return text.length > 68 ? `${text.slice(0, 65)}...` : text
}

/** `unknown field "hsts"; did you mean "hosts"?`, or all known names when none is near. */
export function unknownName(what: string, name: string, known: readonly string[]): string {
  const near = nearest(name, known)
  const hint = near === undefined ? `known: ${known.join(', ') || 'none'}` : `did you mean "${near}"?`
  return `unknown ${what} ${show(name)}; ${hint}`
}

/** The same problems as sentences, for an error's detail. */
export function problemsText(problems: readonly Problem[]): string {
  const shown = problems.slice(0, 8).map((problem) => `${problem.path || '/'}: ${problem.message}`)
  const more = problems.length > shown.length ? ` (and ${problems.length - shown.length} more)` : ''
  return `${shown.join('; ')}${more}.`
}
