/** Says in words what does not fit the schema: what was expected, what was found, and where the user wrote it. Pure. */
import type { TSchema } from 'typebox'
import type { TLocalizedValidationError } from 'typebox/error'
import { Settings } from 'typebox/system'
import { Errors } from 'typebox/value'
import { escapePointer, type Problem } from '../errors.ts'
import { nearest } from '../nearest.ts'
import { whyRefused } from './refused-fields.ts'
import { findIn, nearestIn, plainOf, splitPointer, type Tree } from './tree.ts'

/** A problem at a pointer into the rewritten document, not yet led back to what the user wrote. */
export type Finding = { readonly pointer: string; readonly message: string; readonly isKey?: boolean }

/** Everything in `tree` that does not fit, each place once. */
export function explain(schema: TSchema, tree: Tree): Finding[] {
  const findings = new Map<string, Finding>()
  for (const error of dropOtherBranches(allErrors(schema, plainOf(tree))))
    for (const finding of findingsOf(error, schema, tree))
      if (!findings.has(finding.pointer)) findings.set(finding.pointer, finding)
  return [...findings.values()]
}

/** The library stops at eight errors; that is a setting of the whole process, so it is put back at once. */
function allErrors(schema: TSchema, value: unknown): TLocalizedValidationError[] {
  const { maxErrors } = Settings.Get()
  Settings.Set({ maxErrors: 1000 })
  try {
    return Errors(schema, value)
  } finally {
    Settings.Set({ maxErrors })
  }
}

/** Of a choice, only the branch counts whose type fits; when none does, the choice as a whole is what was expected. */
function dropOtherBranches(errors: readonly TLocalizedValidationError[]): TLocalizedValidationError[] {
  const dropped = new Set<TLocalizedValidationError>()
  for (const choice of errors.filter(({ keyword }) => keyword === 'anyOf')) {
    const branchOf = (error: TLocalizedValidationError) =>
      error.schemaPath.startsWith(`${choice.schemaPath}/anyOf/`)
        ? error.schemaPath.slice(`${choice.schemaPath}/anyOf/`.length).split('/')[0]
        : undefined
    const inside = errors.filter((error) => branchOf(error) !== undefined)
    const isMistyped = (error: TLocalizedValidationError) =>
      error.keyword === 'type' && error.instancePath === choice.instancePath
    const mistyped = new Set(inside.filter(isMistyped).map(branchOf))
    const fitting = inside.filter((error) => !mistyped.has(branchOf(error)))
    for (const error of inside) if (!fitting.includes(error)) dropped.add(error)
    if (fitting.length > 0) dropped.add(choice)
  }
  return errors.filter((error) => !dropped.has(error))
}

function findingsOf(error: TLocalizedValidationError, root: TSchema, tree: Tree): Finding[] {
  const schema = schemaAt(root, error.schemaPath)
  if (error.keyword === 'boolean') return []
  if (error.keyword === 'additionalProperties')
    return error.params.additionalProperties.map((name) => ({
      pointer: `${error.instancePath}/${escapePointer(name)}`,
      message: unknownField(name, schema, root, error.instancePath),
      isKey: true,
    }))
  if (error.keyword === 'required')
    return error.params.requiredProperties.map((name) => ({
      pointer: `${error.instancePath}/${escapePointer(name)}`,
      message: `\`${name}\` is missing; expected ${expected(record(record(schema.properties)[name]))}`,
    }))
  const found = findIn(tree, error.instancePath)?.node
  const value = found ? plainOf(found) : undefined
  const options = error.keyword === 'enum' ? error.params.allowedValues.map(String) : []
  const meant = typeof value === 'string' ? nearest(value, options) : undefined
  const hint = meant === undefined ? '' : `; did you mean \`${meant}\`?`
  return [{ pointer: error.instancePath, message: `expected ${expected(schema)}, found ${render(value)}${hint}` }]
}

function expected(schema: Readonly<Record<string, unknown>>): string {
  const description = typeof schema.description === 'string' ? schema.description : 'something else'
  return Array.isArray(schema.enum) ? `${choice(schema.enum)} (${description})` : description
}

/** `a`, `b` or `c` */
export function choice(values: readonly unknown[]): string {
  return new Intl.ListFormat('en-GB', { type: 'disjunction' }).format(values.map((value) => `\`${String(value)}\``))
}

/** A field that is not known here: why there is none, what it may have been meant to be, where it belongs, or what is known here. */
function unknownField(
  name: string,
  schema: Readonly<Record<string, unknown>>,
  root: TSchema,
  instancePath: string,
): string {
  const known = Object.keys(record(schema.properties))
  if (known.length === 0) return `\`${name}\` cannot be a name here; expected ${expected(schema)}`
  const elsewhere = placesOf(name, root)[0]
  const reason = /^(\/spec(\/|$)|$)/.test(instancePath) && elsewhere === undefined ? whyRefused(name) : undefined
  const meant = nearest(name, known)
  // Below `spec` a word that people bring from elsewhere is that word, and no slip of one of ours.
  if (reason !== undefined && (instancePath !== '' || meant === undefined))
    return `unknown field \`${name}\`: ${reason}`
  if (meant) return `unknown field \`${name}\`; did you mean \`${meant}\`?`
  if (elsewhere !== undefined) return `unknown field \`${name}\`; it belongs at \`${elsewhere}\`, not here`
  return `unknown field \`${name}\`; known here: ${known.join(', ')}`
}

function placesOf(name: string, schema: unknown, pointer = ''): string[] {
  return Object.entries(record(record(schema).properties)).flatMap(([key, inner]) =>
    key === name ? [`${pointer}/${key}`] : placesOf(name, inner, `${pointer}/${key}`),
  )
}

function schemaAt(root: TSchema, schemaPath: string): Readonly<Record<string, unknown>> {
  return splitPointer(schemaPath.slice(1)).reduce((schema, part) => record(schema[part]), record(root))
}

const record = (value: unknown): Record<string, unknown> =>
  value !== null && typeof value === 'object' ? (value as Record<string, unknown>) : {}

/** A value as it is shown in a message: short, on one line. */
export function render(value: unknown): string {
  if (value === null || value === undefined) return 'nothing'
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list'
  if (typeof value === 'object') return 'a mapping'
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value as number | boolean)
  return text.length > 80 ? `${text.slice(0, 77)}…` : text
}

/** Leads findings back to what the user wrote, in the order in which it was written. */
export function locate(findings: readonly Finding[], tree: Tree): Problem[] {
  const problems = findings.map(({ pointer, message, isKey }): Problem => {
    const { node, keyAt, length } = nearestIn(tree, pointer)
    // What is missing is looked for at the key of the mapping that should hold it.
    const place = isKey || length < pointer.length ? keyAt : node.at
    return { ...place, path: place.path + pointer.slice(length), message }
  })
  return inOrder(problems)
}

/** Sorted as written; of several problems with one value, which may stand for two fields, the first. */
export function inOrder(problems: readonly Problem[]): Problem[] {
  const seen = new Set<string>()
  return problems
    .toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0))
    .filter(({ path, line, column }) => {
      const place = `${line}:${column} ${path}`
      return !seen.has(place) && seen.add(place)
    })
}
