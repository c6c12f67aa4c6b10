/** Calls capabilities as a guest would, without a sandbox. */
import type { CapabilityRecord } from '@orchestry/sdk'
import type { AnyCapability, Bound, Caller, Violation } from '../../runtime/capabilities/capability.ts'
import { createCapabilities } from '../../runtime/capabilities/table.ts'

export interface GuestBound {
  readonly bound: Bound
  readonly violations: Violation[]
  /** Arguments and result cross as JSON, like from a sandbox. */
  call(operation: string, ...args: unknown[]): Promise<unknown>
  /** As in a hook call that was handed these `ip:port`. */
  callWith(
    options: { endpoints?: Iterable<string>; timeoutMs?: number; eventDepth?: number },
    operation: string,
    ...args: unknown[]
  ): Promise<unknown>
}

export function bindAs(capability: AnyCapability, grant: CapabilityRecord, caller: Partial<Caller> = {}): GuestBound {
  const violations: Violation[] = []
  const bound = createCapabilities([capability]).bind(
    [grant],
    { plugin: '@test/plugin', instance: 'one', ...caller },
    (violation) => void violations.push(violation),
  )
  const callWith: GuestBound['callWith'] = async (
    { endpoints = [], timeoutMs = 5_000, eventDepth },
    operation,
    ...args
  ) => {
    const deadlineMs = performance.now() + timeoutMs
    const invocation = { hook: 'test', endpoints: new Set(endpoints), deadlineMs, eventDepth }
    return JSON.parse(await bound.onHostCall(operation, JSON.stringify(args), invocation)) as unknown
  }
  return { bound, violations, callWith, call: (operation, ...args) => callWith({}, operation, ...args) }
}
