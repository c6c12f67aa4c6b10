/** Waiting for what must become true, instead of sleeping for luck. */

import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'

export interface WaitOptions {
  /** Default 5000. */
  readonly timeoutMs?: number
  /** Pause between two looks; default 10. */
  readonly everyMs?: number
  /** What is waited for, for the error. */
  readonly what?: string
}

type Truthy<T> = NonNullable<Exclude<T, false | 0 | ''>>

/**
 * Calls `condition` until it returns (or resolves with) something truthy, and resolves with that.
 * A condition that throws counts as "not yet": its last error is the cause of the error on timeout.
 */
export async function waitFor<T>(condition: () => T | Promise<T>, options: WaitOptions = {}): Promise<Truthy<T>> {
  const { timeoutMs = 5_000, everyMs = 10, what } = options
  const startedAt = performance.now()
  let last: unknown
  let lastError: unknown
  for (;;) {
    try {
      last = await condition()
      lastError = undefined
      if (last) return last as Truthy<T>
    } catch (error) {
      lastError = error
    }
    if (performance.now() - startedAt >= timeoutMs) break
    await sleep(everyMs)
  }
  const saw = lastError === undefined ? `it was ${inspect(last)}` : `it threw: ${inspect(lastError)}`
  const wanted = what ?? condition.toString().replace(/\s+/g, ' ').slice(0, 200)
  throw new Error(`after ${timeoutMs} ms still waiting for ${wanted}; last time ${saw}`, { cause: lastError })
}
