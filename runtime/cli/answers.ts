/** What the API answers, as far as the commands read it. */
import type { HealthCheck, Metrics, OrchestryEvent } from '@orchestry/sdk'
import type { PluginLogLine } from '../capabilities/capability.ts'
import type { ContainerSecurity, LogLine, Volume } from '../drivers/driver.ts'
import type { HealthState } from '../health/health.ts'
import type { PluginUsageView, PluginView, TightenedBinding, TightenView } from '../plugins/plugins.ts'
import type { AppStatus, InstanceView, RolloutEntry, RolloutView } from '../reconcile/reconcile.ts'
import type { Decision } from '../scaling/decision.ts'

export type {
  Decision,
  InstanceView,
  LogLine,
  OrchestryEvent,
  PluginLogLine,
  PluginUsageView,
  PluginView,
  RolloutView,
  TightenedBinding,
  TightenView,
}

export interface AppAnswer {
  readonly name: string
  /** Where its load balancer takes requests; of one app only. */
  readonly url?: string
  readonly driver: string
  readonly image?: string
  readonly ports: readonly { readonly containerPort: number; readonly protocol: string }[]
  readonly volumes?: readonly Volume[]
  readonly security?: ContainerSecurity
  readonly resources: { readonly cpuMilli?: number; readonly memoryBytes?: number; readonly pids?: number }
  readonly phase: AppStatus['phase']
  readonly isRunning: boolean
  readonly desired: number
  readonly running: number
  readonly serving: number
  readonly problems: readonly string[]
  readonly progress?: readonly string[]
  readonly rollout?: string
  readonly mode: 'auto' | 'manual'
  readonly minReplicas: number
  readonly maxReplicas: number
  readonly paused: 'none' | 'all' | 'in' | 'out'
  readonly route: { readonly host?: string; readonly path: string }
  readonly version: string
  readonly revision: number
  readonly decision?: Pick<Decision, 'action' | 'from' | 'to' | 'reason' | 'atMs' | 'by' | 'winner'>
}
export interface Applied {
  readonly outcome: 'created' | 'changed' | 'unchanged'
  readonly app: AppAnswer
}
export interface Accepted {
  readonly app: AppAnswer
  readonly isSettled: boolean
  readonly decision?: Decision
}
export interface RolloutHistory {
  readonly entries: readonly (RolloutEntry & { readonly isApplied: boolean })[]
}
export interface AppPage {
  readonly apps: readonly AppAnswer[]
  readonly next?: string
}
export interface DecisionPage {
  readonly decisions: readonly Decision[]
  readonly latest?: Decision
  readonly next?: string
}
export interface EventPage {
  readonly events: readonly OrchestryEvent[]
  readonly next?: string
}
export interface InstanceList {
  readonly instances: readonly InstanceView[]
}
export interface MetricsAnswer {
  readonly atMs: number
  readonly windowSeconds: number
  readonly metrics: Metrics
}
export interface HealthAnswer {
  readonly hasHealthCheck: boolean
  readonly protocol?: string
  readonly healthCheck?: HealthCheck
  readonly healthy: number
  readonly unhealthy: number
  readonly unknown: number
  readonly problems: readonly string[]
  readonly instances: readonly { readonly id: string; readonly rotation?: string; readonly health?: HealthState }[]
}
export interface SecretAnswer {
  readonly name: string
  readonly createdAtMs: number
  readonly updatedAtMs: number
  readonly apps: readonly string[]
  readonly plugins: readonly string[]
}
export interface LogAnswer {
  readonly lines: readonly LogLine[]
}
export interface ReadyAnswer {
  readonly ok: boolean
  readonly problems: readonly string[]
}
