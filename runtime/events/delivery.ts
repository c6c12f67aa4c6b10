/** Brings stored events to `eventHandler` plugins: each has its own cursor, and none can hold up another or a tick. */
import type { Clock } from '../clock.ts'
import type { Hooks, Provider } from '../hooks/hooks.ts'
import type { Log } from '../log.ts'
import type { Store } from '../store/store.ts'
import { type Courier, createCourier, type DeadLetter, deadLettersOf } from './courier.ts'
import type { Events } from './events.ts'

export interface EventDelivery {
  /** Idempotent. From now on every handler, also one that comes later, gets its events. */
  start(): void
  /** Resolves when no event is under way and every cursor is stored. Idempotent, also without a start. */
  stop(): Promise<void>
  /** Events that a handler failed on again and again, oldest first. */
  deadLetters(instance: string): Promise<DeadLetter[]>
}

export interface EventDeliveryDeps {
  events: Pick<Events, 'list' | 'subscribe'>
  hooks: Pick<Hooks, 'providers' | 'broadcast' | 'onProvidersChanged'>
  store: Pick<Store, 'get' | 'list' | 'write'>
  clock: Pick<Clock, 'sleep'>
  log: Pick<Log, 'warn' | 'error'>
  /** In [0, 1); spreads the retries of handlers that failed together. */
  random?: () => number
}

export function createEventDelivery(deps: EventDeliveryDeps): EventDelivery {
  const couriers = new Map<string, Courier>()
  let endings: (() => void)[] = []
  /** Couriers whose handler is gone, while they finish. */
  const leaving = new Map<string, Promise<void>>()

  function match(): void {
    const providers = new Map(deps.hooks.providers('eventHandler').map((provider) => [provider.instance, provider]))
    for (const [instance, courier] of couriers) {
      if (providers.has(instance)) continue
      couriers.delete(instance)
      const left = courier.stop().finally(() => {
        leaving.delete(instance)
        // It may have come back in the meantime.
        if (endings.length > 0) match()
      })
      leaving.set(instance, left)
    }
    for (const provider of providers.values()) serve(provider)
  }

  function serve(provider: Provider): void {
    const present = couriers.get(provider.instance)
    if (present !== undefined) return present.wake()
    if (leaving.has(provider.instance)) return
    const declared = () =>
      deps.hooks.providers('eventHandler').find(({ instance }) => instance === provider.instance)?.declares.events
    couriers.set(provider.instance, createCourier({ ...deps, instance: provider.instance, declared }))
  }

  return {
    start() {
      if (endings.length > 0) return
      const wakeAll = () => {
        for (const courier of couriers.values()) courier.wake()
      }
      endings = [deps.events.subscribe(wakeAll), deps.hooks.onProvidersChanged(match)]
      match()
    },
    async stop() {
      for (const end of endings) end()
      endings = []
      await Promise.all([...[...couriers.values()].map((courier) => courier.stop()), ...leaving.values()])
      couriers.clear()
    },
    deadLetters: (instance) => deadLettersOf(deps.store, instance),
  }
}
