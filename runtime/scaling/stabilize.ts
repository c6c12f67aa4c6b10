/** Pure: looks back over what was recommended, so that one quiet moment takes nothing away (and one loud one adds nothing). */
import type { Recommendation } from './state.ts'

/**
 * Adds a recommendation to a run from which only the extreme of a window is ever asked: whatever a newer one outdoes is
 * dropped, so a steady app keeps one entry however long its window is. Entries as old as the window leave.
 */
export function remember(
  run: readonly Recommendation[],
  added: Recommendation,
  extreme: 'highest' | 'lowest',
  windowMs: number,
): readonly Recommendation[] {
  const outdoes = (old: Recommendation) =>
    extreme === 'highest' ? added.replicas >= old.replicas : added.replicas <= old.replicas
  const kept: Recommendation[] = []
  for (const old of run) {
    if (added.atMs - old.atMs >= windowMs || old.atMs > added.atMs) continue
    if (outdoes(old)) break
    kept.push(old)
  }
  kept.push(added)
  return kept
}

/**
 * The Kubernetes rule: the present size, moved no further than into [least of the scale-out window, greatest of the scale-in
 * window]. Both runs hold what is wanted now as their newest entry, and nothing older than their windows.
 */
export function stabilize(current: number, lows: readonly Recommendation[], highs: readonly Recommendation[]): number {
  let least = Number.POSITIVE_INFINITY
  let greatest = Number.NEGATIVE_INFINITY
  for (const { replicas } of lows) if (replicas < least) least = replicas
  for (const { replicas } of highs) if (replicas > greatest) greatest = replicas
  return Math.min(Math.max(current, least), greatest)
}
