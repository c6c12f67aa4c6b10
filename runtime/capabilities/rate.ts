/** So many in a time: refills evenly, and holds what one such time brings. */
import type { Clock } from '../clock.ts'

export interface Bucket {
  /** Whether one more, or so many more, are allowed now; all or none. */
  take(count?: number): boolean
}

export function createBucket(most: number, perMs: number, clock: Pick<Clock, 'monotonic'>): Bucket {
  let tokens = most
  let filledMs = clock.monotonic()
  return {
    take(count = 1) {
      const nowMs = clock.monotonic()
      tokens = Math.min(most, tokens + ((nowMs - filledMs) / perMs) * most)
      filledMs = nowMs
      if (tokens < count) return false
      tokens -= count
      return true
    },
  }
}
