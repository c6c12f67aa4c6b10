/** Time that moves only when a test says so. */
import { coded } from './testing-coded.ts'
import type { TestClock } from './testing-context.ts'

export interface SteppedClock extends TestClock {
  /** Moves time on, running the timers that fall due, one after the other and each to its end. */
  advance(ms: number): Promise<void>
}

/** A timer that would run more often than this in one `advance` is a mistake of the test. */
const mostRuns = 100_000

export function createSteppedClock(startMs: number): SteppedClock {
  const timers = new Map<string, { dueMs: number; everyMs?: number; run: () => unknown }>()
  let nowMs = startMs
  let made = 0
  const add = (ms: number, run: () => unknown, everyMs?: number): string => {
    if (typeof run !== 'function') throw new Error('ctx.timers: run must be a function')
    if (!(ms >= 100)) throw coded('ORC_CAPABILITY_LIMIT', `ctx.timers: ${ms} ms is shorter than the granted 100 ms`)
    made += 1
    timers.set(`t${made}`, { dueMs: nowMs + ms, run, ...(everyMs !== undefined && { everyMs }) })
    return `t${made}`
  }
  return {
    now: () => nowMs,
    every: (everyMs, run) => add(everyMs, run, everyMs),
    after: (delayMs, run) => add(delayMs, run),
    cancel: (id) => void timers.delete(id),
    sleep: (ms) => {
      nowMs += ms
    },
    async advance(ms) {
      const untilMs = nowMs + ms
      for (let runs = 0; runs < mostRuns; runs += 1) {
        const [next] = [...timers].filter(([, { dueMs }]) => dueMs <= untilMs).sort(([, a], [, b]) => a.dueMs - b.dueMs)
        if (next === undefined) break
        const [id, timer] = next
        nowMs = Math.max(nowMs, timer.dueMs)
        if (timer.everyMs === undefined) timers.delete(id)
        else timer.dueMs = nowMs + timer.everyMs
        await timer.run()
      }
      nowMs = untilMs
    },
  }
}
