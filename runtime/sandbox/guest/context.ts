/** `ctx`: what was granted and nothing else, made anew for each call, so that a host call is always told whose it is. */
import { capabilityOperations } from '@orchestry/sdk/operations'
import { type Ambience, notGranted } from './ambient.ts'
import { stands } from './defences.ts'
import type { HostCalls } from './host-calls.ts'
import { create, createTable, cut, defineProperty, freeze, GuestError, hasOwn, ownKeys, text } from './primordials.ts'

/** The calls in whose name one `ctx` may act: the one it was made for, and timers that were started through it. */
type Turn = { calls: number[] }
type Timer = { run: () => unknown; turn: Turn; isOnce: boolean }

const maxLogLength = 16_384
const isFrozen = stands('frozen-api')
const settle = <T extends object>(part: T): T => (isFrozen ? freeze(part) : part)
/** A descriptor that looks nothing up on a prototype. */
const accessor = (get: () => unknown) => ({ __proto__: null, enumerable: true, get: settle(get) }) as PropertyDescriptor

export function createContexts(hostCalls: HostCalls, ambient: Ambience) {
  const timers = createTable<string, Timer>()
  let bindings = create(null) as Record<string, string>
  let names: string[] = []
  /** What every `ctx` of this instance has in common; the whole of it where nothing was granted. */
  let base = settle(create(null) as object)

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

  function toFunction(kind: string, operation: string, full: string, turn: Turn): object {
    if (kind === 'log') {
      return (message: unknown, fields?: unknown) =>
        hostCalls.tell(callOf(turn), full, [cut(text(message), maxLogLength), fields ?? null])
    }
    if (kind === 'timers' && (operation === 'every' || operation === 'after')) {
      return (ms: unknown, run: () => unknown) => startTimer(turn, full, ms, run, operation === 'after')
    }
    return (...args: unknown[]) => hostCalls.ask(callOf(turn), full, args)
  }

  function bind(name: string, kind: string, turn: Turn): object {
    if (kind === 'clock') return settle({ now: ambient.now })
    if (kind === 'random') return settle({ next: ambient.random })
    const binding = create(null) as Record<string, unknown>
    const operations = capabilityOperations[kind as keyof typeof capabilityOperations] as readonly string[] | undefined
    for (let index = 0; index < (operations?.length ?? 0); index += 1) {
      const operation = operations?.[index] as string
      binding[operation] = settle(toFunction(kind, operation, `${name}.${operation}`, turn))
    }
    return settle(binding)
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
      const kinds = ownKeys(capabilityOperations) as string[]
      for (let index = 0; index < kinds.length; index += 1) {
        const kind = kinds[index] as string
        const refuse = () => {
          throw new GuestError(notGranted(kind))
        }
        defineProperty(common, kind, { ...accessor(refuse), enumerable: false })
      }
      common.has = settle((name: string) => hasOwn(bindings, name))
      common.instance = instance
      base = settle(common)
    },

    make(call: number): object {
      if (names.length === 0) return base
      const ctx = create(base) as object
      const turn: Turn = { calls: [call] }
      for (let index = 0; index < names.length; index += 1) {
        const name = names[index] as string
        let bound: object | undefined
        const get = () => (bound ??= bind(name, bindings[name] as string, turn))
        defineProperty(ctx, name, accessor(get))
      }
      return settle(ctx)
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
