/** The port of installed plugins: how a package gets in, and what became of it. */
import type { CapabilityRecord, Manifest } from '@orchestry/sdk'
import type { EffectiveLimits, LimitBounds } from '../limits.ts'
import type { Description, InstanceUsage, PluginSandbox, SandboxIncident, SandboxInstance } from '../sandbox/sandbox.ts'

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
}

export interface InstanceRecord {
  readonly name: string
  /** Complete, with every default of this version. */
  readonly config: unknown
  /** What the operator wrote: the next version fills in its own defaults. */
  readonly given?: unknown
  /** Capabilities with `${config.x}` replaced: exactly what the operator agreed to. */
  readonly grants: readonly CapabilityRecord[]
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
    readonly usage?: InstanceUsage
  }[]
  readonly configSchema?: Readonly<Record<string, unknown>>
  readonly restarts: number
  readonly memoryMb: number
  readonly pid?: number
  readonly incidents: readonly Incident[]
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

export interface Plugins {
  list(): PluginView[]
  /** By id, or by the part after the scope where that is unambiguous. Throws ORC_PLUGIN_UNKNOWN. */
  show(id: string): PluginView
  /** From a directory on this machine. The same id again is an upgrade: the old version serves until the new one does. */
  install(options: {
    path: string
    config?: unknown
    instance?: string
    kind?: 'builtin' | 'directory'
  }): Promise<PluginView>
  enable(id: string): Promise<PluginView>
  disable(id: string): Promise<PluginView>
  remove(id: string): Promise<void>
  configure(id: string, config: unknown, instance?: string): Promise<PluginView>
  /** Ends quarantine and open breakers. */
  reset(id: string): Promise<PluginView>
  liveInstances(): LiveInstance[]
  sandboxOf(id: string): PluginSandbox | undefined
  onChange(listener: () => void): () => void
  /** Loads every directory of built-ins, then everything in the lock; one that fails hinders nobody. */
  start(): Promise<void>
  stop(): Promise<void>
}
