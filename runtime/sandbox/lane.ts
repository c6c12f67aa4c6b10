/**
 * The host calls of one isolate, in their order: only so many are worked on at once, none faster than the pace of their
 * process, and what waits is bounded. Nobody else's calls stand behind them.
 */
import type { Clock } from '../clock.ts'
import { limits } from '../limits.ts'
import type { Pace } from './pace.ts'

export interface Lane {
  /** False when too much waits already: nothing will be done. `run` must not reject. */
  add(characters: number, run: () => Promise<void>): boolean
  /** What waits is given up. Returns how much that was. */
  close(): number
}

export function createLane(deps: { pace: Pace; clock: Pick<Clock, 'after' | 'monotonic'> }): Lane {
  const { pace, clock } = deps
  const waiting: { characters: number; run: () => Promise<void> }[] = []
  let waitingCharacters = 0
  let atWork = 0
  let isClosed = false
  let stopTimer: (() => void) | undefined

  async function work(run: () => Promise<void>): Promise<void> {
    atWork += 1
    await run()
    atWork -= 1
    next()
  }

  function mayStart(): boolean {
    if (isClosed || atWork >= limits.hostCallsAtOnce || stopTimer !== undefined) return false
    const waitMs = pace.take(clock.monotonic())
    if (waitMs === 0) return true
    stopTimer = clock.after(waitMs, () => {
      stopTimer = undefined
      next()
    })
    return false
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
