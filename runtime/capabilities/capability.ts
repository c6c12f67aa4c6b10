/** The shape of a capability: one file holds its names, its check and what the host does when a guest uses it. */
import type { CapabilityKind, CapabilityRecord } from '@orchestry/sdk'
import type { EffectiveLimits } from '../limits.ts'
import type { HostCall, Invocation } from '../sandbox/sandbox.ts'

/** Who is calling, as the host knows it. */
export interface Caller {
  readonly plugin: string
  readonly instance: string
  /** The plugin's own limits; absent in tests. */
  readonly limits?: Pick<EffectiveLimits, 'logKbPerMin' | 'timeoutMs'>
  /** What was counted for this instance before: counting goes on from there. */
  readonly usedBefore?: readonly CapabilityUsage[]
  /** Says that something was refused although the operation as a whole goes on. Set by the table. */
  readonly onDenied?: (operation: string, message: string) => void
  /** Secrets that may stand as `secret://name` where the host sends something in the plugin's name. Set by the table. */
  readonly injectable?: ReadonlySet<string>
  /**
   * Tells each decision with the resolved target it was about (`GET https://api.example:443/v1/jobs`, `SET queue:7`), for the
   * capability trace. Set by the table, which counts operations that tell nothing under their own name.
   */
  readonly onUse?: (operation: string, target: string, isAllowed: boolean) => void
  /**
   * Calls the guest's function behind a timer; resolves when it is done, whether it failed or not. `eventDepth` is that of
   * the call that made the timer.
   */
  readonly fire?: (timerId: string, eventDepth?: number) => Promise<void>
}

export type GrantOf<K extends CapabilityKind> = Extract<CapabilityRecord, { kind: K }>

/** Answers one operation. Arguments come parsed but unchecked; the result must be JSON data. */
export type Operation = (args: readonly unknown[], invocation: Invocation) => Promise<unknown> | unknown

export interface CapabilityUse {
  readonly operations: Readonly<Record<string, Operation>>
  /** The isolate began anew: what the old one had started is over, the grant is not. */
  reset?(): void
  /** Ends timers and connections; safe after half a start. */
  dispose?(): void
}

export interface Capability<K extends CapabilityKind = CapabilityKind> {
  readonly kind: K
  /** What is wrong with a resolved grant; empty when it may be given. */
  check?(grant: GrantOf<K>): string[]
  /** What the operator agrees to, where the record leaves that to be found out (the digest of a program). Kept in the lock. */
  pin?(grant: GrantOf<K>): Promise<GrantOf<K>>
  /**
   * The narrowest grant that would have allowed these targets, as `onUse` told them; undefined where there is nothing to
   * narrow. Pure.
   */
  narrow?(grant: GrantOf<K>, targets: readonly string[]): GrantOf<K> | undefined
  /** Made once per grant and plugin instance. */
  use(grant: GrantOf<K>, caller: Caller): CapabilityUse
  /** Whatever goes on in the name of an instance without such a grant ends. Gets only grants of its own kind. */
  retain?(instances: readonly GrantedInstance[]): Promise<void>
  /** The plugin was removed: whatever is kept in its name goes. */
  forget?(plugin: string): Promise<void> | void
}

/** A capability of whatever kind: each one only ever gets grants of its own kind, which the table sees to. */
export type AnyCapability = { [K in CapabilityKind]: Capability<K> }[CapabilityKind]

/** An instance of an enabled plugin, and all that it was granted. */
export interface GrantedInstance {
  readonly plugin: string
  readonly instance: string
  readonly grants: readonly CapabilityRecord[]
}

/** How often a binding was used, for `plugin show` and for narrowing grants. */
export interface CapabilityUsage {
  readonly binding: string
  readonly kind: CapabilityKind
  readonly allowed: number
  readonly denied: number
  readonly targets: readonly TargetUsage[]
}

/** Uses of one operation on one distinct resolved target. */
export interface TargetUsage {
  readonly operation: string
  readonly target: string
  readonly allowed: number
  readonly denied: number
  readonly lastAtMs: number
}

/** The grants of one plugin instance, ready to be called through its sandbox. */
export interface Bound {
  /** Binding name → kind: what `ctx` will hold. */
  readonly bindings: Readonly<Record<string, CapabilityKind>>
  readonly onHostCall: HostCall
  usage(): CapabilityUsage[]
  reset(): void
  /** Idempotent; calls that come later are refused. */
  dispose(): void
}

/** One line of a plugin's own log. */
export interface PluginLogLine {
  readonly atMs: number
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly instance: string
  /** Controls escaped. */
  readonly message: string
  /** JSON text of the fields, controls escaped. */
  readonly fields?: string
}

/** A use that was refused: something an operator should see. */
export interface Violation {
  readonly operation: string
  readonly hook: string
  readonly message: string
}

/** The port: every capability this runtime offers. */
export interface CapabilityTable {
  readonly kinds: readonly CapabilityKind[]
  /** What is wrong with a resolved grant; empty when it may be given. */
  check(grant: CapabilityRecord): string[]
  /** What is wrong with grants that are harmless one by one (writing a program that may be run). */
  checkTogether(grants: readonly CapabilityRecord[]): string[]
  /** See `Capability.pin`. Throws ORC_CAPABILITY_DENIED in words for the operator. */
  pin(grant: CapabilityRecord): Promise<CapabilityRecord>
  /** See `Capability.narrow`; the grant itself where it cannot be narrower. */
  narrow(grant: CapabilityRecord, targets: readonly string[]): CapabilityRecord
  bind(grants: readonly CapabilityRecord[], caller: Caller, onViolation?: (violation: Violation) => void): Bound
  /** Ends what instances left running that they are not granted any more, by all the instances there are and their grants. */
  retain(instances: readonly GrantedInstance[]): Promise<void>
  /** Deletes what any capability keeps of a plugin that was removed. */
  forget(plugin: string): Promise<void>
}
