/** What the API is made of: the ports it shows to the outside, and nothing else. */
import type { HttpBindings } from '@hono/node-server'
import type { Hono } from 'hono'
import type { Apps } from '../apps/app.ts'
import type { Balancing } from '../balancing/balancing.ts'
import type { PluginLogLine } from '../capabilities/capability.ts'
import type { Clock } from '../clock.ts'
import type { Config } from '../config.ts'
import type { Dashboard } from '../dashboard/dashboard.ts'
import type { Driver, LogLine } from '../drivers/driver.ts'
import type { Events } from '../events/events.ts'
import type { Health } from '../health/health.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics/metrics.ts'
import type { Plugins } from '../plugins/plugins.ts'
import type { Reconciler, Rollouts } from '../reconcile/reconcile.ts'
import type { Sandbox } from '../sandbox/sandbox.ts'
import type { Scaling } from '../scaling/decision.ts'
import type { Secrets } from '../secrets/secrets.ts'

export interface ApiDeps {
  readonly apps: Pick<Apps, 'list' | 'get' | 'require' | 'apply' | 'remove' | 'setRunning' | 'setPaused' | 'setScaling'>
  readonly scaling: Pick<Scaling, 'latest' | 'list' | 'scaleByHand'>
  readonly reconciler: Pick<
    Reconciler,
    'markDirty' | 'status' | 'instances' | 'settled' | 'rollout' | 'history' | 'onInstancesChanged'
  >
  readonly rollouts: Rollouts
  readonly health: Pick<Health, 'checkNow'>
  readonly metrics: Pick<Metrics, 'snapshot' | 'series' | 'metricNames'>
  readonly events: Pick<Events, 'list' | 'subscribe'>
  readonly plugins: Pick<
    Plugins,
    | 'list'
    | 'show'
    | 'install'
    | 'approve'
    | 'enable'
    | 'disable'
    | 'remove'
    | 'configure'
    | 'reset'
    | 'usageOf'
    | 'usesOf'
    | 'tighten'
  >
  /** The newest lines that a plugin logged, oldest first. */
  readonly pluginLogs: (plugin: string, lines: number) => readonly PluginLogLine[]
  readonly balancing: Pick<Balancing, 'status' | 'problem'>
  readonly secrets: Pick<Secrets, 'list' | 'put' | 'remove' | 'redactData'>
  /** The newest lines of an app's replicas, oldest first. `lines` counts per replica. */
  readonly logs: (app: string, options: { lines: number; instance?: string }) => Promise<readonly LogLine[]>
  /** How a replica of the app is followed; undefined where its driver cannot. */
  readonly followerOf: (app: string) => FollowInstance | undefined
  readonly exposition: { text(): string | Promise<string>; readonly contentType: string }
  readonly sandbox: Sandbox['description']
  readonly config: Config
  readonly clock: Pick<Clock, 'now' | 'sleep'>
  readonly log: Pick<Log, 'error' | 'warn'>
  readonly readiness: () => Readiness | Promise<Readiness>
  readonly dashboard: Dashboard
  /** Where apps' traffic really comes in; undefined while it cannot. */
  readonly proxyAddress: () => { readonly host: string; readonly port: number } | undefined
}

export type FollowInstance = NonNullable<Driver['follow']>

export interface Readiness {
  readonly ok: boolean
  readonly problems: readonly string[]
}

/** Absent `incoming` and `closing`: a request that was injected without a socket. */
export type ApiEnv = { Bindings: Partial<HttpBindings> & { readonly closing?: AbortSignal } }
export type Api = Hono<ApiEnv>
