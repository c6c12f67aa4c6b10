/** How fast one plugin process may use the host: so many a second, with a burst. Pure: whoever takes says when. */

export interface Pace {
  /** 0 when one may be done now, and is counted; else the milliseconds until the next one may. */
  take(nowMs: number): number
}

export function createPace(options: { perSecond: number; burst: number }, startMs: number): Pace {
  const { perSecond, burst } = options
  let tokens = burst
  let filledMs = startMs
  return {
    take(nowMs) {
      tokens = Math.min(burst, tokens + (Math.max(0, nowMs - filledMs) * perSecond) / 1_000)
      filledMs = nowMs
      if (tokens < 1) return Math.max(1, Math.ceil(((1 - tokens) * 1_000) / perSecond))
      tokens -= 1
      return 0
    },
  }
}
