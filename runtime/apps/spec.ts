/** From the text of a spec to an app, or to everything that is wrong with it at once. */
import { OrchestryError, type Problem } from '../errors.ts'
import { limits } from '../limits.ts'
import { rewriteAliases } from './aliases.ts'
import type { App } from './app.ts'
import { complete } from './defaults.ts'
import { explain, inOrder, locate } from './explain.ts'
import { readSource, type Source } from './read.ts'
import { checkRules } from './rules.ts'
import { AppSpecDocument } from './schema.ts'
import { plainOf, type Tree } from './tree.ts'

export interface ParsedSpec extends Source {
  readonly app: App
  /** The text, unchanged. */
  readonly source: string
}

/**
 * @param options.drivers names of the drivers there are; absent = a driver is not checked for being there
 * @throws ORC_SPEC_UNREADABLE the text is no YAML or JSON, or exceeds a bound
 * @throws ORC_SPEC_INVALID with every problem, each with JSON pointer, line and column
 */
export function parseSpec(text: string, options: { drivers?: readonly string[] } = {}): ParsedSpec {
  const read = readSource(text)
  return { ...read, app: appOf(read.tree, options.drivers), source: text }
}

/** Rewrites `tree` to the names of the schema and makes the app of it. @throws ORC_SPEC_INVALID */
export function appOf(tree: Tree, drivers?: readonly string[]): App {
  const ofAliases = rewriteAliases(tree)
  const misfits = explain(AppSpecDocument, tree)
  const findings = [...misfits, ...checkRules(tree, misfits, drivers)]
  const problems = inOrder([...ofAliases, ...locate(findings, tree)])
  if (problems.length > 0) throw invalid(problems)
  return complete(plainOf(tree) as AppSpecDocument)
}

/** One error for all problems; the first is in its text, for those who see nothing else. */
export function invalid(problems: readonly Problem[]): OrchestryError {
  const [first] = problems
  const where =
    first?.line === undefined ? first?.path : `line ${first.line}, column ${first.column}, ${first.path || '/'}`
  const more = problems.length > 1 ? ` (the first of ${problems.length} problems)` : ''
  return new OrchestryError('ORC_SPEC_INVALID', `${where}: ${first?.message}${more}. Nothing was stored.`, {
    problems: problems.slice(0, limits.specProblems),
  })
}
