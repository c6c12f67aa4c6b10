/** So many in a time, refilled evenly, with a burst. Pure: whoever takes says when. */

export interface Pace {
  /** All or none: 0 when so many may be done now, and are counted; else the milliseconds until they may. */
  take(nowMs: number, count?: number): number
}

/** `burst` is what may be saved up; by default what one such time brings. */
export function createPace(
  { most, perMs, burst = most }: { most: number; perMs: number; burst?: number },
  startMs: number,
): Pace {
  let tokens = burst
  let filledMs = startMs
  return {
    take(nowMs, count = 1) {
      tokens = Math.min(burst, tokens + (Math.max(0, nowMs - filledMs) * most) / perMs)
      filledMs = nowMs
      if (tokens < count) return Math.max(1, Math.ceil(((count - tokens) * perMs) / most))
      tokens -= count
      return 0
    },
  }
}
