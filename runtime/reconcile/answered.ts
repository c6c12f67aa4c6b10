/** A bound on what a driver is asked: one that hangs is one that cannot be reached. */
import type { Clock } from '../clock.ts'
import { OrchestryError } from '../errors.ts'

/**
 * Settles as `work` does.
 * @throws ORC_DRIVER_UNAVAILABLE when that takes longer than `ms`; what becomes of `work` then is found by a later listing
 */
export function answered<T>(clock: Pick<Clock, 'after'>, ms: number, what: string, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(ms, () => {
      reject(new OrchestryError('ORC_DRIVER_UNAVAILABLE', `${what} took longer than ${ms / 1000} s.`))
    })
    work.then(resolve, reject).finally(cancel)
  })
}
