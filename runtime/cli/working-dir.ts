/**
 * A spec in a file means the file's own folder: `command: [node, server.js]` works wherever `apply` is called from. The server
 * knows no folder of ours, so the text gets an absolute `spec.workingDir` before it is sent. Pure.
 */
import { resolve } from 'node:path'
import { isMap, isScalar, type ParsedNode, parseDocument } from 'yaml'
import type { Problem } from '../errors.ts'

export interface Placed {
  readonly text: string
  /** The place in the text as the user wrote it; what was put in is taken out of the count. */
  toOriginal(problem: Problem): Problem
}

/** Leaves alone what is no process app, has an absolute folder, or cannot be read (the server says why). */
export function placeWorkingDir(text: string, dir: string): Placed {
  const unchanged: Placed = { text, toOriginal: (problem) => problem }
  const document = parseDocument(text, { logLevel: 'silent' })
  if (document.errors.length > 0) return unchanged
  const spec = document.get('spec', true) as ParsedNode | undefined
  if (!isMap(spec) || spec.has('image') || !spec.has('command')) return unchanged
  const driver: unknown = spec.get('driver')
  if (driver !== undefined && driver !== 'process') return unchanged
  const given = spec.get('workingDir', true) as ParsedNode | undefined
  if (given !== undefined && given !== null) {
    if (!isScalar(given) || typeof given.value !== 'string') return unchanged
    const absolute = resolve(dir, given.value)
    if (absolute === given.value) return unchanged
    const [from, to] = given.range
    return edit(text, from, to, JSON.stringify(absolute))
  }
  const start = spec.range?.[0] ?? 0
  const entry = `workingDir: ${JSON.stringify(dir)}`
  if (spec.flow)
    return edit(
      text,
      start + 1,
      start + 1,
      ` ${text.trimStart().startsWith('{') ? `"workingDir": ${JSON.stringify(dir)}` : entry},`,
    )
  const indent = text.slice(text.lastIndexOf('\n', start - 1) + 1, start)
  return /^ +$/.test(indent) ? edit(text, start, start, `${entry}\n${indent}`) : unchanged
}

function edit(text: string, from: number, to: number, replacement: string): Placed {
  const before = text.slice(0, from)
  const line = before.split('\n').length
  const column = from - before.lastIndexOf('\n')
  const addedLines = replacement.split('\n').length - 1
  const addedColumns = addedLines > 0 ? 0 : replacement.length - (to - from)
  return {
    text: `${before}${replacement}${text.slice(to)}`,
    toOriginal(problem) {
      if (problem.line === undefined || problem.line < line) return problem
      if (addedLines > 0) return problem.line === line ? problem : { ...problem, line: problem.line - addedLines }
      if (problem.line > line || (problem.column ?? 0) <= column) return problem
      return { ...problem, column: Math.max(column, (problem.column ?? 0) - addedColumns) }
    },
  }
}
