/** The port of installed plugins: how a package gets in, and what became of it. */
import type { CapabilityRecord, Manifest } from '@orchestry/sdk'
import type { CapabilityUsage } from '../capabilities/capability.ts'
import type { EffectiveLimits, LimitBounds } from '../limits.ts'
import type {
  Description,
  HookUsage,
  InstanceUsage,
  PluginSandbox,
  SandboxIncident,
  SandboxInstance,
  UsageRow,
} from '../sandbox/sandbox.ts'

/** `serving` means: every enabled instance can be called. */
export type PluginState =
  | 'installed'
  | 'unconfigured'
  | 'activating'
  | 'serving'
  | 'restarting'
  | 'failed'
  | 'quarantined'
  | 'disabled'

/** What the store keeps of a plugin: enough to start it again offline. */
export interface LockEntry {
  readonly id: string
  readonly version: string
  readonly source: { readonly kind: 'builtin' | 'directory'; readonly path: string }
  /** sha-256 of the compiled bundle; its text is in the content store under this name. */
  readonly bundleHash: string
  /** sha-256 over the package's files. */
  readonly treeHash: string
  /** sha-256 over what compiled it: another SDK makes another bundle of the same files. */
  readonly sdkHash: string
  readonly manifest: Manifest
  readonly description: Description
  readonly isEnabled: boolean
  readonly isJitGranted: boolean
  readonly instances: readonly InstanceRecord[]
  readonly installedAtMs: number
  readonly previousVersion?: string
  readonly pending?: PendingVersion
}

/** A version that asks for more than was granted: it is brought up when the operator approves, and waits until then. */
export interface PendingVersion
  extends Pick<LockEntry, 'version' | 'source' | 'bundleHash' | 'treeHash' | 'sdkHash' | 'manifest'> {
  /** What was given with it. */
  readonly config?: unknown
  readonly instance?: string
  /** What it asks for in addition, in words. */
  readonly differences: readonly string[]
  /** What its instances were to have when it asked; a yes is to that and to no more. Absent in what older versions stored. */
  readonly instances?: readonly Pick<InstanceRecord, 'name' | 'grants'>[]
  readonly askedAtMs: number
}

export interface InstanceRecord {
  readonly name: string
  /** Complete, with every default of this version. */
  readonly config: unknown
  /** What the operator wrote: the next version fills in its own defaults. */
  readonly given?: unknown
  /** Capabilities with `${config.x}` replaced: exactly what the instance may do. */
  readonly grants: readonly CapabilityRecord[]
  /** What the operator agreed to before the grants were tightened; absent where they were not. */
  readonly agreed?: readonly CapabilityRecord[]
  /** Answers for apps that name none of its kinds. */
  readonly isDefault: boolean
}

/** One incident as an operator reads it in `plugin show`. */
export interface Incident extends SandboxIncident {
  readonly plugin: string
  readonly version: string
}

export interface PluginView {
  readonly id: string
  readonly version: string
  readonly source: LockEntry['source']
  readonly state: PluginState
  /** Why it is not serving, for people. */
  readonly problem?: string
  readonly hooks: readonly string[]
  readonly capabilities: readonly CapabilityRecord[]
  readonly limits: EffectiveLimits
  readonly limitsBoundBy?: LimitBounds
  readonly instances: readonly {
    readonly name: string
    readonly config: unknown
    readonly isDefault: boolean
    readonly breaker: 'closed' | 'open' | 'halfOpen'
    /** What this instance was granted: values of its own config are in it. */
    readonly grants: readonly CapabilityRecord[]
    readonly isTightened: boolean
    readonly usage?: InstanceUsage
    readonly usageByHook?: readonly HookUsage[]
  }[]
  readonly configSchema?: Readonly<Record<string, unknown>>
  /** Waits for `approve`. */
  readonly pending?: Pick<PendingVersion, 'version' | 'differences' | 'askedAtMs'>
  readonly restarts: number
  readonly memoryMb: number
  readonly pid?: number
  readonly incidents: readonly Incident[]
}

/** What one grant would be if it allowed only what it was used for. */
export interface TightenedBinding {
  readonly binding: string
  /**
   * `dropped`: optional and never used. `unused`: never used, but the plugin counts on it, so it stays. `untraced`: used
   * without asking the host each time, so nothing is known.
   */
  readonly outcome: 'narrower' | 'dropped' | 'kept' | 'unused' | 'untraced'
  readonly before: CapabilityRecord
  /** Absent when it is dropped. */
  readonly after?: CapabilityRecord
  readonly allowed: number
  readonly denied: number
  readonly sinceMs?: number
}

export interface TightenView {
  readonly id: string
  readonly isApplied: boolean
  readonly instances: readonly {
    readonly name: string
    /** Whether anything would go away. */
    readonly isTighter: boolean
    readonly bindings: readonly TightenedBinding[]
  }[]
}

/** What an instance may do, and what it used that for. */
export interface InstanceUse {
  readonly name: string
  readonly grants: readonly CapabilityRecord[]
  /** Whether it may do less than the manifest asks for, because its grants were tightened. */
  readonly isTightened: boolean
  readonly uses: readonly (CapabilityUsage & { readonly sinceMs: number })[]
}

/** What a plugin has used since its sandbox was made; nothing of an instance that has none. */
export interface PluginUsageView extends Pick<PluginView, 'id' | 'state' | 'restarts' | 'memoryMb' | 'pid'> {
  readonly instances: readonly {
    readonly name: string
    readonly breaker: 'closed' | 'open' | 'halfOpen'
    readonly usage?: InstanceUsage
    readonly hooks: readonly HookUsage[]
    /** By hook and app. */
    readonly rows: readonly UsageRow[]
  }[]
}

/** A plugin instance that can be called, as the hooks room needs it. */
export interface LiveInstance {
  readonly plugin: string
  readonly version: string
  readonly name: string
  readonly isDefault: boolean
  readonly limits: EffectiveLimits
  readonly hooks: Description['hooks']
  /** Absent while the plugin is not serving. */
  readonly sandbox?: SandboxInstance
}

export interface ConfigureOptions {
  readonly instance?: string
  readonly isDefault?: boolean
}

export interface TightenOptions {
  readonly isToApply?: boolean
  readonly isToUndo?: boolean
  readonly instance?: string
}

export interface Plugins {
  list(): PluginView[]
  /** By id, or by the part after the scope where that is unambiguous. Throws ORC_PLUGIN_UNKNOWN. */
  show(id: string): PluginView
  usageOf(id: string): PluginUsageView
  /**
   * From a directory on this machine. The same id again is an upgrade: the old version serves until the new one does.
   * Throws ORC_PLUGIN_CONSENT_NEEDED for what was not agreed to; such an upgrade is kept until it is approved.
   */
  install(options: {
    path: string
    config?: unknown
    instance?: string
    kind?: 'builtin' | 'directory'
    /** The operator agrees to everything that the manifest asks for. */
    isAgreed?: boolean
  }): Promise<PluginView>
  /** Brings up the version that waits. Throws ORC_PLUGIN_NOTHING_PENDING. */
  approve(id: string): Promise<PluginView>
  enable(id: string): Promise<PluginView>
  disable(id: string): Promise<PluginView>
  remove(id: string): Promise<void>
  /**
   * A config left undefined stays as it is. As the default it answers for apps that name none of its kinds, and of a kind that
   * only one can answer for, every other is the default no more.
   */
  configure(id: string, config: unknown, options?: ConfigureOptions): Promise<PluginView>
  usesOf(id: string): InstanceUse[]
  /**
   * What the instances, or the named one, would have needed; with `isToApply` that is all they have from now on, with
   * `isToUndo` they have again all that was agreed to.
   */
  tighten(id: string, options?: TightenOptions): Promise<TightenView>
  /** Ends quarantine and open breakers. */
  reset(id: string): Promise<PluginView>
  liveInstances(): LiveInstance[]
  sandboxOf(id: string): PluginSandbox | undefined
  onChange(listener: () => void): () => void
  /** Loads every directory of built-ins, then everything in the lock; one that fails hinders nobody. */
  start(): Promise<void>
  stop(): Promise<void>
}
