/** Dispatches what guests ask for. A guest chooses only texts: they are looked up in a map, never used as property names. */
import type { CapabilityKind, CapabilityRecord } from '@orchestry/sdk'
import { type ErrorCode, messageOf, OrchestryError } from '../errors.ts'
import { limits } from '../limits.ts'
import { parseUntrustedJson } from '../sandbox/json.ts'
import type {
  AnyCapability,
  Bound,
  Caller,
  Capability,
  CapabilityTable,
  CapabilityUse,
  Operation,
  Violation,
} from './capability.ts'

/** A refusal of what is not granted, as against a failure of what is. */
const refusals: ReadonlySet<ErrorCode> = new Set(['ORC_CAPABILITY_DENIED', 'ORC_NET_BLOCKED_ADDRESS'])
const shownLength = 300

export function createCapabilities(list: readonly AnyCapability[]): CapabilityTable {
  const byKind = new Map<string, Capability>(
    list.map((capability) => [capability.kind, capability as unknown as Capability]),
  )
  const require = (kind: CapabilityKind): Capability => {
    const found = byKind.get(kind)
    if (found !== undefined) return found
    throw new OrchestryError('ORC_CAPABILITY_DENIED', `This Orchestry does not offer the capability "${kind}".`)
  }
  return {
    kinds: list.map((capability) => capability.kind),
    check: (grant) => require(grant.kind).check?.(grant) ?? [],
    checkTogether: () => [],
    pin: async (grant) => (await require(grant.kind).pin?.(grant)) ?? grant,
    narrow: (grant, targets) => require(grant.kind).narrow?.(grant, targets) ?? grant,
    bind: (grants, caller, onViolation) => bind(grants, caller, require, onViolation),
  }
}

interface Row {
  readonly binding: string
  readonly kind: CapabilityKind
  readonly use: CapabilityUse
  allowed: number
  denied: number
}

function bind(
  grants: readonly CapabilityRecord[],
  caller: Caller,
  require: (kind: CapabilityKind) => Capability,
  onViolation: (violation: Violation) => void = () => {},
): Bound {
  const rows: Row[] = []
  const operations = new Map<string, { row: Row; run: Operation }>()
  let isDisposed = false
  const dispose = () => {
    if (isDisposed) return
    isDisposed = true
    for (const { use } of rows) use.dispose?.()
  }
  try {
    for (const grant of grants) {
      const binding = grant.as ?? grant.kind
      const onDenied = (operation: string, message: string) => {
        row.denied += 1
        onViolation({ operation: `${binding}.${operation}`, hook: '', message })
      }
      const use = require(grant.kind).use(grant, { ...caller, onDenied })
      const row: Row = { binding, kind: grant.kind, use, allowed: 0, denied: 0 }
      rows.push(row)
      for (const [name, run] of Object.entries(row.use.operations)) operations.set(`${binding}.${name}`, { row, run })
    }
  } catch (thrown) {
    dispose()
    throw thrown
  }

  return {
    bindings: Object.fromEntries(rows.map(({ binding, kind }) => [binding, kind])),
    usage: () => rows.map(({ binding, kind, allowed, denied }) => ({ binding, kind, allowed, denied, targets: [] })),
    reset() {
      for (const { use } of rows) use.reset?.()
    },
    dispose,
    async onHostCall(operation, argumentsJson, invocation) {
      const shown = operation.slice(0, 64)
      const found = operations.get(operation)
      try {
        if (isDisposed) throw new OrchestryError('ORC_CAPABILITY_DENIED', 'the plugin instance was closed')
        if (found === undefined) throw notGranted(shown)
        const result = await found.run(readArguments(shown, argumentsJson), invocation)
        found.row.allowed += 1
        return JSON.stringify(result ?? null)
      } catch (thrown) {
        const error = asGuestError(thrown, shown)
        if (refusals.has(error.code)) {
          if (found !== undefined) found.row.denied += 1
          if (!isDisposed) onViolation({ operation: shown, hook: invocation.hook, message: error.message })
        }
        throw error
      }
    },
  }
}

function notGranted(operation: string): OrchestryError {
  const kind = operation.split('.')[0] ?? ''
  const record = JSON.stringify({ kind, ...(kind === 'net' ? { hosts: ['…'], why: '…' } : {}) })
  return new OrchestryError(
    'ORC_CAPABILITY_DENIED',
    `ctx.${operation} was not granted: add ${record} to orchestry.capabilities in package.json`,
  )
}

function readArguments(operation: string, json: string): readonly unknown[] {
  let parsed: unknown
  try {
    parsed = parseUntrustedJson(json, limits.jsonDepth)
  } catch (thrown) {
    throw new OrchestryError('ORC_CAPABILITY_ARGUMENT', `ctx.${operation}: the arguments are ${messageOf(thrown)}`)
  }
  if (Array.isArray(parsed)) return parsed
  throw new OrchestryError('ORC_CAPABILITY_ARGUMENT', `ctx.${operation}: the arguments are not a list`)
}

/** Our own words cross, cut short; anybody else's could name paths, addresses or secrets. */
function asGuestError(thrown: unknown, operation: string): OrchestryError {
  if (thrown instanceof OrchestryError) return new OrchestryError(thrown.code, thrown.message.slice(0, shownLength))
  return new OrchestryError('ORC_CAPABILITY_FAILED', `ctx.${operation} failed`)
}
