/**
 * Pure: pauses after acting. Scale-out waits `out` seconds after the last scale-out. Scale-in waits `in` seconds after the
 * last change of either direction, because what was just added has had no time to show. A scale-in never delays a scale-out.
 * By-hand changes start both; a size outside its bounds waits for neither.
 */
import type { ScalingState } from './state.ts'

/** How long a change in this direction still has to wait; 0 when it need not. */
export function coolingMs(
  direction: 'out' | 'in',
  cooldownSeconds: { readonly out: number; readonly in: number },
  state: Pick<ScalingState, 'lastOutMs' | 'lastInMs'>,
  now: number,
): number {
  const { lastOutMs = Number.NEGATIVE_INFINITY, lastInMs = Number.NEGATIVE_INFINITY } = state
  const sinceMs = direction === 'out' ? lastOutMs : Math.max(lastOutMs, lastInMs)
  return Math.max(0, cooldownSeconds[direction] * 1000 - (now - sinceMs))
}
