/**
 * The host calls of one isolate, in their order: only so many are worked on at once, none faster than the pace of their
 * process, and what waits is bounded. Each turn of the loop does a little of it, so that everybody else has theirs in between.
 */
import type { Clock } from '../clock.ts'
import { limits } from '../limits.ts'
import type { Pace } from '../pace.ts'
import type { TimeBudget } from './time-budget.ts'

export interface Lane {
  /** False when too much waits already: nothing will be done. `run` must not reject. */
  add(characters: number, run: () => Promise<void>): boolean
  /** What waits is given up. Returns how much that was. */
  close(): number
}

/** How long one turn of the loop may be at it, by what turns before it took; one host call is always begun. */
const turnMs = 2
const guessedMs = 0.25

export function createLane(deps: { pace: Pace; budget: TimeBudget; clock: Pick<Clock, 'after' | 'monotonic'> }): Lane {
  const { pace, budget, clock } = deps
  const waiting: { characters: number; run: () => Promise<void> }[] = []
  let waitingCharacters = 0
  let atWork = 0
  let isClosed = false
  let stopTimer: (() => void) | undefined
  let isTurnOpen = false
  let begunInTurn = 0
  let eachMs = guessedMs

  async function work(run: () => Promise<void>): Promise<void> {
    atWork += 1
    await run()
    atWork -= 1
    // What ends at once would else begin the next one at once, and nobody else's turn would ever come.
    if (waiting.length > 0) openTurn()
  }

  /** A turn lasts until the loop has gone round; what it cost is known when all that it set off has run. */
  function openTurn(): void {
    if (isTurnOpen) return
    isTurnOpen = true
    begunInTurn = 0
    const startedMs = performance.now()
    let restMs = 0
    queueMicrotask(() =>
      process.nextTick(() => {
        const tookMs = performance.now() - startedMs
        if (begunInTurn > 0) eachMs = (eachMs + tookMs / begunInTurn) / 2
        restMs = budget.spend(tookMs, clock.monotonic())
      }),
    )
    setImmediate(() => {
      isTurnOpen = false
      if (restMs > 0) rest(restMs)
      next()
    })
  }

  function rest(ms: number): void {
    if (isClosed) return
    stopTimer?.()
    stopTimer = clock.after(ms, () => {
      stopTimer = undefined
      next()
    })
  }

  function mayStart(): boolean {
    if (isClosed || atWork >= limits.hostCallsAtOnce || stopTimer !== undefined) return false
    openTurn()
    if (begunInTurn > 0 && begunInTurn * eachMs > turnMs) return false
    const waitMs = pace.take(clock.monotonic())
    if (waitMs > 0) {
      rest(waitMs)
      return false
    }
    begunInTurn += 1
    return true
  }

  function next(): void {
    while (waiting.length > 0 && mayStart()) {
      const entry = waiting.shift()
      if (entry === undefined) return
      waitingCharacters -= entry.characters
      void work(entry.run)
    }
  }

  return {
    add(characters, run) {
      if (isClosed) return false
      if (waiting.length === 0 && mayStart()) {
        void work(run)
        return true
      }
      const isFull =
        waiting.length >= limits.hostCallsWaiting || waitingCharacters + characters > limits.hostCallsWaitingCharacters
      if (isFull) return false
      waiting.push({ characters, run })
      waitingCharacters += characters
      return true
    },
    close() {
      isClosed = true
      stopTimer?.()
      waitingCharacters = 0
      return waiting.splice(0).length
    },
  }
}
