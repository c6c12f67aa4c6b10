/** A partial change of the section `scaling`, merged into a stored spec so that its text goes on telling the truth. Pure. */
import { isDeepStrictEqual } from 'node:util'
import { OrchestryError } from '../errors.ts'
import { rewriteAliases } from './aliases.ts'
import type { App } from './app.ts'
import { readSource } from './read.ts'
import { appOf, invalid, parseSpec } from './spec.ts'
import { findIn, type Mapping, plainOf, splitPointer, type Tree } from './tree.ts'

/**
 * @param source the stored text
 * @param patch a part of the section; mappings are merged, everything else replaces what was there, null takes away
 * @returns the app, and the text with the change in it: comments and order are kept where that is possible
 * @throws ORC_SPEC_INVALID with paths that begin at the section
 */
export function patchScaling(source: string, patch: unknown): { app: App; source: string } {
  const before = readSource(source).tree
  const change = readSource(JSON.stringify({ scaling: patch ?? null })).tree
  rewriteAliases(before)
  const problems = rewriteAliases(change, { areNullsKept: true })
  const section = findIn(change, '/scaling')?.node
  if (section?.kind !== 'mapping')
    problems.push({ path: '', message: 'expected a mapping with a part of the section `scaling`' })
  if (problems.length > 0 || change.kind !== 'mapping' || before.kind !== 'mapping') throw ofSection(invalid(problems))
  const after = readSource(source).tree as Mapping
  rewriteAliases(after)
  mergeInto(after, change)
  try {
    const app = appOf(after)
    return { app, source: truthfulText(source, before, after, app) }
  } catch (error) {
    throw error instanceof OrchestryError ? ofSection(error) : error
  }
}

/**
 * @param source a spec, whose section `scaling` is replaced by that of `other`
 * @throws ORC_SPEC_INVALID when the two do not go together
 */
export function withScalingOf(source: string, other: string): { app: App; source: string } {
  const [before, after, kept] = [readSource(source).tree, readSource(source).tree, readSource(other).tree]
  for (const tree of [before, after, kept]) rewriteAliases(tree)
  if (after.kind === 'mapping') {
    const section = findIn(kept, '/scaling')
    if (section) after.fields.set('scaling', section)
    else after.fields.delete('scaling')
  }
  const app = appOf(after)
  return { app, source: truthfulText(source, before, after, app) }
}

function ofSection(error: OrchestryError): OrchestryError {
  return invalid(error.problems.map(({ path, message }) => ({ path: path.replace(/^\/scaling/, ''), message })))
}

function mergeInto(target: Mapping, change: Mapping): void {
  for (const [key, field] of change.fields) {
    const there = target.fields.get(key)?.node
    if (field.node.kind === 'leaf' && field.node.value === null) target.fields.delete(key)
    else if (there?.kind === 'mapping' && field.node.kind === 'mapping') mergeInto(there, field.node)
    else target.fields.set(key, { ...field, node: withoutNulls(field.node) })
  }
}

function withoutNulls(node: Tree): Tree {
  if (node.kind !== 'mapping') return node
  const target: Mapping = { ...node, fields: new Map() }
  mergeInto(target, node)
  return target
}

/** The first of ever coarser rewritings that reads as exactly `app` again. */
function truthfulText(source: string, before: Tree, after: Tree, app: App): string {
  const changes = changesOf(before, after, '/scaling')
  if (changes.length === 0) return source
  for (const rewrite of [editLeaves, replaceSection, writeAnew]) {
    const text = rewrite({ source, before, after, changes })
    if (text !== undefined && isDeepStrictEqual(appIn(text), app)) return text
  }
  throw new Error(`the spec of ${app.name} could not be written with its new scaling section`)
}

interface Rewriting {
  readonly source: string
  readonly before: Tree
  readonly after: Tree
  readonly changes: readonly string[]
}

function appIn(text: string): App | undefined {
  try {
    return parseSpec(text).app
  } catch {
    return undefined
  }
}

function editLeaves({ source, before, after, changes }: Rewriting): string | undefined {
  const { document, format } = readSource(source)
  if (format === 'json') return undefined
  try {
    for (const pointer of changes) {
      const written = findIn(before, pointer)?.keyAt.path
      if (written !== undefined && written !== pointer) document.deleteIn(splitPointer(written))
      const value = findIn(after, pointer)
      if (value) document.setIn(splitPointer(pointer), plainOf(value.node))
      else document.deleteIn(splitPointer(pointer))
    }
    return document.toString({ lineWidth: 0 })
  } catch {
    // A section that stands there empty, or an alias: the document API will not put a value below it.
    return undefined
  }
}

function replaceSection({ source, after }: Rewriting): string | undefined {
  const { document, format } = readSource(source)
  if (format === 'json') return undefined
  const section = findIn(after, '/scaling')
  if (section) document.set('scaling', plainOf(section.node))
  else document.delete('scaling')
  return document.toString({ lineWidth: 0 })
}

function writeAnew({ source, after }: Rewriting): string {
  const { document, format } = readSource(source)
  const plain = plainOf(after)
  if (format === 'json') return `${JSON.stringify(plain, null, 2)}\n`
  document.contents = document.createNode(plain)
  return document.toString({ lineWidth: 0 })
}

/** Pointers to the smallest parts that differ. */
function changesOf(before: Tree | undefined, after: Tree | undefined, pointer: string): string[] {
  const old = before && findIn(before, pointer)?.node
  const fresh = after && findIn(after, pointer)?.node
  if (isDeepStrictEqual(old && plainOf(old), fresh && plainOf(fresh))) return []
  if (old?.kind !== 'mapping' || fresh?.kind !== 'mapping') return [pointer]
  const keys = new Set([...old.fields.keys(), ...fresh.fields.keys()])
  return [...keys].flatMap((key) => changesOf(before, after, `${pointer}/${key}`))
}
