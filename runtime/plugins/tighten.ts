/** From what an instance used to the least that would have been enough, and how that outlives configs and upgrades. Pure. */
import type { CapabilityRecord } from '@orchestry/sdk'
import type { CapabilityTable } from '../capabilities/capability.ts'
import { agreedOf } from './consent.ts'
import { bindingOf } from './manifest.ts'
import type { InstanceRecord, TightenedBinding } from './plugins.ts'
import type { TracedBinding } from './traces.ts'
import { descriptive, isSameScope, widening } from './widening.ts'

/** What each grant would become. The order is that of the grants. */
export function proposeTighter(
  grants: readonly CapabilityRecord[],
  traced: readonly TracedBinding[],
  capabilities: Pick<CapabilityTable, 'narrow' | 'check'>,
): TightenedBinding[] {
  return grants.map((grant) => {
    const trace = traced.find(({ binding, kind }) => binding === bindingOf(grant) && kind === grant.kind)
    const about = {
      binding: bindingOf(grant),
      before: grant,
      allowed: trace?.allowed ?? 0,
      denied: trace?.denied ?? 0,
      ...(trace === undefined ? {} : { sinceMs: trace.sinceMs }),
    }
    if (isUntraced(grant)) return { ...about, outcome: 'untraced', after: grant }
    // Without it a plugin that does not reckon with that may not even start.
    if (about.allowed === 0)
      return grant.optional === true ? { ...about, outcome: 'dropped' } : { ...about, outcome: 'unused', after: grant }
    const targets = trace?.targets.flatMap(({ target, allowed }) => (allowed > 0 ? [target] : [])) ?? []
    const after = capabilities.narrow(grant, targets)
    const isNarrower = !isSameScope(grant, after) && capabilities.check(after).length === 0
    return isNarrower ? { ...about, outcome: 'narrower', after } : { ...about, outcome: 'kept', after: grant }
  })
}

/** Used without a call to the host, or by another capability in its name. */
function isUntraced(grant: CapabilityRecord): boolean {
  return grant.kind === 'clock' || grant.kind === 'random' || (grant.kind === 'secrets' && grant.mode === 'inject')
}

export const isTighter = (bindings: readonly TightenedBinding[]): boolean =>
  bindings.some(({ outcome }) => outcome === 'narrower' || outcome === 'dropped')

export function tightenedRecord(record: InstanceRecord, bindings: readonly TightenedBinding[]): InstanceRecord {
  const grants = bindings.flatMap(({ after }) => (after === undefined ? [] : [after]))
  return { ...record, grants, agreed: agreedOf(record) }
}

/** Gives back what tightening took away: it was agreed to, and still is. */
export function loosenedRecord({ agreed, ...record }: InstanceRecord): InstanceRecord {
  return agreed === undefined ? record : { ...record, grants: agreed }
}

/**
 * Grants that were tightened stay so while what is asked for is the same or less; `loosened` names the bindings where it is
 * not, which get what was agreed to anew.
 */
export function keepTightened(
  next: InstanceRecord,
  before: InstanceRecord | undefined,
): { readonly record: InstanceRecord; readonly loosened: readonly string[] } {
  if (before?.agreed === undefined) return { record: next, loosened: [] }
  const { agreed, grants } = before
  const loosened: string[] = []
  const named = (list: readonly CapabilityRecord[], { kind }: CapabilityRecord, binding: string) =>
    list.find((one) => one.kind === kind && bindingOf(one) === binding)
  /** Under its name; or, as it needs no new yes, what is asked for no more by the name that it had. */
  const askedBefore = (grant: CapabilityRecord) =>
    named(agreed, grant, bindingOf(grant)) ??
    agreed.find(
      (one) =>
        one.kind === grant.kind &&
        named(next.grants, one, bindingOf(one)) === undefined &&
        widening([one], [grant]).length === 0,
    )
  const kept = next.grants.flatMap((grant) => {
    const asked = askedBefore(grant)
    const tight = asked && named(grants, asked, bindingOf(asked))
    if (asked === undefined) return [grant]
    const isLess = widening([asked], [grant]).length === 0
    if (tight === undefined && isLess) return []
    if (tight !== undefined && (isSameScope(asked, grant) || (isLess && widening([grant], [tight]).length === 0)))
      return [withWords(tight, grant)]
    loosened.push(bindingOf(grant))
    return [grant]
  })
  const isTight = kept.length < next.grants.length || kept.some((grant) => !next.grants.includes(grant))
  return { record: isTight ? { ...next, grants: kept, agreed: next.grants } : next, loosened }
}

/** The reason and the name are those of the newer manifest. */
function withWords(scope: CapabilityRecord, words: CapabilityRecord): CapabilityRecord {
  const pick = (record: CapabilityRecord, isWanted: (field: string) => boolean) =>
    Object.fromEntries(Object.entries(record).filter(([field]) => isWanted(field)))
  const own = pick(scope, (field) => !descriptive.has(field))
  return { ...pick(words, (field) => descriptive.has(field)), ...own } as CapabilityRecord
}
