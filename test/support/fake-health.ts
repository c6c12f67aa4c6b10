/** Health that a test decides: per replica, or by a rule for every new one. */
import type { Clock } from '../../runtime/clock.ts'
import type { Instance } from '../../runtime/drivers/driver.ts'
import type { Health, HealthState, HealthStatus } from '../../runtime/health/health.ts'

export interface FakeHealth extends Pick<Health, 'stateOf' | 'onChange'> {
  set(instance: { id: string; app: string }, status: HealthStatus, message?: string): void
  problem(instance: { id: string }, text: string): void
  /** What a probe of the instance finds once it has been there for a while; undefined: no answer. */
  rule: (instance: Instance) => { status: HealthStatus; afterMs: number } | undefined
  /** Tells health of an instance; it is probed by the rule. */
  sees(instance: Instance): void
}

export function createFakeHealth(clock: Clock): FakeHealth {
  const states = new Map<string, HealthState>()
  const listeners = new Set<Parameters<Health['onChange']>[0]>()
  const health: FakeHealth = {
    stateOf: (id) => states.get(id),
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    set({ id, app }, status, message) {
      const from = states.get(id)?.status ?? 'unknown'
      const last = { status, atMs: clock.now(), ...(message === undefined ? {} : { message }) }
      states.set(id, { status, sinceMs: clock.now(), streak: 0, last })
      if (from === status) return
      for (const listener of listeners) listener({ app, instance: id, from, to: status })
    },
    problem({ id }, text) {
      states.set(id, { ...(states.get(id) ?? { status: 'unknown', sinceMs: 0, streak: 0 }), problem: text })
    },
    rule: () => ({ status: 'healthy', afterMs: 100 }),
    sees(instance) {
      const found = health.rule(instance)
      if (!found || states.has(instance.id)) return
      states.set(instance.id, { status: 'unknown', sinceMs: clock.now(), streak: 0 })
      clock.after(found.afterMs, () => health.set(instance, found.status))
    },
  }
  return health
}
