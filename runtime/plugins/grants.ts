/**
 * From what a plugin asks for to what it gets. Values may hold `${config.x}`: the resolved value is what is granted, stored
 * and checked. Who installs from the command line agrees by doing so; a later approve step goes between `widening` and use.
 */
import type { CapabilityRecord } from '@orchestry/sdk'
import type { CapabilityTable } from '../capabilities/capability.ts'
import type { Problem } from '../errors.ts'
import { shapeProblems } from './manifest.ts'
import { show } from './problems.ts'

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
  capabilities: Pick<CapabilityTable, 'check' | 'kinds'>,
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
  return { grants, problems }
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

/** What the new grants allow that the old ones did not, in words; empty when nothing was added. */
export function widening(before: readonly CapabilityRecord[], after: readonly CapabilityRecord[]): string[] {
  return after.flatMap((grant) => {
    const rivals = before.filter((old) => old.kind === grant.kind)
    if (rivals.length === 0) return [`a new capability "${grant.kind}"`]
    // It is no wider when one old grant covers it whole; otherwise the nearest one shows what was added.
    const differences = rivals.map((old) => widerFields(old, grant)).sort((a, b) => a.length - b.length)
    return differences[0] ?? []
  })
}

const descriptive = new Set(['kind', 'as', 'why', 'optional'])

function widerFields(before: CapabilityRecord, after: CapabilityRecord): string[] {
  const old = new Map<string, unknown>(Object.entries(before))
  const now = new Map<string, unknown>(Object.entries(after))
  return [...new Set([...old.keys(), ...now.keys()])].flatMap((field) => {
    if (descriptive.has(field)) return []
    const [from, to] = [old.get(field), now.get(field)]
    if (Array.isArray(from) && Array.isArray(to)) {
      const added = to.filter((item) => !from.includes(item))
      return added.length === 0 ? [] : [`${after.kind}.${field}: ${added.map(show).join(', ')}`]
    }
    if (typeof from === 'number' && typeof to === 'number') {
      return to > from ? [`${after.kind}.${field}: ${to} instead of ${from}`] : []
    }
    // Also a limit that fell away: without the field, everything the kind allows by default is granted.
    return JSON.stringify(from) === JSON.stringify(to)
      ? []
      : [`${after.kind}.${field}: ${show(to)} instead of ${show(from)}`]
  })
}
