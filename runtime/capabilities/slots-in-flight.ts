/** Lets so many run at once and so many wait; more is refused. */
import { type ErrorCode, OrchestryError } from '../errors.ts'

export interface InFlight {
  run<T>(work: () => Promise<T>): Promise<T>
}

export function createInFlight(
  atOnce: number,
  waitingMost: number,
  what: string,
  code: ErrorCode = 'ORC_HOOK_OVERLOADED',
): InFlight {
  const waiting: (() => void)[] = []
  let running = 0
  return {
    async run(work) {
      if (running >= atOnce) {
        if (waiting.length >= waitingMost)
          throw new OrchestryError(code, `${what}: ${atOnce} requests are under way and ${waitingMost} wait already`)
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
