/** From the text of a spec to an app, or to everything that is wrong with it at once. */
import { type ContainerPolicy, policyViolations } from '../container-policy.ts'
import { type ErrorCode, OrchestryError, type Problem } from '../errors.ts'
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

export interface SpecChecks {
  /** Names of the drivers there are; absent = a driver is not checked for being there. */
  readonly drivers?: readonly string[]
  /** Absent = what was allowed once is not judged again. */
  readonly containerPolicy?: ContainerPolicy
}

/**
 * @throws ORC_SPEC_UNREADABLE the text is no YAML or JSON, or exceeds a bound
 * @throws ORC_SPEC_INVALID with every problem, each with JSON pointer, line and column
 * @throws ORC_SPEC_FORBIDDEN likewise, with what is a spec and not allowed
 */
export function parseSpec(text: string, checks: SpecChecks = {}): ParsedSpec {
  const read = readSource(text)
  return { ...read, app: appOf(read.tree, checks), source: text }
}

/** Rewrites `tree` to the names of the schema and makes the app of it. @throws ORC_SPEC_INVALID, ORC_SPEC_FORBIDDEN */
export function appOf(tree: Tree, { drivers, containerPolicy }: SpecChecks = {}): App {
  const ofAliases = rewriteAliases(tree)
  const misfits = explain(AppSpecDocument, tree)
  const findings = [...misfits, ...checkRules(tree, misfits, drivers)]
  const problems = inOrder([...ofAliases, ...locate(findings, tree)])
  if (problems.length > 0) throw invalid(problems)
  const app = complete(plainOf(tree) as AppSpecDocument)
  const violations = containerPolicy === undefined ? [] : policyViolations(app, containerPolicy)
  if (violations.length > 0) throw refused('ORC_SPEC_FORBIDDEN', locate(violations, tree))
  return app
}

/** One error for all problems; the first is in its text, for those who see nothing else. */
export const invalid = (problems: readonly Problem[]): OrchestryError => refused('ORC_SPEC_INVALID', problems)

function refused(code: ErrorCode, problems: readonly Problem[]): OrchestryError {
  const [first] = problems
  const where =
    first?.line === undefined ? first?.path : `line ${first.line}, column ${first.column}, ${first.path || '/'}`
  const more = problems.length > 1 ? ` (the first of ${problems.length} problems)` : ''
  return new OrchestryError(code, `${where}: ${first?.message}${more}. Nothing was stored.`, {
    problems: problems.slice(0, limits.specProblems),
  })
}
