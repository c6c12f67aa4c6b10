/** Reads a plugin directory as data: nothing of it runs here. */
import { open, realpath, stat } from 'node:fs/promises'
import { basename, isAbsolute, join } from 'node:path'
import semver from 'semver'
import { OrchestryError, type Problem } from '../errors.ts'
import { limits } from '../limits.ts'
import { parseUntrustedJson } from '../sandbox/json.ts'
import { problemsText, show } from './problems.ts'
import { hashTree, isInside } from './tree.ts'

const packageJsonBytes = 256 * 1024
const namePattern = /^(@[a-z0-9][a-z0-9._-]*\/)?[a-z0-9][a-z0-9._-]*$/

export interface PluginPackage {
  /** Real path of the directory. */
  readonly dir: string
  readonly name: string
  readonly version: string
  /** The key `orchestry`, not checked yet. */
  readonly declared: unknown
  readonly treeHash: string
}

const refuse = (detail: string, problems: readonly Problem[] = []) =>
  new OrchestryError('ORC_PLUGIN_PACKAGE_INVALID', `${detail} Nothing was installed or changed.`, { problems })

/** `@acme/queue-scaler` → `queue-scaler`: how instances are named unless the operator says otherwise. */
export function unscopedName(id: string): string {
  return basename(id)
}

/** @throws ORC_PLUGIN_PACKAGE_INVALID saying what is wrong with the directory or its package.json. */
export async function readPackage(path: string): Promise<PluginPackage> {
  if (!isAbsolute(path)) throw refuse(`${show(path)} is not an absolute path.`)
  const dir = await realpath(path).catch(() => undefined)
  if (dir === undefined) throw refuse(`There is no directory ${path}.`)
  if (!(await stat(dir)).isDirectory())
    throw refuse(`${path} is not a directory; give the folder that holds package.json.`)
  const json = parsePackageJson(await readPackageJson(dir))
  const problems: Problem[] = []
  if (typeof json.name !== 'string' || json.name.length > 128 || !namePattern.test(json.name))
    problems.push({
      path: '/name',
      message: `must be an npm name of lower-case ASCII letters, digits, dots and dashes, and is ${show(json.name)}`,
    })
  if (typeof json.version !== 'string' || semver.valid(json.version) !== json.version)
    problems.push({ path: '/version', message: `must be a version like 1.2.0, and is ${show(json.version)}` })
  if (!Object.hasOwn(json, 'orchestry'))
    problems.push({ path: '/orchestry', message: 'is missing: the manifest of the plugin stands under this key' })
  if (problems.length > 0) throw refuse(`package.json of ${dir}: ${problemsText(problems)}`, problems)
  return {
    dir,
    name: String(json.name),
    version: String(json.version),
    declared: json.orchestry,
    treeHash: await hashTree(dir),
  }
}

async function readPackageJson(dir: string): Promise<string> {
  const path = join(dir, 'package.json')
  const real = await realpath(path).catch(() => undefined)
  if (real === undefined) throw refuse(`${dir} has no package.json.`)
  if (!isInside(dir, real)) throw refuse(`package.json is a link that leaves ${dir}.`)
  // A pipe would never answer: look before opening.
  if (!(await stat(real)).isFile()) throw refuse(`${path} is not a file.`)
  const file = await open(real)
  try {
    const buffer = Buffer.alloc(packageJsonBytes + 1)
    let length = 0
    while (length < buffer.length) {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length, null)
      if (bytesRead === 0) break
      length += bytesRead
    }
    if (length > packageJsonBytes) throw refuse(`package.json is larger than ${packageJsonBytes / 1024} KB.`)
    return buffer.toString('utf8', 0, length)
  } finally {
    await file.close()
  }
}

function parsePackageJson(text: string): Record<string, unknown> {
  let json: unknown
  try {
    json = parseUntrustedJson(text, limits.jsonDepth)
  } catch (thrown) {
    throw refuse(`package.json cannot be read: ${jsonFault(text) ?? (thrown as Error).message}.`)
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw refuse(`package.json must hold an object, and holds ${show(json)}.`)
  return json as Record<string, unknown>
}

/** The parser's own words, which name line and column; undefined when the syntax is not what was refused. */
function jsonFault(text: string): string | undefined {
  if (text.startsWith('\ufeff')) return 'it begins with a byte order mark; save it as plain UTF-8'
  try {
    JSON.parse(text)
    return undefined
  } catch (thrown) {
    return (thrown as Error).message
  }
}
