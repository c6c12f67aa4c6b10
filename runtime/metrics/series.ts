/** The samples of one metric of one app: a ring that grows with what it holds, up to a bound. */
import { firstAfter, type Run } from './window.ts'

const firstPoints = 16

export interface Series {
  /** False for what is older than the newest sample: times in the ring never fall. */
  add(atMs: number, value: number): boolean
  readonly run: Run
  since(sinceMs: number): { atMs: number; value: number }[]
  /** Room for so many points is taken. */
  readonly points: number
}

/** `mayGrow` answers whether so many points more are within the budget of all series. */
export function createSeries(maxPoints: number, mayGrow: (points: number) => boolean): Series {
  let run = emptyRun(Math.min(firstPoints, maxPoints))

  function grow(): void {
    const points = Math.min(maxPoints, run.values.length * 2)
    if (points === run.values.length || !mayGrow(points - run.values.length)) return
    const larger = emptyRun(points)
    for (const field of ['atMs', 'values'] as const) {
      larger[field].set(run[field].subarray(run.start))
      larger[field].set(run[field].subarray(0, run.start), run.values.length - run.start)
    }
    larger.count = run.count
    run = larger
  }

  return {
    add(atMs, value) {
      const newest = run.count === 0 ? undefined : run.atMs[(run.start + run.count - 1) % run.values.length]
      if (newest !== undefined && atMs < newest) return false
      if (run.count === run.values.length) grow()
      const capacity = run.values.length
      const place = (run.start + run.count) % capacity
      run.atMs[place] = atMs
      run.values[place] = value
      if (run.count === capacity) run.start = (run.start + 1) % capacity
      else run.count += 1
      return true
    },
    get run() {
      return run
    },
    since(sinceMs) {
      const points: { atMs: number; value: number }[] = []
      for (let index = firstAfter(run, sinceMs); index < run.count; index += 1) {
        const place = (run.start + index) % run.values.length
        points.push({ atMs: run.atMs[place] ?? 0, value: run.values[place] ?? 0 })
      }
      return points
    },
    get points() {
      return run.values.length
    },
  }
}

function emptyRun(points: number): { -readonly [field in keyof Run]: Run[field] } {
  return { atMs: new Float64Array(points), values: new Float64Array(points), start: 0, count: 0 }
}
