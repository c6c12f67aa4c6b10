/** Places in a queue for each name: whoever waits for one name takes nothing from those who wait for another. */

export interface Slots {
  /** Resolves with what gives the place back; early, and with no place, when the signal is aborted. */
  take(name: string, signal: AbortSignal): Promise<() => void>
}

/** @param perName places of one name; the others wait in the order in which they came. */
export function createSlots(perName: number): Slots {
  const taken = new Map<string, number>()
  const waiting = new Map<string, Set<() => void>>()

  function release(name: string): void {
    const next = waiting.get(name)?.values().next().value
    if (next) return next()
    const left = (taken.get(name) ?? 1) - 1
    if (left === 0) taken.delete(name)
    else taken.set(name, left)
  }

  function place(name: string): () => void {
    let isHeld = true
    return () => {
      if (isHeld) release(name)
      isHeld = false
    }
  }

  return {
    take(name, signal) {
      if (signal.aborted) return Promise.resolve(() => {})
      const count = taken.get(name) ?? 0
      if (count < perName) {
        taken.set(name, count + 1)
        return Promise.resolve(place(name))
      }
      return new Promise((resolve) => {
        const mine = waiting.get(name) ?? new Set()
        waiting.set(name, mine)
        const leave = () => {
          mine.delete(grant)
          if (mine.size === 0 && waiting.get(name) === mine) waiting.delete(name)
          signal.removeEventListener('abort', giveUp)
        }
        const grant = () => {
          leave()
          resolve(place(name))
        }
        const giveUp = () => {
          leave()
          resolve(() => {})
        }
        mine.add(grant)
        signal.addEventListener('abort', giveUp, { once: true })
      })
    },
  }
}
