/**
 * How much of the host's own time one sandbox process may take: a share of the loop, with a burst. Beyond it nothing is done
 * for it for a while. Of its channel that is reading (the pipe fills up, and the process waits, and no other); of its host
 * calls, beginning. Pure.
 */

export interface TimeBudget {
  /** Told after each piece of work. How long to do nothing; 0 = go on. */
  spend(tookMs: number, nowMs: number): number
}

const share = 0.2
const burstMs = 200
/** What is saved up before it goes on, so that it does not stop again at the next piece. */
const reserveMs = 5
const longestMs = 1_000

export function createTimeBudget(startMs: number): TimeBudget {
  let creditMs = burstMs
  let filledMs = startMs
  return {
    spend(tookMs, nowMs) {
      creditMs = Math.min(burstMs, creditMs + Math.max(0, nowMs - filledMs) * share) - tookMs
      filledMs = nowMs
      if (creditMs >= 0) return 0
      // One long piece is not held against it for ever: silence of ours must not look like its own.
      creditMs = Math.max(creditMs, reserveMs - longestMs * share)
      return Math.ceil((reserveMs - creditMs) / share)
    },
  }
}
