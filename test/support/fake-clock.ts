/** A clock that moves only when a test says so. Timers fire in order of time; between two of them, promises settle. */
import type { Clock } from '../../runtime/clock.ts'

export interface FakeClock extends Clock {
  /** Moves time by `ms`, firing what falls due on the way. */
  advance(ms: number): Promise<void>
  /** Moves time on until the condition holds; false when it did not within `ms`. */
  advanceUntil(condition: () => boolean, ms: number, stepMs?: number): Promise<boolean>
  /** Timers that wait: for tests that nothing is left behind, or that nothing wakes up for nothing. */
  timers(): number
}

interface Timer {
  readonly atMs: number
  readonly order: number
  readonly run: () => void
}

export function createFakeClock(startMs = 1_700_000_000_000): FakeClock {
  const timers = new Set<Timer>()
  let elapsedMs = 0
  let order = 0

  const after = (ms: number, run: () => void) => {
    order += 1
    const timer: Timer = { atMs: elapsedMs + Math.max(0, ms), order, run }
    timers.add(timer)
    return () => {
      timers.delete(timer)
    }
  }
  const next = (untilMs: number): Timer | undefined => {
    let first: Timer | undefined
    for (const timer of timers) {
      if (timer.atMs > untilMs) continue
      if (!first || timer.atMs < first.atMs || (timer.atMs === first.atMs && timer.order < first.order)) first = timer
    }
    return first
  }
  const advance = async (ms: number) => {
    const untilMs = elapsedMs + ms
    await settle()
    for (let timer = next(untilMs); timer; timer = next(untilMs)) {
      timers.delete(timer)
      elapsedMs = Math.max(elapsedMs, timer.atMs)
      timer.run()
      await settle()
    }
    elapsedMs = untilMs
  }
  return {
    now: () => startMs + elapsedMs,
    monotonic: () => elapsedMs,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted) return resolve()
        const cancel = after(ms, () => {
          signal?.removeEventListener('abort', stop)
          resolve()
        })
        const stop = () => {
          cancel()
          resolve()
        }
        signal?.addEventListener('abort', stop, { once: true })
      }),
    after,
    every: (ms, run) => {
      let cancel = after(ms, function again() {
        cancel = after(ms, again)
        run()
      })
      return () => cancel()
    },
    advance,
    async advanceUntil(condition, ms, stepMs = 25) {
      await settle()
      for (let passedMs = 0; passedMs <= ms; passedMs += stepMs) {
        if (condition()) return true
        await advance(stepMs)
      }
      return condition()
    },
    timers: () => timers.size,
  }
}

/** A macrotask comes after every promise that can settle without time passing. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
