/**
 * Asks load balancers now and then at which replicas requests failed. Off everybody's path: who does not answer is not asked again
 * before it has, and costs nobody anything. What they tell condemns no replica, it only makes others look.
 */
import type { EndpointSignal } from '@orchestry/sdk'
import type { Clock } from '../clock.ts'
import type { Hooks } from '../hooks/hooks.ts'
import { limits } from '../limits.ts'
import type { Log } from '../log.ts'

const everyMs = 1_000

export interface Signals {
  start(): void
  stop(): void
}

export interface SignalsDeps {
  readonly hooks: Pick<Hooks, 'providers' | 'exclusive'>
  readonly clock: Pick<Clock, 'every'>
  readonly log: Pick<Log, 'info' | 'warn'>
  /** Requests to this endpoint failed. It may be of an app or a replica that is no more. Must not throw. */
  readonly onFailing: (signal: EndpointSignal) => void
}

export function createSignals({ hooks, clock, log, onFailing }: SignalsDeps): Signals {
  /** Who owes an answer. */
  const asked = new Set<string>()
  const failing = new Set<string>()
  let cancel: (() => void) | undefined

  async function ask(instance: string): Promise<void> {
    const answer = await hooks.exclusive('loadBalancer', 'signals', instance, null)
    if (cancel === undefined) return
    if (!answer.ok) {
      const { code, message } = answer.failure
      if (!failing.has(instance)) log.warn({ instance, code, message }, 'a load balancer does not tell what it sees')
      failing.add(instance)
      return
    }
    if (failing.delete(instance)) log.info({ instance }, 'a load balancer tells again what it sees')
    for (const signal of answer.value.slice(0, limits.endpointSignals)) if (signal.failed > 0) onFailing(signal)
  }

  function askAll(): void {
    for (const { instance, isServing, functions } of hooks.providers('loadBalancer')) {
      if (!isServing || !functions.includes('signals') || asked.has(instance)) continue
      asked.add(instance)
      ask(instance)
        .catch((thrown: unknown) =>
          log.warn({ err: thrown, instance }, 'what a load balancer sees could not be asked for'),
        )
        .finally(() => asked.delete(instance))
    }
  }

  return {
    start() {
      cancel ??= clock.every(everyMs, askAll)
    },
    stop() {
      cancel?.()
      cancel = undefined
    },
  }
}
