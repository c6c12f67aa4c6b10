/** What is said of many samples. Pure. */

/** The smallest sample that at least that share of all samples does not exceed (nearest rank). `share` in (0, 1]. */
export function quantile(samples: readonly number[], share: number): number {
  if (samples.length === 0) throw new RangeError('there is no quantile of no samples')
  const sorted = [...samples].sort((a, b) => a - b)
  const rank = Math.min(sorted.length, Math.max(1, Math.ceil(sorted.length * share)))
  return sorted[rank - 1] as number
}

export const median = (samples: readonly number[]): number => quantile(samples, 0.5)
