/** Least connections: the endpoint with the fewest requests in flight, ties taken in turn. Pure. */

export interface Candidate {
  readonly active: number
  /** Until then (monotonic) it is only taken when nothing else is left, because it refused a connection. */
  readonly skipUntilMs: number
}

/**
 * `turn` is any number that grows with every choice: ties go round from there, so that idle endpoints share evenly.
 * When every candidate is skipped the least loaded is tried anyway: a refused connection costs little, an answer may come.
 */
export function choose<T extends Candidate>(candidates: readonly T[], turn: number, nowMs: number): T | undefined {
  let best: T | undefined
  let isBestSkipped = true
  for (let step = 0; step < candidates.length; step += 1) {
    const candidate = candidates[(turn + step) % candidates.length]
    if (candidate === undefined) continue
    const isSkipped = candidate.skipUntilMs > nowMs
    const isBetter = isSkipped === isBestSkipped ? best === undefined || candidate.active < best.active : !isSkipped
    if (!isBetter) continue
    best = candidate
    isBestSkipped = isSkipped
  }
  return best
}
