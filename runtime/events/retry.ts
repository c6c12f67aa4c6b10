/** Rules of delivery, without any doing: what a handler hears, what counts as its failure, how long to wait. Pure. */
import type { ErrorCode } from '../errors.ts'

export const maxAttempts = 8
const firstRestMs = 500
export const longestRestMs = 60_000

/** `declared` is the provider's `events`: exact types or `noun.*`; absent = every event. */
export function wants(declared: unknown, type: string): boolean {
  if (!Array.isArray(declared)) return true
  return declared.some((pattern: unknown) => {
    if (typeof pattern !== 'string') return false
    if (pattern === '*') return true
    return pattern.endsWith('.*') ? type.startsWith(pattern.slice(0, -1)) : type === pattern
  })
}

const notServing: readonly ErrorCode[] = [
  'ORC_HOOK_BREAKER_OPEN',
  'ORC_HOOK_NOT_SERVING',
  'ORC_HOOK_OVERLOADED',
  'ORC_PLUGIN_QUARANTINED',
  'ORC_SANDBOX_UNAVAILABLE',
]

/** A handler that never saw the event did not fail on it: the event waits until it serves again. */
export function countsAgainstEvent(code: ErrorCode): boolean {
  return !notServing.includes(code)
}

/** Doubles from half a second to a minute; `random` in [0, 1) takes away up to half, so that not all come back at once. */
export function backoffMs(failures: number, random: number): number {
  const full = Math.min(longestRestMs, firstRestMs * 2 ** Math.min(failures - 1, 20))
  return full * (1 - random / 2)
}
