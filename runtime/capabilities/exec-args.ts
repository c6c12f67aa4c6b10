/**
 * Arguments of a granted command: fixed texts with holes. A hole takes a value of its kind and nothing else, and no value
 * begins with `-`, so that none can become an option. Pure.
 */
import { OrchestryError } from '../errors.ts'

type HoleKind = 'int' | 'token' | readonly string[]
type Piece = string | { readonly name: string; readonly kind: HoleKind }
export interface ArgsTemplate {
  readonly args: readonly (readonly Piece[])[]
  readonly holes: ReadonlyMap<string, HoleKind>
}

const hole = /\{([a-z][a-zA-Z0-9]{0,31}):([^{}]*)\}/g
const token = /^[A-Za-z0-9_.,:/=@+][A-Za-z0-9_.,:/=@+-]{0,127}$/
const shownLength = 32

/** Reads `{n:int}`, `{name:token}` and `{mode:one|two}`, whole arguments or parts of them. Adds what is wrong to `problems`. */
export function readTemplate(args: readonly string[], problems: string[]): ArgsTemplate {
  const holes = new Map<string, HoleKind>()
  const pieces = args.map((arg) => {
    const found: Piece[] = []
    let end = 0
    for (const match of arg.matchAll(hole)) {
      const [whole, name = '', kindText = ''] = match
      const before = arg.slice(end, match.index)
      end = match.index + whole.length
      const kind = readKind(kindText)
      if (kind === undefined) {
        problems.push(`the hole "${whole}" is none of {name:int}, {name:token}, {name:one|two}`)
        continue
      }
      const known = holes.get(name)
      if (known !== undefined && String(known) !== String(kind)) problems.push(`the hole "${name}" has two kinds`)
      holes.set(name, kind)
      found.push(before, { name, kind })
    }
    found.push(arg.slice(end))
    if (found.some((piece) => typeof piece === 'string' && /[{}]/.test(piece)))
      problems.push(`the argument "${arg}" has a brace that belongs to no hole like {name:token}`)
    if (arg.includes('\0')) problems.push('an argument has a NUL character')
    return found.filter((piece) => piece !== '')
  })
  return { args: pieces, holes }
}

function readKind(text: string): HoleKind | undefined {
  if (text === 'int' || text === 'token') return text
  const choices = text.split('|')
  return choices.length > 1 && choices.every(isToken) ? choices : undefined
}

/** A path in a token goes down only. */
const isToken = (text: string) => token.test(text) && !text.includes('..')

/** The final arguments. Throws ORC_CAPABILITY_ARGUMENT when a value is missing, not asked for, or not of its hole's kind. */
export function fillTemplate(
  { args, holes }: ArgsTemplate,
  values: Readonly<Record<string, string | number>>,
): readonly string[] {
  for (const name of Object.keys(values))
    if (!holes.has(name)) throw refuse(`there is no hole "${name.slice(0, shownLength)}"; ${namesOf(holes)}`)
  return args.map((pieces) => pieces.map((piece) => (typeof piece === 'string' ? piece : fill(piece, values))).join(''))
}

function fill({ name, kind }: Exclude<Piece, string>, values: Readonly<Record<string, string | number>>): string {
  const value = Object.hasOwn(values, name) ? values[name] : undefined
  if (value === undefined) throw refuse(`the hole "${name}" has no value`)
  const text = String(value)
  if (kind === 'int') {
    if (/^(0|[1-9]\d{0,15})$/.test(text) && Number.isSafeInteger(Number(text))) return text
    throw refuse(`the value of "${name}" is no whole number from 0`)
  }
  if (kind === 'token') {
    if (isToken(text)) return text
    throw refuse(
      `the value of "${name}" is not 1 to 128 characters out of A-Z a-z 0-9 _ . , : / = @ + -, or it begins with "-", or has ".."`,
    )
  }
  if (kind.includes(text)) return text
  throw refuse(`the value of "${name}" is none of ${kind.join(', ')}`)
}

const namesOf = (holes: ReadonlyMap<string, unknown>) =>
  holes.size === 0 ? 'the command has none' : `the command has ${[...holes.keys()].join(', ')}`
const refuse = (why: string) => new OrchestryError('ORC_CAPABILITY_ARGUMENT', `ctx.exec: ${why}. Nothing was run.`)
