/** One controller's life: when it is over, what it asked for is never answered and what it waited for never comes. */
import type { Clock } from '../../runtime/clock.ts'

export interface Life {
  isOver: boolean
  /** Called before and after everything that changes the world or the store: a crash may come at each. */
  readonly atStep: (name: string) => void
}

/** A new one each time: what waits for a promise is kept as long as the promise is. */
const never = () => new Promise<never>(() => {})

/** Asks, unless the life is over; an answer that comes after its end is heard by nobody. */
export async function within<T>(life: Life, ask: () => T | Promise<T>): Promise<T> {
  if (life.isOver) return never()
  try {
    const answer = await ask()
    return life.isOver ? never() : answer
  } catch (thrown) {
    if (life.isOver) return never()
    throw thrown
  }
}

/** The same with a place to crash on either side. */
export function step<T>(life: Life, name: string, ask: () => T | Promise<T>): Promise<T> {
  return within(life, () => {
    life.atStep(`before ${name}`)
    if (life.isOver) return never()
    return within(life, async () => {
      const answer = await ask()
      life.atStep(`after ${name}`)
      return answer
    })
  })
}

export function clockWithin(life: Life, clock: Clock): Clock {
  const alive = (run: () => void) => () => {
    if (!life.isOver) run()
  }
  return {
    now: clock.now,
    monotonic: clock.monotonic,
    sleep: (ms, signal) => within(life, () => clock.sleep(ms, signal)),
    after: (ms, run) => clock.after(ms, alive(run)),
    every: (ms, run) => {
      let cancel = clock.after(ms, function again() {
        if (life.isOver) return
        cancel = clock.after(ms, again)
        run()
      })
      return () => cancel()
    },
  }
}
