/** What is held of one replica that is probed. */
import type { Instance } from '../drivers/driver.ts'
import type { HealthState } from './health.ts'
import { initialState } from './status.ts'
import type { Suspicion } from './suspicion.ts'

export interface Probe {
  readonly app: string
  instance: Instance
  /** Monotonic. */
  readonly startedAtMs: number
  state: HealthState
  /** Older than its startup budget when first seen: it was running before we were. */
  readonly isAdopted: boolean
  hasBeenHealthy: boolean
  /** It has had its first pause as one that is up. */
  hasSettled: boolean
  isUnderWay: boolean
  suspicion: Suspicion | undefined
  /** Monotonic: until then nobody's word against it is heard. */
  trustedUntilMs: number
  waiters: (() => void)[]
}

export function createProbe(
  app: string,
  instance: Instance,
  born: Pick<Probe, 'startedAtMs' | 'isAdopted'>,
  nowMs: number,
): Probe {
  return {
    app,
    instance,
    state: initialState(nowMs),
    ...born,
    hasBeenHealthy: false,
    hasSettled: false,
    isUnderWay: false,
    suspicion: undefined,
    trustedUntilMs: 0,
    waiters: [],
  }
}

/** Healthy, and its last answer was too. */
export function isWell({ state }: Probe): boolean {
  return state.status === 'healthy' && state.streak === 0
}

/** Lets those go who wait for an answer. */
export function release(probe: Probe): void {
  const waiters = probe.waiters
  probe.waiters = []
  for (const wake of waiters) wake()
}
