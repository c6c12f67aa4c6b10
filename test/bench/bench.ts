/** What a benchmark is: it sets itself up, measures, and says plainly what came out or why nothing did. */

/** One measured number, with what it should be. */
export interface Figure {
  /** Such as `p50`; where a row has one figure only, it may be left out. */
  readonly name?: string
  readonly value: number
  /** As it stands behind the number: `ms`, `/s`, `µs an app`. */
  readonly unit: string
  readonly atMost?: number
  readonly atLeast?: number
}

export interface Measured {
  readonly what: string
  readonly figures: readonly Figure[]
  /** How many samples the figures are made of. */
  readonly runs: number
  /** What somebody who compares the figures must know. */
  readonly note?: string
}

/** A row without figures, and why. `isFault`: it should have been measured, and could not be. */
export interface Missing {
  readonly what: string
  readonly missing: string
  readonly isFault?: boolean
}

export type Row = Measured | Missing

/** As a test context, so that what serves tests serves benchmarks too. */
export interface BenchContext {
  readonly isQuick: boolean
  /** An empty folder, removed by whoever started the benchmark, also when this process is killed. */
  readonly dir: string
  /** Called when the benchmark is over or interrupted, the newest first. */
  after(undo: () => unknown): void
}

export interface Bench {
  /** Resolves with rows of the table; throws when it could not run at all. */
  run(context: BenchContext): Promise<Row[]>
}
