/**
 * From what a plugin asks for to what it gets. Values may hold `${config.x}`: the resolved value is what is granted, stored
 * and checked.
 */
import { type CapabilityRecord, instanceDir } from '@orchestry/sdk'
import type { CapabilityTable } from '../capabilities/capability.ts'
import type { Problem } from '../errors.ts'
import { shapeProblems } from './manifest.ts'

export interface ResolvedGrants {
  readonly grants: readonly CapabilityRecord[]
  /** Paths point into `/orchestry/capabilities`. */
  readonly problems: readonly Problem[]
}

const placeholder = /\$\{([^}]*)\}/g
const missing = Symbol('missing')

/** Replaces every `${config.x}`; an optional record whose value is not configured is left out. */
export function resolveGrants(
  asked: readonly CapabilityRecord[],
  config: unknown,
  capabilities: Pick<CapabilityTable, 'check' | 'checkTogether' | 'kinds'>,
): ResolvedGrants {
  const grants: CapabilityRecord[] = []
  const problems: Problem[] = []
  for (const [index, record] of asked.entries()) {
    const path = `/orchestry/capabilities/${index}`
    const absent: string[] = []
    const resolved = resolve(record, config, absent) as CapabilityRecord
    if (absent.length > 0) {
      if (record.optional !== true)
        problems.push({ path, message: `needs ${absent.join(', ')}, which the config does not set` })
      continue
    }
    const found = grantProblems(resolved, path, capabilities)
    problems.push(...found)
    if (found.length === 0) grants.push(resolved)
  }
  const together = capabilities.checkTogether(grants)
  return {
    grants,
    problems: [...problems, ...together.map((message) => ({ path: '/orchestry/capabilities', message }))],
  }
}

function grantProblems(grant: CapabilityRecord, path: string, capabilities: Pick<CapabilityTable, 'check' | 'kinds'>) {
  if (!capabilities.kinds.includes(grant.kind))
    return [{ path: `${path}/kind`, message: `this Orchestry does not offer "${grant.kind}"` }]
  // Resolved values must fit the grammar too, and there only the literal ones were seen so far.
  const shape = shapeProblems({ manifest: 1, engine: '*', entry: 'x.js', capabilities: [grant] })
  const own = shape.map((problem) => ({
    ...problem,
    path: problem.path.replace('/orchestry/capabilities/0', path),
  }))
  return own.length > 0 ? own : capabilities.check(grant).map((message) => ({ path, message }))
}

function resolve(value: unknown, config: unknown, absent: string[]): unknown {
  if (typeof value === 'string') return resolveText(value, config, absent)
  if (Array.isArray(value))
    return value.flatMap((item) => {
      const resolved = resolve(item, config, absent)
      // A list in the config becomes several entries: hosts: ["${config.hosts}"].
      return typeof item === 'string' && Array.isArray(resolved) ? resolved : [resolved]
    })
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, part]) => [key, key === 'why' ? part : resolve(part, config, absent)]),
  )
}

function resolveText(text: string, config: unknown, absent: string[]): unknown {
  // Where it is, only the host knows, and only when it is used.
  if (text === instanceDir) return text
  const lookUp = (name: string): unknown => {
    const found = name.startsWith('config.') ? valueAt(config, name.slice('config.'.length)) : missing
    if (found === missing || found === undefined || found === null || found === '') {
      absent.push(`\${${name}}`)
      return ''
    }
    return found
  }
  const whole = /^\$\{([^}]*)\}$/.exec(text)
  if (whole !== null) {
    const found = lookUp(whole[1] ?? '')
    return Array.isArray(found) ? found.map(String) : String(found)
  }
  return text.replace(placeholder, (_match, name: string) => String(lookUp(name)))
}

function valueAt(config: unknown, path: string): unknown {
  let node = config
  for (const key of path.split('.')) {
    if (typeof node !== 'object' || node === null || !Object.hasOwn(node, key)) return missing
    node = (node as Record<string, unknown>)[key]
  }
  return node
}
