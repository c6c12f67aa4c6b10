/** Time of a simulation: it moves only when told to, and the time of day may jump. Built for thousands of runs a minute. */
import type { Clock } from '../../runtime/clock.ts'

export interface SimulationClock extends Clock {
  /** Moves time by `ms`, firing what falls due on the way; between two timers all promises settle. */
  advance(ms: number): Promise<void>
  /** Sets the time of day; durations do not notice. */
  jump(ms: number): void
  timers(): number
}

interface Timer {
  readonly atMs: number
  readonly order: number
  run: (() => void) | undefined
}

const isBefore = (a: Timer, b: Timer) => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)

export function createSimulationClock(startMs = 1_700_000_000_000): SimulationClock {
  const heap: Timer[] = []
  let elapsedMs = 0
  let jumpedMs = 0
  let order = 0
  let live = 0

  const at = (index: number) => heap[index] as Timer
  const push = (timer: Timer) => {
    let index = heap.push(timer) - 1
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (isBefore(at(parent), timer)) break
      heap[index] = at(parent)
      index = parent
    }
    heap[index] = timer
  }
  const pop = () => {
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    let index = 0
    for (;;) {
      let child = 2 * index + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(at(child + 1), at(child))) child += 1
      if (isBefore(last, at(child))) break
      heap[index] = at(child)
      index = child
    }
    heap[index] = last
  }

  const after = (ms: number, run: () => void) => {
    order += 1
    live += 1
    const timer: Timer = { atMs: elapsedMs + Math.max(0, ms), order, run }
    push(timer)
    return () => {
      if (timer.run === undefined) return
      timer.run = undefined
      live -= 1
    }
  }
  const advance = async (ms: number) => {
    const untilMs = elapsedMs + ms
    await settle()
    for (let timer = heap[0]; timer !== undefined && timer.atMs <= untilMs; timer = heap[0]) {
      pop()
      const { run } = timer
      if (run === undefined) continue
      timer.run = undefined
      live -= 1
      elapsedMs = Math.max(elapsedMs, timer.atMs)
      run()
      await settle()
    }
    elapsedMs = untilMs
  }
  return {
    now: () => startMs + elapsedMs + jumpedMs,
    monotonic: () => elapsedMs,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted) return resolve()
        const finish = () => {
          cancel()
          signal?.removeEventListener('abort', finish)
          resolve()
        }
        const cancel = after(ms, finish)
        signal?.addEventListener('abort', finish, { once: true })
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
    jump: (ms) => {
      jumpedMs += ms
    },
    timers: () => live,
  }
}

/** Ticks asked for within a promise come after every promise that can settle without time passing. */
async function settle(): Promise<void> {
  await Promise.resolve()
  await new Promise<void>((resolve) => process.nextTick(resolve))
}
