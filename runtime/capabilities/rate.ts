/** So many in a time: refills evenly, and holds what one such time brings. */
import type { Clock } from '../clock.ts'

export interface Bucket {
  /** Whether one more is allowed now. */
  take(): boolean
}

export function createBucket(count: number, perMs: number, clock: Pick<Clock, 'monotonic'>): Bucket {
  let tokens = count
  let filledMs = clock.monotonic()
  return {
    take() {
      const nowMs = clock.monotonic()
      tokens = Math.min(count, tokens + ((nowMs - filledMs) / perMs) * count)
      filledMs = nowMs
      if (tokens < 1) return false
      tokens -= 1
      return true
    },
  }
}
