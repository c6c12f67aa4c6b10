/** Timers of plugins: the host keeps the time and calls back into the sandbox, never twice at once for one timer. */
import * as Type from 'typebox'
import type { Clock } from '../clock.ts'
import { OrchestryError } from '../errors.ts'
import { argumentsOf } from './arguments.ts'
import type { Capability } from './capability.ts'

const floorMs = 100
const mostTimers = 16
const longestMs = 7 * 24 * 3_600_000

const readDelay = argumentsOf('timers', Type.Integer({ minimum: 0, maximum: longestMs }))
const readId = argumentsOf('timers.cancel', Type.String({ maxLength: 32 }))

export function createTimersCapability(deps: { clock: Clock }): Capability<'timers'> {
  const { clock } = deps
  return {
    kind: 'timers',
    use(grant, caller) {
      const minMs = Math.max(grant.minMs ?? floorMs, floorMs)
      const max = Math.min(grant.max ?? mostTimers, mostTimers)
      const running = new Map<string, () => void>()
      let made = 0

      function add(ms: number, isRepeating: boolean): string {
        if (running.size >= max)
          throw new OrchestryError('ORC_CAPABILITY_LIMIT', `ctx.timers: ${max} timers are granted and running (max)`)
        if (ms < minMs)
          throw new OrchestryError(
            'ORC_CAPABILITY_LIMIT',
            `ctx.timers: ${ms} ms is shorter than the granted ${minMs} ms`,
          )
        made += 1
        const id = `t${made}`
        const schedule = (delayMs: number) =>
          running.set(
            id,
            clock.after(delayMs, () => void run()),
          )
        const run = async () => {
          if (!isRepeating) running.delete(id)
          const startedMs = clock.monotonic()
          await caller.fire?.(id).catch(() => {})
          // A slow function delays its own next turn; it is never called while it still runs.
          if (isRepeating && running.has(id)) schedule(Math.max(floorMs, ms - (clock.monotonic() - startedMs)))
        }
        schedule(ms)
        return id
      }

      function cancelAll(): void {
        for (const cancel of running.values()) cancel()
        running.clear()
      }

      return {
        operations: {
          every: (args) => add(readDelay(args)[0], true),
          after: (args) => add(readDelay(args)[0], false),
          cancel(args) {
            const [id] = readId(args)
            running.get(id)?.()
            running.delete(id)
          },
        },
        reset: cancelAll,
        dispose: cancelAll,
      }
    },
  }
}
