/** The shape of a capability: one file holds its names, its check and what the host does when a guest uses it. */
import type { CapabilityKind, CapabilityRecord } from '@orchestry/sdk'
import type { Invocation } from '../sandbox/sandbox.ts'

/** Who is calling, as the host knows it. */
export interface Caller {
  readonly plugin: string
  readonly instance: string
}

export type GrantOf<K extends CapabilityKind> = Extract<CapabilityRecord, { kind: K }>

/** Answers one operation. Arguments come parsed but unchecked; the result must be JSON data. */
export type Operation = (args: readonly unknown[], invocation: Invocation) => Promise<unknown> | unknown

export interface CapabilityUse {
  readonly operations: Readonly<Record<string, Operation>>
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
