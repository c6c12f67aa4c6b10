/** What some grants allow that others did not, in words: this is what an operator is asked to agree to. Pure. */
import type { CapabilityRecord } from '@orchestry/sdk'
import { bindingOf } from './manifest.ts'
import { show } from './problems.ts'

/** What the new grants allow that the old ones did not; empty when nothing was added. Where it cannot be told, it is wider. */
export function widening(before: readonly CapabilityRecord[], after: readonly CapabilityRecord[]): string[] {
  const countOf = (grants: readonly CapabilityRecord[], kind: string) =>
    new Set(grants.flatMap((grant) => (grant.kind === kind ? [bindingOf(grant)] : []))).size
  return after.flatMap((grant) => {
    const rivals = before.filter((old) => old.kind === grant.kind)
    if (rivals.length === 0) return [`a new capability "${grant.kind}"${scopeText(grant)}`]
    // It is no wider when one old grant covers it whole; otherwise the nearest one shows what was added.
    const [nearest = []] = rivals.map((old) => widerFields(old, grant)).sort((a, b) => a.length - b.length)
    if (nearest.length > 0) return nearest
    // Twice the same limits are twice as much.
    const isOneMore =
      countOf(after, grant.kind) > countOf(before, grant.kind) &&
      !rivals.some((old) => bindingOf(old) === bindingOf(grant))
    return isOneMore ? [`another capability "${grant.kind}", as ${bindingOf(grant)}`] : []
  })
}

/** Whole: what is cut off here is agreed to without having been seen. */
function scopeText(grant: CapabilityRecord): string {
  const scope = Object.entries(grant).filter(([field]) => !descriptive.has(field))
  return scope.map(([field, value]) => ` ${field} ${JSON.stringify(value)}`).join('')
}

/** Whether both allow the same, whatever their names and reasons are. */
export const isSameScope = (a: CapabilityRecord, b: CapabilityRecord): boolean =>
  widerFields(a, b).length === 0 && widerFields(b, a).length === 0

/** Fields that say nothing of what is allowed. */
export const descriptive: ReadonlySet<string> = new Set(['kind', 'as', 'why', 'optional'])
/** Without one of these nothing of the sort is allowed; without any other field, what the kind gives by default. */
const nothingWhenAbsent = new Set([
  'emit',
  'subscribe',
  'read',
  'write',
  'scale',
  'keys',
  'auth',
  'metadata',
  'redirects',
])
/** Numbers that allow more when they are smaller. */
const atLeast = new Set(['minMs'])
/** Lists whose order has a meaning. */
const ordered = new Set(['args'])

function widerFields(before: CapabilityRecord, after: CapabilityRecord): string[] {
  return differences(after.kind, before, after, descriptive)
}

function differences(path: string, before: object, after: object, ignored: ReadonlySet<string> = new Set()): string[] {
  const old = new Map<string, unknown>(Object.entries(before))
  const now = new Map<string, unknown>(Object.entries(after))
  return [...new Set([...old.keys(), ...now.keys()])].flatMap((field) =>
    ignored.has(field) ? [] : wider(`${path}.${field}`, field, old.get(field), now.get(field)),
  )
}

function wider(path: string, field: string, from: unknown, to: unknown): string[] {
  if (JSON.stringify(from) === JSON.stringify(to)) return []
  const changed = [`${path}: ${show(to)} instead of ${show(from)}`]
  if (nothingWhenAbsent.has(field) && (to === undefined || to === false)) return []
  // The guest no longer sees what the host goes on to send for it.
  if (field === 'mode') return to === 'inject' ? [] : changed
  if (field === 'selector') return fewerLabels(from, to) ? changed : []
  if (typeof from === 'number' && typeof to === 'number')
    return (atLeast.has(field) ? to < from : to > from) ? changed : []
  if (Array.isArray(from) && Array.isArray(to) && !ordered.has(field)) return added(path, from, to)
  if (isObject(from) && isObject(to)) return differences(path, from, to)
  return changed
}

/** What stands in the new list and is covered by nothing in the old one. Items that have names are compared by name. */
function added(path: string, from: readonly unknown[], to: readonly unknown[]): string[] {
  const plain: unknown[] = []
  const named = to.flatMap((item) => {
    const old =
      isObject(item) && 'name' in item ? from.find((one) => isObject(one) && one.name === item.name) : undefined
    if (isObject(item) && isObject(old)) return differences(`${path}.${String(item.name)}`, old, item)
    if (!from.some((one) => covers(path, one, item))) plain.push(item)
    return []
  })
  return [...(plain.length === 0 ? [] : [`${path}: ${plain.map(show).join(', ')}`]), ...named]
}

const namePatterns = /^(events|metrics)\./

/** The patterns that have one meaning everywhere; of any other, only the same text is sure to be covered. */
function covers(path: string, old: unknown, item: unknown): boolean {
  if (JSON.stringify(old) === JSON.stringify(item)) return true
  if (typeof old !== 'string' || typeof item !== 'string') return false
  if (namePatterns.test(path)) return old.endsWith('*') && item.startsWith(old.slice(0, -1))
  return path === 'net.hosts' && old.startsWith('*.') && bareHost.test(item) && item.endsWith(old.slice(1))
}
/** An origin may go on behind its host, with whatever the ending is that was granted; its scheme says more besides. */
const bareHost = /^(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/i

/** Apps are chosen by labels: with one label less there are more of them. */
function fewerLabels(from: unknown, to: unknown): boolean {
  const [old, now] = [isObject(from) ? from : {}, isObject(to) ? to : {}]
  return Object.entries(old).some(([label, value]) => now[label] !== value)
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
