/** What is due when, with one timer for all: items due within the same slot come out together, as one batch. */
import type { Clock } from '../clock.ts'

export interface Slots<T> {
  /** Replaces an earlier time of the same item. */
  put(item: T, delayMs: number): void
  drop(item: T): void
  close(): void
}

/** @param widthMs of a slot: how much later than asked an item may come out, for the sake of company. */
export function createSlots<T>(clock: Clock, widthMs: number, onDue: (items: T[]) => void): Slots<T> {
  const slots = new Map<number, Set<T>>()
  const slotOf = new Map<T, number>()
  let armed: { slot: number; cancel: () => void } | undefined

  const drop = (item: T) => {
    const slot = slotOf.get(item)
    if (slot === undefined) return
    slotOf.delete(item)
    const items = slots.get(slot)
    items?.delete(item)
    if (items?.size === 0) slots.delete(slot)
  }
  const arm = () => {
    if (slots.size === 0) return
    let first = Number.POSITIVE_INFINITY
    for (const slot of slots.keys()) if (slot < first) first = slot
    if (armed && armed.slot <= first) return
    armed?.cancel()
    const waitMs = Math.max(0, first * widthMs - clock.monotonic())
    armed = { slot: first, cancel: clock.after(Math.ceil(waitMs), fire) }
  }
  const fire = () => {
    armed = undefined
    const due: T[] = []
    const now = clock.monotonic()
    for (const [slot, items] of slots) {
      if (slot * widthMs > now) continue
      slots.delete(slot)
      for (const item of items) {
        slotOf.delete(item)
        due.push(item)
      }
    }
    if (due.length > 0) onDue(due)
    arm()
  }
  return {
    put(item, delayMs) {
      drop(item)
      const slot = Math.ceil((clock.monotonic() + delayMs) / widthMs)
      const items = slots.get(slot)
      if (items) items.add(item)
      else slots.set(slot, new Set([item]))
      slotOf.set(item, slot)
      arm()
    },
    drop,
    close() {
      armed?.cancel()
      armed = undefined
      slots.clear()
      slotOf.clear()
    },
  }
}
