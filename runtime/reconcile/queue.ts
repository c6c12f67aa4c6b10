/** Which apps are to be planned, and when: one queue, one timer, whatever the number of apps. */
import type { Clock } from '../clock.ts'

/** Apps planned in one go; then others have their turn. */
const appsAtOnce = 64

export interface Queue {
  /** Soon, but never inside the caller. */
  add(app: string): void
  /** At a time of the monotonic clock; replaces an earlier wish, undefined takes it back. */
  wakeAt(app: string, atMs: number | undefined): void
  close(): void
}

/** @param run must not throw. */
export function createQueue(clock: Clock, run: (app: string) => void): Queue {
  const dirty = new Set<string>()
  const wakes = new Map<string, number>()
  let isScheduled = false
  let isClosed = false
  let armed: { atMs: number; cancel: () => void } | undefined

  const drain = () => {
    isScheduled = false
    let left = appsAtOnce
    for (const app of dirty) {
      if (isClosed) return
      if (left === 0) {
        isScheduled = true
        clock.after(0, drain)
        return
      }
      left -= 1
      dirty.delete(app)
      run(app)
    }
  }
  const add = (app: string) => {
    if (isClosed) return
    dirty.add(app)
    if (isScheduled) return
    isScheduled = true
    queueMicrotask(drain)
  }
  const ring = () => {
    armed = undefined
    const nowMs = clock.monotonic()
    for (const [app, atMs] of wakes) {
      if (atMs > nowMs) continue
      wakes.delete(app)
      add(app)
    }
    arm()
  }
  const arm = () => {
    let firstMs = Number.POSITIVE_INFINITY
    for (const atMs of wakes.values()) if (atMs < firstMs) firstMs = atMs
    if (!Number.isFinite(firstMs) || (armed && armed.atMs <= firstMs)) return
    armed?.cancel()
    const waitMs = Math.max(1, Math.ceil(firstMs - clock.monotonic()))
    armed = { atMs: firstMs, cancel: clock.after(waitMs, ring) }
  }
  return {
    add,
    wakeAt(app, atMs) {
      if (isClosed) return
      if (atMs === undefined) wakes.delete(app)
      else {
        wakes.set(app, atMs)
        arm()
      }
    },
    close() {
      isClosed = true
      armed?.cancel()
      dirty.clear()
      wakes.clear()
    },
  }
}
