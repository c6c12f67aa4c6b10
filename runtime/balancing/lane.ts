/** One app's way to its load balancer: one call at a time, the newest wish first, again until it is fulfilled. */
import type { Upstream } from '@orchestry/sdk'
import type { Clock } from '../clock.ts'

export type Wish = { readonly upstream: Upstream; readonly loadBalancer: string | undefined } | 'removed'
/** What became of one try; `problem` is absent when it succeeded. */
export type Result = { readonly problem?: string }

export interface Lane {
  readonly wish: Wish | undefined
  readonly problem: string | undefined
  /** Resolves true when exactly this wish was fulfilled, false when its try failed or a newer one took its place. */
  want(wish: Wish): Promise<boolean>
  /** Fulfils the wish again, or tries again without waiting. */
  again(): void
  /** Resolves when no call is under way; nothing is tried after that. */
  stop(): Promise<void>
}

const firstBackoffMs = 200
const longestBackoffMs = 10_000

export function createLane(deps: { clock: Pick<Clock, 'sleep'>; fulfil(wish: Wish): Promise<Result> }): Lane {
  let wish: Wish | undefined
  let problem: string | undefined
  let isDue = false
  let isStopped = false
  let waiting: ((isFulfilled: boolean) => void)[] = []
  let running: Promise<void> | undefined
  let pause: AbortController | undefined

  const settle = (waiters: typeof waiting, isFulfilled: boolean) => {
    for (const resolve of waiters) resolve(isFulfilled)
  }
  const takeWaiting = () => {
    const taken = waiting
    waiting = []
    return taken
  }

  const run = async () => {
    let backoffMs = firstBackoffMs
    while (isDue && wish !== undefined && !isStopped) {
      const current = wish
      const waiters = takeWaiting()
      isDue = false
      const result = await deps.fulfil(current)
      problem = result.problem
      settle(waiters, problem === undefined)
      if (problem === undefined) {
        backoffMs = firstBackoffMs
        continue
      }
      // A newer wish does not wait for the troubles of the one before.
      if (isDue || isStopped) continue
      isDue = true
      pause = new AbortController()
      await deps.clock.sleep(backoffMs, pause.signal)
      pause = undefined
      backoffMs = Math.min(longestBackoffMs, backoffMs * 2)
    }
  }
  const kick = () => {
    isDue = true
    pause?.abort()
    running ??= run().finally(() => {
      running = undefined
      settle(takeWaiting(), false)
    })
  }

  return {
    get wish() {
      return wish
    },
    get problem() {
      return problem
    },
    want(next) {
      if (isStopped) return Promise.resolve(false)
      const isOther = next !== wish
      if (isOther) settle(takeWaiting(), false)
      else if (!isDue && running === undefined) return Promise.resolve(problem === undefined)
      wish = next
      return new Promise((resolve) => {
        waiting.push(resolve)
        if (isOther) kick()
      })
    },
    again() {
      if (!isStopped && wish !== undefined) kick()
    },
    async stop() {
      isStopped = true
      pause?.abort()
      await running
    },
  }
}
