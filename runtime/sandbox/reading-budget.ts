/**
 * How much of the host's own time one sandbox process may take by what it says: a share of the loop, with a burst. Beyond it
 * nobody reads its channel for a while, so that the pipe fills up and the process waits, and no other. Pure.
 */

export interface ReadingBudget {
  /** Told after each handling. How long to read nothing; 0 = go on. */
  spend(tookMs: number, nowMs: number): number
}

const share = 0.2
const burstMs = 200
/** What is saved up before reading goes on, so that it does not stop again at the next frame. */
const reserveMs = 5
const longestMs = 1_000

export function createReadingBudget(startMs: number): ReadingBudget {
  let creditMs = burstMs
  let filledMs = startMs
  return {
    spend(tookMs, nowMs) {
      creditMs = Math.min(burstMs, creditMs + Math.max(0, nowMs - filledMs) * share) - tookMs
      filledMs = nowMs
      if (creditMs >= 0) return 0
      // One long handling is not held against it for ever: silence of ours must not look like its own.
      creditMs = Math.max(creditMs, reserveMs - longestMs * share)
      return Math.ceil((reserveMs - creditMs) / share)
    },
  }
}
