/** Dispatches what guests ask for. A guest chooses only texts: they are looked up in a map, never used as property names. */
import type { CapabilityKind, CapabilityRecord } from '@orchestry/sdk'
import { type Clock, systemClock } from '../clock.ts'
import { messageOf, OrchestryError } from '../errors.ts'
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
import { combinationProblems } from './combinations.ts'
import { realPathOf } from './real-path.ts'
import { isRefusal } from './refusals.ts'
import { createTrace, isInexact, type Trace } from './trace.ts'

const shownLength = 300

export function createCapabilities(
  list: readonly AnyCapability[],
  clock: Pick<Clock, 'now'> = systemClock,
  /** Hides what nobody is to read in what is remembered of uses: a guest chooses paths and keys. */
  redact: (text: string) => string = (text) => text,
): CapabilityTable {
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
    checkTogether: (grants) => combinationProblems(grants, realPathOf),
    pin: async (grant) => (await require(grant.kind).pin?.(grant)) ?? grant,
    // Where not every target is known whole, nothing can be said about what would have been enough.
    narrow: (grant, targets) =>
      targets.some(isInexact) ? grant : (require(grant.kind).narrow?.(grant, targets) ?? grant),
    bind: (grants, caller, onViolation) => bind(grants, caller, { require, clock, redact }, onViolation),
    async retain(instances) {
      for (const capability of list) await capability.retain?.(instances)
    },
    async forget(plugin) {
      for (const capability of list) await capability.forget?.(plugin)
    },
  }
}

interface Row {
  readonly binding: string
  readonly kind: CapabilityKind
  readonly use: CapabilityUse
  readonly trace: Trace
}

function bind(
  grants: readonly CapabilityRecord[],
  caller: Caller,
  {
    require,
    clock,
    redact,
  }: {
    require: (kind: CapabilityKind) => Capability
    clock: Pick<Clock, 'now'>
    redact: (text: string) => string
  },
  onViolation: (violation: Violation) => void = () => {},
): Bound {
  const rows: Row[] = []
  const operations = new Map<string, { row: Row; name: string; run: Operation }>()
  const injectable = injectableOf(grants)
  let isDisposed = false
  const dispose = () => {
    if (isDisposed) return
    isDisposed = true
    for (const { use } of rows) use.dispose?.()
  }
  try {
    for (const grant of grants) {
      const binding = grant.as ?? grant.kind
      const trace = createTrace(
        caller.usedBefore?.find((one) => one.binding === binding && one.kind === grant.kind)?.targets,
      )
      const onDenied = (operation: string, message: string) =>
        onViolation({ operation: `${binding}.${operation}`, hook: '', message })
      const onUse = (operation: string, target: string, isAllowed: boolean) =>
        trace.record(operation, redact(target), isAllowed, clock.now())
      const use = require(grant.kind).use(grant, { ...caller, injectable, onDenied, onUse })
      const row: Row = { binding, kind: grant.kind, use, trace }
      rows.push(row)
      for (const [name, run] of Object.entries(use.operations)) operations.set(`${binding}.${name}`, { row, name, run })
    }
  } catch (thrown) {
    dispose()
    throw thrown
  }

  return {
    bindings: Object.fromEntries(rows.map(({ binding, kind }) => [binding, kind])),
    usage: () => rows.map(({ binding, kind, trace }) => ({ binding, kind, ...trace.counts(), targets: trace.rows() })),
    reset() {
      for (const { use } of rows) use.reset?.()
    },
    dispose,
    async onHostCall(operation, argumentsJson, invocation) {
      const shown = operation.slice(0, 64)
      const found = operations.get(operation)
      const told = found?.row.trace.told(found.name)
      /** An operation that told what it was about is counted there, and under its own name otherwise. */
      const count = (isAllowed: boolean) => {
        if (found === undefined || found.row.trace.told(found.name) !== told) return
        found.row.trace.record(found.name, found.name, isAllowed, clock.now())
      }
      try {
        if (isDisposed) throw new OrchestryError('ORC_CAPABILITY_DENIED', 'the plugin instance was closed')
        if (found === undefined) throw notGranted(shown)
        const result = await found.run(readArguments(shown, argumentsJson), invocation)
        count(true)
        return JSON.stringify(result ?? null)
      } catch (thrown) {
        const error = asGuestError(thrown, shown)
        if (isRefusal(error.code)) {
          count(false)
          if (!isDisposed) onViolation({ operation: shown, hook: invocation.hook, message: error.message })
        }
        throw error
      }
    },
  }
}

/** Names of secrets that the host may put where the guest writes `secret://name`. */
function injectableOf(grants: readonly CapabilityRecord[]): ReadonlySet<string> {
  return new Set(grants.flatMap((grant) => (grant.kind === 'secrets' && grant.mode === 'inject' ? grant.names : [])))
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
