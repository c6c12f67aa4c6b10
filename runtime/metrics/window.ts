/** A bounded run of samples summed up. Pure. */
import type { MetricWindow } from '@orchestry/sdk'

/** Samples in a ring, oldest first from `start`; times never fall. */
export interface Run {
  readonly atMs: Float64Array
  readonly values: Float64Array
  readonly start: number
  readonly count: number
}

/** The window of all samples after `sinceMs` and up to `nowMs`; undefined when there is none. */
export function windowOf(run: Run, sinceMs: number, nowMs: number): MetricWindow | undefined {
  const first = firstAfter(run, sinceMs)
  const samples = firstAfter(run, nowMs) - first
  if (samples <= 0) return undefined
  const { values } = run
  const capacity = values.length
  const rank = samples - Math.ceil(0.95 * samples) + 1
  if (rank > largest.length) largest = new Float64Array(rank * 2)
  largest.fill(Number.NEGATIVE_INFINITY, 0, rank)
  let min = Number.POSITIVE_INFINITY
  let sum = 0
  let place = (run.start + first) % capacity
  for (let left = samples; left > 0; left -= 1) {
    const value = at(values, place)
    if (value < min) min = value
    if (value > at(largest, rank - 1)) insert(value, rank)
    sum += value
    if (++place === capacity) place = 0
  }
  const newest = (place === 0 ? capacity : place) - 1
  const max = at(largest, 0)
  return {
    last: at(values, newest),
    mean: meanOf(sum, samples, min, max),
    min,
    max,
    p95: at(largest, rank - 1),
    samples,
    ageSeconds: Math.max(0, nowMs - at(run.atMs, newest)) / 1000,
  }
}

/** Neither rounding nor a sum beyond all numbers may carry the mean out of its own samples. */
function meanOf(sum: number, samples: number, min: number, max: number): number {
  const mean = Number.isFinite(sum) ? sum / samples : min / 2 + max / 2
  return Math.min(max, Math.max(min, mean))
}

/**
 * The largest samples so far, in falling order. The 95th percentile by nearest rank is the last of them: always one of the
 * samples. Sorting whole windows instead would cost a tick more than everything else in it.
 */
let largest = new Float64Array(64)

function insert(value: number, rank: number): void {
  let place = rank - 1
  while (place > 0 && at(largest, place - 1) < value) {
    largest[place] = at(largest, place - 1)
    place -= 1
  }
  largest[place] = value
}

/** Index, from `start`, of the first sample later than `atMs`. */
export function firstAfter({ atMs: times, start, count }: Run, atMs: number): number {
  // Most often the question is where now is: after everything.
  if (count > 0 && at(times, (start + count - 1) % times.length) <= atMs) return count
  let low = 0
  let high = count
  while (low < high) {
    const middle = (low + high) >>> 1
    if (at(times, (start + middle) % times.length) <= atMs) low = middle + 1
    else high = middle
  }
  return low
}

/** Every index here is within its array; the type cannot know. */
function at(array: Float64Array, index: number): number {
  return array[index] as number
}
