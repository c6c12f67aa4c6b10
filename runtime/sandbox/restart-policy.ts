/** When a sandbox that died may start again. Pure: the deaths so far, oldest first, and now. */

const quarantineWindowMs = 10 * 60_000
const quarantineDeaths = 5
const backoffWindowMs = 60_000
const firstBackoffMs = 250
const maxBackoffMs = 30_000

export type RestartVerdict = { restartAfterMs: number } | { quarantine: string }

/** The first restart is immediate; each further death within a minute doubles the wait; five in ten minutes end it. */
export function judgeRestart(deathsMs: readonly number[], nowMs: number): RestartVerdict {
  const recent = deathsMs.filter((at) => nowMs - at < quarantineWindowMs).length
  if (recent >= quarantineDeaths) return { quarantine: `it died ${recent} times within ten minutes` }
  const close = deathsMs.filter((at) => nowMs - at < backoffWindowMs).length
  if (close <= 1) return { restartAfterMs: 0 }
  return { restartAfterMs: Math.min(maxBackoffMs, firstBackoffMs * 2 ** (close - 2)) }
}
