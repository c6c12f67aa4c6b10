/** `ctx`: what was granted and nothing else, made anew for each call, so that a host call is always told whose it is. */
import { capabilityOperations } from '@orchestry/sdk/operations'
import { type Ambience, notGranted } from './ambient.ts'
import type { HostCalls } from './host-calls.ts'
import { create, createTable, cut, defineProperty, freeze, GuestError, hasOwn, ownKeys, text } from './primordials.ts'

/** The calls in whose name one `ctx` may act: the one it was made for, and timers that were started through it. */
type Turn = { calls: number[] }
type Timer = { run: () => unknown; turn: Turn; isOnce: boolean }

const maxLogLength = 16_384

export function createContexts(hostCalls: HostCalls, ambient: Ambience) {
  const timers = createTable<string, Timer>()
  let bindings = create(null) as Record<string, string>
  let names: string[] = []
  /** What every `ctx` of this instance has in common; the whole of it where nothing was granted. */
  let base = freeze(create(null) as object)

  function callOf({ calls }: Turn): number {
    for (let index = 0; index < calls.length; index += 1) {
      if (hostCalls.isUnderWay(calls[index] as number)) return calls[index] as number
    }
    return 0
  }

  async function startTimer(turn: Turn, operation: string, ms: unknown, run: () => unknown, isOnce: boolean) {
    if (typeof run !== 'function') throw new GuestError(`${operation}(ms, run): run must be a function`)
    const id = text(await hostCalls.ask(callOf(turn), operation, [ms]))
    timers.set(id, { run, turn, isOnce })
    return id
  }

  function bind(name: string, kind: string, turn: Turn): object {
    if (kind === 'clock') return freeze({ now: ambient.now })
    if (kind === 'random') return freeze({ next: ambient.random })
    const binding = create(null) as Record<string, unknown>
    const operations = capabilityOperations[kind as keyof typeof capabilityOperations] as readonly string[] | undefined
    for (let index = 0; index < (operations?.length ?? 0); index += 1) {
      const operation = operations?.[index] as string
      const full = `${name}.${operation}`
      if (kind === 'log') {
        binding[operation] = (message: unknown, fields?: unknown) =>
          hostCalls.tell(callOf(turn), full, [cut(text(message), maxLogLength), fields ?? null])
      } else if (kind === 'timers' && operation !== 'cancel') {
        binding[operation] = (ms: unknown, run: () => unknown) => startTimer(turn, full, ms, run, operation === 'after')
      } else binding[operation] = (...args: unknown[]) => hostCalls.ask(callOf(turn), full, args)
    }
    return freeze(binding)
  }

  return {
    /** Binding name → capability kind, as the operator granted it to this instance. */
    grant(instance: string, granted: Record<string, string>): void {
      bindings = granted
      names = ownKeys(granted) as string[]
      for (let index = 0; index < names.length; index += 1) {
        const kind = granted[names[index] as string]
        if (kind === 'clock' || kind === 'random') ambient.granted[kind] = true
      }
      const common = create(null) as Record<string, unknown>
      for (const kind of ownKeys(capabilityOperations) as string[]) {
        defineProperty(common, kind, {
          get() {
            throw new GuestError(notGranted(kind))
          },
        })
      }
      common.has = (name: string) => hasOwn(bindings, name)
      common.instance = instance
      base = freeze(common)
    },

    make(call: number): object {
      if (names.length === 0) return base
      const ctx = create(base) as object
      const turn: Turn = { calls: [call] }
      for (let index = 0; index < names.length; index += 1) {
        const name = names[index] as string
        let bound: object | undefined
        defineProperty(ctx, name, {
          enumerable: true,
          get() {
            bound ??= bind(name, bindings[name] as string, turn)
            return bound
          },
        })
      }
      return freeze(ctx)
    },

    /**
     * The function behind a timer that is due. What it does through its `ctx`, it does in the name of `call`: the one that
     * started it is over.
     */
    timerOf(call: number, id: string): (() => unknown) | undefined {
      const timer = timers.get(id)
      if (timer === undefined) return undefined
      if (timer.isOnce) timers.delete(id)
      const calls: number[] = []
      for (let index = 0; index < timer.turn.calls.length; index += 1) {
        const earlier = timer.turn.calls[index] as number
        if (hostCalls.isUnderWay(earlier)) calls[calls.length] = earlier
      }
      calls[calls.length] = call
      timer.turn.calls = calls
      return timer.run
    },
  }
}
