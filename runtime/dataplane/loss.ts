/** Notices that a proxy process has died or gone deaf. */
import type { Clock } from '../clock.ts'
import type { Link } from './link.ts'

const pingMs = 1_000
/** A machine that is short of CPU is slow to answer; killing its proxy would only add to that. */
const missedPingsAreDeaf = 3

/** Resolves with the reason when the process has died or stopped answering, or undefined when we are stopping. */
export function loss(
  link: Pick<Link, 'ping' | 'watch'>,
  clock: Pick<Clock, 'after' | 'every'>,
  signal: AbortSignal,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    let missed = 0
    let isPinging = false
    const finish = (reason: string | undefined) => {
      stopPinging()
      resolve(reason)
    }
    const stopPinging = clock.every(pingMs, () => {
      if (isPinging) return
      isPinging = true
      link
        .ping()
        .then(
          () => {
            missed = 0
          },
          () => {
            missed += 1
            if (missed >= missedPingsAreDeaf) finish('it no longer answers')
          },
        )
        .finally(() => {
          isPinging = false
        })
    })
    // The end of one connection proves nothing yet: a live process must not be killed for it.
    const watch = () =>
      link.watch(() => {
        link.ping().then(
          () => clock.after(pingMs, watch),
          () => finish('its process ended'),
        )
      })
    watch()
    if (signal.aborted) finish(undefined)
    signal.addEventListener('abort', () => finish(undefined), { once: true })
  })
}
