/** From text to a tree of values that know their place. Everything here is bounded: the text comes from strangers. */
import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, type Pair, parseDocument } from 'yaml'
import { escapePointer, messageOf, OrchestryError, type Problem } from '../errors.ts'
import { limits } from '../limits.ts'
import type { Field, Place, Tree } from './tree.ts'

export interface Source {
  readonly tree: Tree
  readonly document: Document
  readonly format: 'yaml' | 'json'
}

/** What the parser says in its own words, in ours: what was found, and what would be right. */
const sayings: Readonly<Record<string, string>> = {
  BLOCK_AS_IMPLICIT_KEY:
    'found a second `: ` on one line; put quotes around a text that holds `: `, or begin a new line',
  MULTIPLE_DOCS: 'found the beginning of a second document (`---`); one text describes one app: submit them one by one',
  TAB_AS_INDENT: 'found a tab as indentation; expected spaces',
}

/** Before it finds anything wrong, the parser itself gives up on thousands of open brackets. */
const inWords = (message: string) =>
  /call stack/i.test(message)
    ? `values are nested deeper than ${limits.specDepth} levels`
    : `this is not YAML: ${message.replaceAll('\n', ' ')}`

/** @throws ORC_SPEC_UNREADABLE with the line and column of everything that is not YAML (or JSON), or exceeds a bound. */
export function readSource(text: string): Source {
  const bytes = Buffer.byteLength(text)
  if (bytes > limits.specBytes)
    refuse([{ path: '', message: `the text has ${bytes} bytes; at most ${limits.specBytes} are read` }])
  const lines = new LineCounter()
  const document = parse(text, lines)
  const placeAt = (offset: number, path: string): Place => {
    const { line, col } = lines.linePos(offset)
    return { path, line: Math.max(1, line), column: Math.max(1, col) }
  }
  const wrong = [...document.errors, ...document.warnings].map(({ code, message, pos }) => ({
    ...placeAt(pos[0], ''),
    message: sayings[code] ?? inWords(message),
  }))
  if (wrong.length > 0) refuse(onePerLine(wrong))
  if (document.contents === null || (isScalar(document.contents) && document.contents.value === null))
    refuse([
      {
        path: '',
        line: 1,
        column: 1,
        message: 'the text is empty; expected an app (apiVersion, kind, metadata, spec)',
      },
    ])
  const walk = createWalk(placeAt)
  const tree = walk.visit(document.contents, placeAt(document.contents?.range?.[0] ?? 0, ''), 0)
  if (walk.problems.length > 0) refuse(walk.problems)
  return { tree, document, format: text.trimStart().startsWith('{') ? 'json' : 'yaml' }
}

function parse(text: string, lineCounter: LineCounter): Document {
  try {
    // Comparing every key with every other one is quadratic; the walk below finds duplicates with a set.
    return parseDocument(text, { lineCounter, prettyErrors: false, uniqueKeys: false })
  } catch (error) {
    return refuse([{ path: '', message: inWords(messageOf(error)) }], error)
  }
}

/** Aliases are followed (the bound on values stops those that multiply), duplicates, odd keys and odd values are noted. */
function createWalk(placeAt: (offset: number, path: string) => Place) {
  const problems: Problem[] = []
  const anchors = new Map<string, Node>()
  let values = 0

  function visit(node: unknown, at: Place, depth: number): Tree {
    if (++values > limits.specValues)
      refuse([{ ...at, message: `the text holds (or its aliases make) more than ${limits.specValues} values` }])
    if (depth > limits.specDepth)
      refuse([{ ...at, message: `values are nested deeper than ${limits.specDepth} levels` }])
    if (isAlias(node)) {
      const target = anchors.get(node.source)
      if (target) return visit(target, at, depth + 1)
      problems.push({
        ...at,
        message: `the alias \`*${node.source}\` stands before, or without, its anchor \`&${node.source}\``,
      })
    }
    if ((isMap(node) || isSeq(node) || isScalar(node)) && node.anchor) anchors.set(node.anchor, node)
    if (isMap(node)) return { kind: 'mapping', at, fields: fieldsOf(node.items, at, depth) }
    if (isSeq(node))
      return {
        kind: 'list',
        at,
        items: node.items.map((item, index) => visit(item, startOf(item, `${at.path}/${index}`, at), depth + 1)),
      }
    return leafOf(node, at)
  }

  function fieldsOf(pairs: readonly Pair[], at: Place, depth: number): Map<string, Field> {
    const fields = new Map<string, Field>()
    for (const { key, value } of pairs) {
      const name = isScalar(key) ? String(key.source ?? key.value) : undefined
      const keyAt = startOf(key, `${at.path}/${escapePointer(name ?? '?')}`, at)
      const before = name === undefined ? undefined : fields.get(name)
      if (name === undefined) problems.push({ ...keyAt, message: 'a key must be a plain text' })
      else if (name === '__proto__') problems.push({ ...keyAt, message: '`__proto__` cannot be a key' })
      else if (before)
        problems.push({ ...keyAt, message: `the key \`${name}\` is given twice; first in line ${before.keyAt.line}` })
      else fields.set(name, { keyAt, node: visit(value, startOf(value, keyAt.path, keyAt), depth + 1) })
    }
    return fields
  }

  function leafOf(node: unknown, at: Place): Tree {
    const value = isScalar(node) ? node.value : null
    if (value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
      return {
        kind: 'leaf',
        at,
        value,
        text: isScalar(node) && node.source !== undefined ? node.source : String(value ?? ''),
      }
    problems.push({
      ...at,
      message: `a value of this kind (${String(node)}) is not read; expected a text, number or boolean`,
    })
    return { kind: 'leaf', at, value: null, text: '' }
  }

  function startOf(node: unknown, path: string, otherwise: Place): Place {
    const range = node === null || typeof node !== 'object' ? undefined : (node as Partial<Node>).range
    return range ? placeAt(range[0], path) : { ...otherwise, path }
  }

  return { visit, problems }
}

/** One slip makes a parser stumble many times; the first word on each line is the one that helps. */
function onePerLine(problems: readonly Problem[]): Problem[] {
  const seen = new Set<number | undefined>()
  return problems.filter(({ line }) => !seen.has(line) && seen.add(line)).slice(0, limits.specProblems)
}

function refuse(problems: readonly Problem[], cause?: unknown): never {
  const [first] = problems
  const where = first?.line === undefined ? '' : `Line ${first.line}, column ${first.column}: `
  throw new OrchestryError('ORC_SPEC_UNREADABLE', `${where}${first?.message}. Nothing was stored.`, { cause, problems })
}
