/** Checks what a plugin's code declared against the hook table, so that a misspelt name is an error and not a silence. */
import { type HookKind, hookKinds, hookTable } from '@orchestry/sdk'
import { escapePointer, type Problem } from '../errors.ts'
import type { Description } from '../sandbox/sandbox.ts'
import { configSchemaProblems } from './config.ts'
import { schemaProblems } from './config-check.ts'
import { unknownName } from './problems.ts'

const lifecycle = ['activate', 'dispose', 'validateConfig', 'migrate']
const isHookKind = (name: string): name is HookKind => (hookKinds as string[]).includes(name)

/** Paths are JSON pointers into the object given to `definePlugin`. */
export function descriptionProblems(description: Description): Problem[] {
  const problems: Problem[] = []
  if (description.configSchema !== undefined) {
    for (const problem of configSchemaProblems(description.configSchema))
      problems.push({ ...problem, path: `/config${problem.path}` })
  }
  for (const name of description.lifecycle) {
    if (!lifecycle.includes(name))
      problems.push({ path: `/${escapePointer(name)}`, message: unknownName('function', name, lifecycle) })
  }
  for (const [name, hook] of Object.entries(description.hooks)) {
    const path = `/${escapePointer(name)}`
    if (!isHookKind(name)) problems.push({ path, message: unknownName('hook', name, hookKinds) })
    else problems.push(...hookProblems(name, hook, path))
  }
  return problems
}

function hookProblems(kind: HookKind, hook: Description['hooks'][string], path: string): Problem[] {
  const known = new Map<string, { needed: boolean }>(Object.entries(hookTable[kind].functions))
  const unknown = hook.functions
    .filter((name) => !known.has(name))
    .map((name) => ({
      path: `${path}/${escapePointer(name)}`,
      message: unknownName('function', name, [...known.keys()]),
    }))
  const missing = [...known]
    .filter(([name, { needed }]) => needed && !hook.functions.includes(name))
    .map(([name]) => ({ path: `${path}/${name}`, message: 'is missing: the hook needs this function' }))
  if (hook.functions.length === 0 && missing.length === 0)
    missing.push({ path, message: `has no function; it needs one of ${[...known.keys()].join(', ')}` })
  const declares = schemaProblems(hookTable[kind].declares as unknown as Record<string, unknown>, hook.declares)
  return [...unknown, ...missing, ...declares.map((problem) => ({ ...problem, path: `${path}${problem.path}` }))]
}
