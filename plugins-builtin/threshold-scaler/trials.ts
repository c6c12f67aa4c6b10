/**
 * Growth for a metric that may not answer to it. Memory that a process keeps, or the latency of a slow database, stays high
 * however many replicas there are; whoever grows for it again and again ends at the maximum and never comes back.
 *
 * So such a metric gets one growth as a trial, and another only if the last one helped: the metric fell by at least half of
 * what sharing would bring, or the app does as much more work (requests) as half of the growth. What is remembered for this is
 * one entry an app and metric. It may be lost at any time; then the first trial is allowed only to an app that is no larger
 * than its load needs, and to a larger one only after the metric has risen by 5 %. Losing it therefore never adds up.
 */
interface Trial {
  readonly size: number
  readonly level: number
  readonly work?: number
  /** False for a first look at an app that was found large already: nothing has been tried yet. */
  readonly isTried: boolean
}

export interface Look {
  /** App and metric. */
  readonly key: string
  readonly size: number
  readonly areAllHealthy: boolean
  readonly level: number
  /** Requests per second of the whole app, where known. */
  readonly work?: number
  /** The size that the app's other metrics and its minimum ask for. */
  readonly neededOtherwise: number
}

export interface Trials {
  /** Whether the app may grow because of this metric. Call it only while the metric is above its threshold. */
  mayGrow(look: Look): boolean
  /** The metric is far below: what was learned is out of date. */
  forget(key: string): void
  readonly size: number
}

/** Apps × 2 metrics; the oldest entry makes room. */
const mostEntries = 20_000
const riseForTrial = 1.05

export function createTrials(): Trials {
  const trials = new Map<string, Trial>()

  function keep({ key, size, level, work }: Look, isTried: boolean): boolean {
    trials.delete(key)
    if (trials.size >= mostEntries) for (const oldest of trials.keys()) if (trials.delete(oldest)) break
    trials.set(key, { size, level, isTried, ...(work !== undefined && { work }) })
    return isTried
  }
  return {
    mayGrow(look) {
      // While replicas start, nothing can be seen of what they will change.
      if (!look.areAllHealthy) return false
      const trial = trials.get(look.key)
      if (trial === undefined) return keep(look, look.size <= look.neededOtherwise)
      if (look.size < trial.size) return keep(look, true)
      if (look.size > trial.size) return hasHelped(trial, look) && keep(look, true)
      if (!trial.isTried && look.level < trial.level * riseForTrial) return false
      // The host has not grown yet (a cooldown, a limit): the trial is compared with the worst before it.
      return keep({ ...look, level: Math.max(look.level, trial.level) }, true)
    },
    forget: (key) => void trials.delete(key),
    get size() {
      return trials.size
    },
  }
}

function hasHelped(before: Trial, now: Look): boolean {
  const share = before.size / now.size
  if (now.level <= before.level * ((1 + share) / 2)) return true
  if (before.work === undefined || now.work === undefined) return false
  return now.work > 0 && now.work >= before.work * ((1 + 1 / share) / 2)
}
