/** The port of replica health. Probes on its own clock and only reports changes; nothing here acts. */
import type { HealthResult } from '@orchestry/sdk'

export type HealthStatus = 'healthy' | 'unhealthy' | 'unknown'

export interface HealthState {
  readonly status: HealthStatus
  readonly sinceMs: number
  /** Same answers in a row that point away from the present status. */
  readonly streak: number
  readonly last?: HealthResult & { readonly atMs: number }
  /** Set when the check itself could not be made. */
  readonly problem?: string
}

/** One probe that was made. `unknown`: there was no decisive answer. */
export interface Checked {
  readonly app: string
  readonly status: HealthStatus
  /** As the plugin measured it; absent where it does not tell. */
  readonly responseTimeMs?: number
}

export interface Health {
  stateOf(instanceId: string): HealthState | undefined
  /** Probes all replicas of the app now and resolves with their states. */
  checkNow(app: string): Promise<ReadonlyMap<string, HealthState>>
  /** Only changes of status. */
  onChange(
    listener: (change: { app: string; instance: string; from: HealthStatus; to: HealthStatus }) => void,
  ): () => void
  /**
   * Somebody saw requests to the replica fail. That condemns nobody: it is probed at once, and eagerly until it has shown how it
   * stands. One that has shown lately that it is well, starts, or is not probed at all, is left alone.
   */
  suspect(instanceId: string): void
  /** Every probe that was made. */
  onChecked(listener: (checked: Checked) => void): () => void
  start(): void
  stop(): Promise<void>
}
