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
  /** Says that something was refused although the operation as a whole goes on. Set by the table. */
  readonly onDenied?: (operation: string, message: string) => void
  /** Calls the guest's function behind a timer; resolves when it is done, whether it failed or not. */
  readonly fire?: (timerId: string) => Promise<void>
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
  /** Made once per grant and plugin instance. */
  use(grant: GrantOf<K>, caller: Caller): CapabilityUse
}

/** A capability of whatever kind: each one only ever gets grants of its own kind, which the table sees to. */
export type AnyCapability = { [K in CapabilityKind]: Capability<K> }[CapabilityKind]

/** How often a binding was used, for `plugin show` and for narrowing grants. */
export interface CapabilityUsage {
  readonly binding: string
  readonly kind: CapabilityKind
  readonly allowed: number
  readonly denied: number
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
  bind(grants: readonly CapabilityRecord[], caller: Caller, onViolation?: (violation: Violation) => void): Bound
}
