/** Timers of plugins: the host keeps the time and calls back into the sandbox, never twice at once for one timer. */
import * as Type from 'typebox'
import type { Clock } from '../clock.ts'
import { OrchestryError } from '../errors.ts'
import { argumentsOf } from './arguments.ts'
import { timeLeft } from './call-time.ts'
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
    narrow(grant, targets) {
      const used = targets.flatMap((target) => {
        const [, ms, running] = /^(\d+) ms, (\d+) running$/.exec(target) ?? []
        return ms === undefined ? [] : [{ ms: Number(ms), running: Number(running) }]
      })
      if (used.length === 0) return undefined
      const minMs = Math.max(grant.minMs ?? floorMs, Math.min(...used.map(({ ms }) => ms)))
      const max = Math.min(grant.max ?? mostTimers, Math.max(...used.map(({ running }) => running)))
      return { ...grant, ...(minMs > floorMs ? { minMs } : {}), ...(max < mostTimers ? { max } : {}) }
    },
    use(grant, caller) {
      const minMs = Math.max(grant.minMs ?? floorMs, floorMs)
      const max = Math.min(grant.max ?? mostTimers, mostTimers)
      const running = new Map<string, () => void>()
      const sleeping = new Set<AbortController>()
      let made = 0

      function add(ms: number, isRepeating: boolean, eventDepth: number | undefined): string {
        if (running.size >= max)
          throw new OrchestryError('ORC_CAPABILITY_LIMIT', `ctx.timers: ${max} timers are granted and running (max)`)
        if (ms < minMs)
          throw new OrchestryError(
            'ORC_CAPABILITY_LIMIT',
            `ctx.timers: ${ms} ms is shorter than the granted ${minMs} ms`,
          )
        caller.onUse?.(isRepeating ? 'every' : 'after', usedText(ms, running.size + 1), true)
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
          await caller.fire?.(id, eventDepth).catch(() => {})
          // A slow function delays its own next turn; it is never called while it still runs.
          if (isRepeating && running.has(id)) schedule(Math.max(floorMs, ms - (clock.monotonic() - startedMs)))
        }
        schedule(ms)
        return id
      }

      function cancelAll(): void {
        for (const cancel of running.values()) cancel()
        running.clear()
        for (const isOver of sleeping) isOver.abort()
      }

      return {
        operations: {
          every: (args, { eventDepth }) => add(readDelay(args)[0], true, eventDepth),
          after: (args, { eventDepth }) => add(readDelay(args)[0], false, eventDepth),
          async sleep(args, invocation) {
            const [ms] = readDelay(args)
            if (sleeping.size >= mostTimers)
              throw new OrchestryError('ORC_CAPABILITY_LIMIT', `ctx.timers: ${mostTimers} calls sleep already`)
            const isOver = new AbortController()
            sleeping.add(isOver)
            await clock.sleep(timeLeft('ctx.timers', invocation, clock, ms), isOver.signal)
            sleeping.delete(isOver)
          },
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

/** Rounded, so that a trace stays short: delays down to one digit, the number of timers up to a power of two. */
function usedText(ms: number, running: number): string {
  const digit = 10 ** Math.floor(Math.log10(ms))
  return `${Math.floor(ms / digit) * digit} ms, ${2 ** Math.ceil(Math.log2(running))} running`
}
