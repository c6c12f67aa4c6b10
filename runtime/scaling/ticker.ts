/** When to decide: for every app each `tickMs`, for a marked one soon. Never twice at once, and never inside a callback. */
import type { Clock } from '../clock.ts'
import { messageOf } from '../errors.ts'
import type { Log } from '../log.ts'

/** Marks that come within this time share one run. */
const soonMs = 20

export interface TickCounts {
  /** Ticks that were run, and those that came due while the one before was still under way: they became one. */
  readonly run: number
  readonly missed: number
}

export interface Ticker {
  readonly counts: TickCounts
  markDirty(app: string): void
  start(): void
  /** Resolves when no run is under way; safe before `start` and twice. */
  stop(): Promise<void>
}

export function createTicker(deps: {
  readonly clock: Pick<Clock, 'after' | 'every'>
  readonly log: Pick<Log, 'error'>
  readonly tickMs: number
  readonly run: (apps: 'all' | ReadonlySet<string>) => Promise<void>
}): Ticker {
  const { clock, log, tickMs, run } = deps
  let dirty = new Set<string>()
  let isAllDue = false
  let running: Promise<void> | undefined
  let stopTicks: (() => void) | undefined
  let cancelSoon: (() => void) | undefined
  const counts = { run: 0, missed: 0 }

  async function runDue(): Promise<void> {
    while (stopTicks !== undefined && (isAllDue || dirty.size > 0)) {
      const due = isAllDue ? 'all' : dirty
      if (isAllDue) counts.run += 1
      isAllDue = false
      dirty = new Set()
      // What goes wrong in one run must not end the clock: the next one starts from what is then true.
      await run(due).catch((error: unknown) => log.error({ error: messageOf(error) }, 'a scaling tick failed'))
    }
  }
  function wake(): void {
    cancelSoon?.()
    cancelSoon = undefined
    running ??= runDue().finally(() => {
      running = undefined
      if (dirty.size > 0) wakeSoon()
    })
  }
  function wakeSoon(): void {
    if (stopTicks === undefined || running !== undefined) return
    cancelSoon ??= clock.after(soonMs, wake)
  }
  return {
    counts,
    markDirty(app) {
      dirty.add(app)
      wakeSoon()
    },
    start() {
      if (stopTicks !== undefined) return
      stopTicks = clock.every(tickMs, () => {
        if (isAllDue) counts.missed += 1
        isAllDue = true
        wake()
      })
      isAllDue = true
      wakeSoon()
    },
    async stop() {
      stopTicks?.()
      stopTicks = undefined
      cancelSoon?.()
      cancelSoon = undefined
      await running
    },
  }
}
