/** Checks what a plugin declares before any of its code runs. Strict: an unknown field is an error that names its path. */
import { realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { apiVersion, type CapabilityRecord, capabilitySchemas, Manifest } from '@orchestry/sdk'
import semver from 'semver'
import { Compile } from 'typebox/compile'
import { OrchestryError, type Problem } from '../errors.ts'
import type { PluginPackage } from './package.ts'
import { problemsOf, problemsText, show, unknownName } from './problems.ts'
import { isInside } from './tree.ts'

const manifestCheck = Compile(Manifest)
const capabilityChecks = new Map(Object.entries(capabilitySchemas).map(([kind, schema]) => [kind, Compile(schema)]))
/** What `ctx` itself has, or what an object has anyway: a binding of this name could not be used. */
const takenNames = new Set(['has', 'instance', 'then', 'constructor', 'prototype', ...names(Object.prototype)])

function names(of: object): string[] {
  return Object.getOwnPropertyNames(of)
}

/** The name under which a capability stands on `ctx`. */
export function bindingOf(record: CapabilityRecord): string {
  return record.as ?? record.kind
}

/**
 * @throws ORC_PLUGIN_MANIFEST_INVALID with every problem and its path in package.json;
 *   ORC_PLUGIN_ENGINE_MISMATCH when the plugin was written for another plugin API.
 */
export async function readManifest(from: Pick<PluginPackage, 'name' | 'dir' | 'declared'>): Promise<Manifest> {
  const problems = [...shapeProblems(from.declared), ...(await entryProblems(from.dir, from.declared))]
  if (problems.length > 0)
    throw new OrchestryError(
      'ORC_PLUGIN_MANIFEST_INVALID',
      `package.json of ${from.name}: ${problemsText(problems)} Nothing was installed or changed.`,
      { problems },
    )
  const manifest = from.declared as Manifest
  if (!semver.satisfies(apiVersion, manifest.engine))
    throw new OrchestryError(
      'ORC_PLUGIN_ENGINE_MISMATCH',
      `${from.name} wants plugin API ${manifest.engine}; this is ${apiVersion}. Install a version of the plugin that ` +
        `allows it, or another Orchestry. Nothing was installed or changed.`,
      { problems: [{ path: '/orchestry/engine', message: `does not include ${apiVersion}` }] },
    )
  return manifest
}

/** Everything that can be seen without the disk. Paths are JSON pointers into package.json. */
export function shapeProblems(declared: unknown): Problem[] {
  const at = '/orchestry'
  if (typeof declared !== 'object' || declared === null || Array.isArray(declared))
    return [{ path: at, message: `must be an object, and is ${show(declared)}` }]
  // Capabilities are checked kind by kind: the union's own errors would name every kind there is.
  const { capabilities, ...rest } = declared as Record<string, unknown>
  const shown = manifestCheck.Check(rest) ? [] : problemsOf(manifestCheck.Errors(rest), Manifest, rest, at)
  return [...shown, ...engineProblems(rest.engine), ...capabilityProblems(capabilities, `${at}/capabilities`)]
}

function engineProblems(engine: unknown): Problem[] {
  if (typeof engine !== 'string' || engine === '' || semver.validRange(engine) !== null) return []
  const message = `must be a version range like ">=1.0 <2", and is ${show(engine)}`
  return [{ path: '/orchestry/engine', message }]
}

function capabilityProblems(capabilities: unknown, at: string): Problem[] {
  if (capabilities === undefined) return []
  if (!Array.isArray(capabilities)) return [{ path: at, message: `must be an array, and is ${show(capabilities)}` }]
  if (capabilities.length > 32)
    return [{ path: at, message: `must not have more than 32 items, and has ${capabilities.length}` }]
  const problems: Problem[] = []
  const taken = new Map<string, number>()
  for (const [index, record] of capabilities.entries()) {
    const path = `${at}/${index}`
    const found = recordProblems(record, path)
    problems.push(...found)
    if (found.length > 0) continue
    const binding = bindingOf(record as CapabilityRecord)
    const first = taken.get(binding)
    if (first !== undefined)
      problems.push({
        path: `${path}/as`,
        message: `ctx.${binding} is already what ${at}/${first} brings; give one of them another name with "as"`,
      })
    else taken.set(binding, index)
  }
  return problems
}

function recordProblems(record: unknown, path: string): Problem[] {
  if (typeof record !== 'object' || record === null || Array.isArray(record))
    return [{ path, message: `must be an object with a "kind", and is ${show(record)}` }]
  const { kind, as } = record as Record<string, unknown>
  const known = [...capabilityChecks.keys()]
  const check = typeof kind === 'string' ? capabilityChecks.get(kind) : undefined
  if (check === undefined) {
    const message = typeof kind === 'string' ? unknownName('capability kind', kind, known) : `must be a text`
    return [{ path: `${path}/kind`, message: `${message}; the kinds are ${known.join(', ')}` }]
  }
  const schema = capabilitySchemas[kind as keyof typeof capabilitySchemas]
  const problems = check.Check(record) ? [] : problemsOf(check.Errors(record), schema, record, path)
  if (typeof as === 'string' && (takenNames.has(as) || (as !== kind && capabilityChecks.has(as))))
    problems.push({ path: `${path}/as`, message: `${show(as)} is a name that means something else; choose another` })
  return problems
}

async function entryProblems(dir: string, declared: unknown): Promise<Problem[]> {
  const path = '/orchestry/entry'
  const entry = (declared as { entry?: unknown } | null | undefined)?.entry
  if (typeof entry !== 'string' || entry === '' || entry.includes('..') || entry.includes('\0')) return []
  const real = await realpath(join(dir, entry)).catch(() => undefined)
  if (real === undefined) return [{ path, message: `there is no file ${show(entry)} in the package` }]
  if (!isInside(dir, real)) return [{ path, message: `${show(entry)} leaves the package` }]
  return (await stat(real)).isFile() ? [] : [{ path, message: `${show(entry)} is not a file` }]
}
