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

export interface Health {
  stateOf(instanceId: string): HealthState | undefined
  /** Probes all replicas of the app now and resolves with their states. */
  checkNow(app: string): Promise<ReadonlyMap<string, HealthState>>
  /** Only changes of status. */
  onChange(
    listener: (change: { app: string; instance: string; from: HealthStatus; to: HealthStatus }) => void,
  ): () => void
  start(): void
  stop(): Promise<void>
}
