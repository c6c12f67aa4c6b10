/** How long something may take that is done for a hook call: no longer than the call itself has left. */
import type { Clock } from '../clock.ts'
import { OrchestryError } from '../errors.ts'
import type { Invocation } from '../sandbox/sandbox.ts'

/** So that the guest still gets the error of what took all its time. */
const usualSlackMs = 15

/** At most `mostMs`. `what` begins the error, like `ctx.net`. @throws ORC_HOOK_OVERLOADED when nothing is left. */
export function timeLeft(
  what: string,
  { deadlineMs }: Invocation,
  clock: Pick<Clock, 'monotonic'>,
  mostMs: number,
  slackMs: number = usualSlackMs,
): number {
  const leftMs = Math.min(mostMs, deadlineMs - slackMs - clock.monotonic())
  if (leftMs > 0) return leftMs
  throw new OrchestryError('ORC_HOOK_OVERLOADED', `${what}: the time of the hook call was over before this was begun`)
}
