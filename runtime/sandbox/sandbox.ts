/** The port of the engine that runs plugin code. Identity and grants belong to the object, never to a message. */

import type { ErrorCode } from '../errors.ts'
import type { EffectiveLimits } from '../limits.ts'

/** A plugin ready to run: one script, compiled by us from its package. */
export interface Bundle {
  readonly plugin: string
  readonly version: string
  readonly source: string
  /** sha-256 of the source, in hex. */
  readonly hash: string
}

/** Answers host calls of one plugin instance. Arguments and result are JSON texts; a throw crosses as its code. */
export type HostCall = (operation: string, argumentsJson: string, invocation: Invocation) => Promise<string>

/** What the host knows of the hook call that a host call was made from; set by the host, never by the guest. */
export interface Invocation {
  readonly hook: string
  /** `ip:port` of the app instances that were handed to this call. */
  readonly endpoints: ReadonlySet<string>
  readonly deadlineMs: number
  /** Of a call that is about an event of a plugin: how many such events led to it, one to the other. */
  readonly eventDepth?: number | undefined
}

export interface InstanceOptions {
  readonly name: string
  readonly configJson: string
  /** Binding name → capability kind; what `ctx` will hold. */
  readonly bindings: Readonly<Record<string, string>>
  readonly onHostCall: HostCall
  /** Called before `activate` runs again in a new isolate: what the old one had started (timers) is over. */
  readonly onReopen?: () => void
}

/** What the top level of a plugin declared. */
export interface Description {
  /** Hook kind → the names of its functions, and its plain data (`metrics`, `protocol`, …). */
  readonly hooks: Readonly<
    Record<string, { functions: readonly string[]; declares: Readonly<Record<string, unknown>> }>
  >
  /** JSON schema, absent when the plugin takes no config. */
  readonly configSchema?: Readonly<Record<string, unknown>>
  readonly lifecycle: readonly string[]
}

export interface CallOptions {
  readonly hook: string
  readonly function: string
  readonly per: 'item' | 'call'
  readonly timeoutMs: number
  readonly endpoints?: ReadonlySet<string>
  readonly eventDepth?: number | undefined
  /**
   * For the accounting and for blame: the app of each item, in their order; of a single item also all apps that it is about.
   * '' stands for none.
   */
  readonly apps?: readonly string[]
}

/** One slot of a batch, in the order of its items. `value` is plain JSON data, not checked against any schema yet. */
export type GuestAnswer = { ok: true; value: unknown } | { ok: false; code: ErrorCode; message: string; line?: string }

export interface InstanceUsage {
  readonly calls: number
  readonly errors: number
  readonly cpuMs: number
  readonly wallMs: number
  readonly heapMb: number
  readonly peakHeapMb: number
  readonly hostCalls: number
  readonly bytesIn: number
  readonly bytesOut: number
  /** What was refused or thrown away instead of being done: calls without a place, host calls above the pace. */
  readonly drops: number
}

/** What one hook has used. */
export interface HookUsage extends Omit<InstanceUsage, 'heapMb'> {
  readonly hook: string
}

/**
 * What one hook has used for one app. Of a batch each app is charged its share of time, host calls and bytes, and the errors of
 * its own items; it counts as one call to each app that is in it.
 */
export interface UsageRow extends HookUsage {
  readonly app: string
}

/** One named instance of a plugin: an isolate of its own inside the plugin's sandbox host. */
export interface SandboxInstance {
  readonly name: string
  /** Each item is a JSON text. Never rejects: a failure of the whole call fills every slot. Settles exactly once. */
  call(items: readonly string[], options: CallOptions): Promise<GuestAnswer[]>
  usage(): InstanceUsage
  usageByHook(): HookUsage[]
  /** The same by hook and app; what is beyond the bound on rows is summed under the app ''. */
  usageRows(): UsageRow[]
  dispose(): Promise<void>
}

export type SandboxState = 'starting' | 'serving' | 'restarting' | 'quarantined' | 'closed'

/** `processReplaced`: the process had ended by itself, and another one was started. */
export type IncidentAction = 'refused' | 'isolateReplaced' | 'processKilled' | 'processReplaced' | 'quarantined'

export interface SandboxIncident {
  readonly code: ErrorCode
  readonly message: string
  readonly hook?: string
  readonly instance?: string
  readonly app?: string
  /** `queue.ts:3:12`, where it is known. */
  readonly line?: string
  /** What the host did about it. */
  readonly action?: IncidentAction
  readonly atMs: number
}

/** One plugin version in its own powerless process. Restarts it when it dies, quarantines it when it keeps dying. */
export interface PluginSandbox {
  readonly state: SandboxState
  readonly restarts: number
  readonly pid: number | undefined
  readonly memoryMb: number
  describe(): Promise<Description>
  /** Runs `validateConfig` of the plugin, without any grant. */
  validateConfig(configJson: string): Promise<string[]>
  /** Makes the isolate and runs `activate`. Throws ORC_PLUGIN_ACTIVATE_FAILED. */
  open(options: InstanceOptions): Promise<SandboxInstance>
  /** Ends a quarantine by hand. */
  reset(): Promise<void>
  onIncident(listener: (incident: SandboxIncident) => void): () => void
  onState(listener: (state: SandboxState) => void): () => void
  close(): Promise<void>
}

/** How strictly the operating system confines sandbox processes: 3 namespaces and seccomp, 2 own user, 1 resource limits, 0 nothing. */
export type Tier = 0 | 1 | 2 | 3

/** For `GET /api/v1/sandbox`: what holds on this machine, in words for an operator. */
export interface SandboxDescription {
  readonly engine: string
  readonly node: string
  readonly tier: Tier
  /** Plugins that did not come with Orchestry are not run below it. */
  readonly floor: Tier
  /** One sentence. */
  readonly isolation: string
  readonly holds: readonly string[]
  readonly lacks: readonly string[]
  /** Every tier from the strictest on, and why one cannot be had here. */
  readonly tiers: readonly { readonly tier: Tier; readonly isAvailable: boolean; readonly why?: string }[]
}

export interface Sandbox {
  readonly description: SandboxDescription
  load(bundle: Bundle, limits: EffectiveLimits): Promise<PluginSandbox>
  close(): Promise<void>
}
