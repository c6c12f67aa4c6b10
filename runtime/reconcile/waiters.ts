/** Callers who wait until an app is as wanted. */
import type { Clock } from '../clock.ts'

export interface Waiters {
  /** False when it took longer than `timeoutMs`. */
  settled(app: string, timeoutMs: number): Promise<boolean>
  /** Something about the app has changed. */
  look(app: string): void
}

export function createWaiters(clock: Clock, isAsWanted: (app: string) => boolean): Waiters {
  const waiting = new Map<string, Set<() => void>>()
  return {
    look(app) {
      for (const look of waiting.get(app) ?? []) look()
    },
    settled(app, timeoutMs) {
      if (isAsWanted(app)) return Promise.resolve(true)
      return new Promise((resolve) => {
        const mine = waiting.get(app) ?? new Set()
        waiting.set(app, mine)
        const end = (answer: boolean) => {
          cancel()
          mine.delete(look)
          if (mine.size === 0 && waiting.get(app) === mine) waiting.delete(app)
          resolve(answer)
        }
        const look = () => {
          if (isAsWanted(app)) end(true)
        }
        const cancel = clock.after(timeoutMs, () => end(isAsWanted(app)))
        mine.add(look)
      })
    },
  }
}
