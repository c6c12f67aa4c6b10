/** What a binding was used for: every distinct target with how often it was allowed and denied. Bounded in rows and in text. */
import { escapeControls } from '../log.ts'
import type { TargetUsage } from './capability.ts'

/** Distinct operations and targets of one binding; what comes later is summed in one row. */
const mostRows = 500
const targetLength = 200
/** The target of the row that sums what found no row of its own. */
const moreTargets = '(more)'
/** What stands where a secret was. */
const hidden = '***'

export interface Trace {
  record(operation: string, target: string, isAllowed: boolean, nowMs: number): void
  /** How often this operation has told a target itself. */
  told(operation: string): number
  rows(): TargetUsage[]
  /** Of all rows together. */
  counts(): { readonly allowed: number; readonly denied: number }
}

/** Goes on from earlier rows. */
export function createTrace(earlier: readonly TargetUsage[] = []): Trace {
  const rows = new Map<string, { -readonly [K in keyof TargetUsage]: TargetUsage[K] }>()
  const tellings = new Map<string, number>()
  let allowed = 0
  let denied = 0

  function rowOf(operation: string, target: string) {
    const key = keyOf(operation, target)
    const known = rows.get(key)
    if (known !== undefined) return known
    if (rows.size >= mostRows && target !== moreTargets) return rowOf('', moreTargets)
    const row = { operation, target, allowed: 0, denied: 0, lastAtMs: 0 }
    rows.set(key, row)
    return row
  }

  for (const row of earlier.slice(0, mostRows + 1)) {
    rows.set(keyOf(row.operation, row.target), { ...row })
    allowed += row.allowed
    denied += row.denied
  }

  return {
    record(operation, target, isAllowed, nowMs) {
      tellings.set(operation, (tellings.get(operation) ?? 0) + 1)
      const row = rowOf(operation, shownTarget(target))
      row.lastAtMs = nowMs
      if (isAllowed) {
        row.allowed += 1
        allowed += 1
      } else {
        row.denied += 1
        denied += 1
      }
    },
    told: (operation) => tellings.get(operation) ?? 0,
    rows: () => [...rows.values()].map((row) => ({ ...row })),
    counts: () => ({ allowed, denied }),
  }
}

const keyOf = (operation: string, target: string) => JSON.stringify([operation, target])

/** Cut before it is escaped: the work is bounded too. */
function shownTarget(target: string): string {
  const text = escapeControls(target.slice(0, targetLength + 1))
  return text.length > targetLength ? `${text.slice(0, targetLength - 1)}…` : text
}

/** Whether the row stands for more than one target, or for one that is not known whole. */
export const isInexact = (target: string): boolean =>
  target === moreTargets || target.includes(hidden) || (target.length === targetLength && target.endsWith('…'))
