/** Pure: how far the size may move now, given what it moved within each policy's period. */
import type { ScalingRule } from '../apps/app.ts'
import type { SizeChange } from './state.ts'

/** The largest size that may be reached now; never below the present one, `Infinity` without policies. */
export function growthLimit(rule: ScalingRule, current: number, changes: readonly SizeChange[], now: number): number {
  if (rule.isDisabled) return current
  if (rule.policies.length === 0) return Number.POSITIVE_INFINITY
  const reachable = rule.policies.map(({ type, value, periodSeconds }) => {
    const base = Math.max(0, current - changeWithin(changes, periodSeconds, now))
    const limit = type === 'replicas' ? base + value : Math.ceil((base * (100 + value)) / 100)
    // A percentage of nothing is nothing: from zero at least one replica may always start.
    return Math.max(current, limit, value > 0 && base === 0 ? 1 : 0)
  })
  return rule.select === 'min' ? Math.min(...reachable) : Math.max(...reachable)
}

/** The smallest size that may be reached now; never above the present one, 0 without policies. */
export function shrinkLimit(rule: ScalingRule, current: number, changes: readonly SizeChange[], now: number): number {
  if (rule.isDisabled) return current
  if (rule.policies.length === 0) return 0
  const reachable = rule.policies.map(({ type, value, periodSeconds }) => {
    const base = current - changeWithin(changes, periodSeconds, now)
    const limit = type === 'replicas' ? base - value : Math.trunc((base * (100 - value)) / 100)
    return Math.min(current, Math.max(0, limit))
  })
  // The policy that allows the most change leaves the fewest replicas.
  return rule.select === 'min' ? Math.max(...reachable) : Math.min(...reachable)
}

/** grown − shrunk; a change exactly as old as the period no longer counts. */
function changeWithin(changes: readonly SizeChange[], periodSeconds: number, now: number): number {
  let sum = 0
  for (const { atMs, by } of changes) if (now - atMs < periodSeconds * 1000) sum += by
  return sum
}

/** Adds a change and drops those that no policy looks back to any more. */
export function recordChange(
  changes: readonly SizeChange[],
  change: SizeChange,
  rules: readonly ScalingRule[],
): readonly SizeChange[] {
  const periods = rules.flatMap((rule) => rule.policies.map((policy) => policy.periodSeconds))
  const longestMs = Math.max(0, ...periods) * 1000
  if (longestMs === 0) return []
  return [...changes.filter(({ atMs }) => change.atMs - atMs < longestMs), change]
}
