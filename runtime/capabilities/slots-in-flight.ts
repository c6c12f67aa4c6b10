/** Lets so many run at once and so many wait; more is refused. */
import { OrchestryError } from '../errors.ts'

export interface InFlight {
  run<T>(work: () => Promise<T>): Promise<T>
}

export function createInFlight(atOnce: number, waitingMost: number, what: string): InFlight {
  const waiting: (() => void)[] = []
  let running = 0
  return {
    async run(work) {
      if (running >= atOnce) {
        if (waiting.length >= waitingMost)
          throw new OrchestryError('ORC_HOOK_OVERLOADED', `${what}: ${waitingMost} requests wait already`)
        // Whoever ends hands its place over, so nobody can slip in between.
        await new Promise<void>((resolve) => waiting.push(resolve))
      } else running += 1
      try {
        return await work()
      } finally {
        const next = waiting.shift()
        if (next === undefined) running -= 1
        else next()
      }
    },
  }
}
