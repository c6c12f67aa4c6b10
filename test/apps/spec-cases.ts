/** What the tests of specs share: a small valid spec, and problems written as one line each. */
import { OrchestryError } from '../../runtime/errors.ts'

export const head = 'apiVersion: v1\nkind: App\nmetadata: { name: shop }\n'
export const run = 'spec: { command: [node, server.js] }\n'

/** Code and problems (`line:column path | message`) of what `work` throws; fails when it throws nothing, or something else. */
export function problemsOf(work: () => unknown): { code: string; lines: string[]; message: string } {
  try {
    work()
  } catch (error) {
    if (!(error instanceof OrchestryError)) throw error
    const lines = error.problems.map(
      ({ path, message, line, column }) =>
        `${line === undefined ? '' : `${line}:${column} `}${path || '/'} | ${message}`,
    )
    return { code: error.code, lines, message: error.message }
  }
  throw new Error('nothing was thrown')
}
