/** Work on one name is done one after the other; on different names side by side. */

export interface Turns {
  /** Runs `work` when all earlier work on `name` has settled, and settles as it does. */
  take<T>(name: string, work: () => Promise<T>): Promise<T>
  /** Resolves when everything that has been taken on by now has settled. */
  settled(): Promise<void>
}

export function createTurns(): Turns {
  const last = new Map<string, Promise<unknown>>()
  return {
    take(name, work) {
      const turn = (last.get(name) ?? Promise.resolve()).then(work)
      const settled = turn
        .catch(() => undefined)
        .finally(() => {
          if (last.get(name) === settled) last.delete(name)
        })
      last.set(name, settled)
      return turn
    },
    async settled() {
      await Promise.all(last.values())
    },
  }
}
