/** All that is known of one plugin at this moment, and how it is shown. */
import { type EffectiveLimits, effectiveLimits, type LimitPolicy, limitBounds } from '../limits.ts'
import type { SandboxIncident } from '../sandbox/sandbox.ts'
import type {
  Incident,
  LiveInstance,
  LockEntry,
  PendingVersion,
  PluginState,
  PluginUsageView,
  PluginView,
} from './plugins.ts'
import type { Running } from './starter.ts'

const incidentsKept = 50

export interface Slot {
  readonly id: string
  /** What is known even when nothing could be stored: a built-in that does not compile is still listed. */
  seed: { readonly version: string; readonly source: LockEntry['source'] }
  entry?: LockEntry
  running?: Running
  isActivating: boolean
  problem?: string
  incidents: Incident[]
}

export type BreakerOf = (plugin: string, instance: string) => 'closed' | 'open' | 'halfOpen'

export function createSlot(id: string, seed: Slot['seed']): Slot {
  return { id, seed, isActivating: false, incidents: [] }
}

/** Remembers the last 50; the same thing again only moves the time of the last one. */
export function addIncident(slot: Slot, given: SandboxIncident): Incident {
  const incident: Incident = { ...given, plugin: slot.id, version: slot.entry?.version ?? slot.seed.version }
  const last = slot.incidents.at(-1)
  const isSame =
    last !== undefined &&
    last.code === incident.code &&
    last.message === incident.message &&
    last.hook === incident.hook &&
    last.instance === incident.instance
  slot.incidents = [...(isSame ? slot.incidents.slice(0, -1) : slot.incidents), incident].slice(-incidentsKept)
  return incident
}

export function stateOf(slot: Slot): PluginState {
  const { entry, running } = slot
  if (entry?.isEnabled === false) return 'disabled'
  if (running === undefined) {
    if (slot.isActivating) return 'activating'
    if (entry !== undefined && entry.instances.length === 0) return 'unconfigured'
    return 'failed'
  }
  switch (running.sandbox.state) {
    case 'serving':
      return 'serving'
    case 'quarantined':
      return 'quarantined'
    case 'closed':
      return 'failed'
    default:
      return 'restarting'
  }
}

const limitsOf = ({ entry, running }: Slot, policy: LimitPolicy | undefined): EffectiveLimits =>
  running?.limits ?? effectiveLimits(entry?.manifest.limits, entry?.isJitGranted ?? false, policy)

export function viewOf(slot: Slot, breakerOf: BreakerOf, policy?: LimitPolicy): PluginView {
  const { id, seed, entry, running } = slot
  const schema = entry?.description.configSchema
  // The incident that led there may be pushed out by others; the way out must not be.
  const wayOut = `it died too often; mend it, then: orchestry plugin reset ${id}`
  const problem = slot.problem ?? (stateOf(slot) === 'quarantined' ? wayOut : undefined)
  return {
    id,
    version: entry?.version ?? seed.version,
    source: entry?.source ?? seed.source,
    state: stateOf(slot),
    ...(problem === undefined ? {} : { problem }),
    hooks: Object.keys(entry?.description.hooks ?? {}),
    capabilities: entry?.instances[0]?.grants ?? entry?.manifest.capabilities ?? [],
    limits: limitsOf(slot, policy),
    limitsBoundBy: limitBounds(entry?.manifest.limits, policy),
    instances: (entry?.instances ?? []).map(({ name, config, isDefault, grants, agreed }) => {
      const sandbox = running?.instances.get(name)?.sandbox
      const isTightened = agreed !== undefined
      const shown = { name, config, isDefault, breaker: breakerOf(id, name), grants, isTightened }
      return sandbox === undefined ? shown : { ...shown, usage: sandbox.usage(), usageByHook: sandbox.usageByHook() }
    }),
    ...(schema === undefined ? {} : { configSchema: schema }),
    ...(entry?.pending === undefined ? {} : { pending: pendingViewOf(entry.pending) }),
    restarts: running?.sandbox.restarts ?? 0,
    memoryMb: running?.sandbox.memoryMb ?? 0,
    ...(running?.sandbox.pid === undefined ? {} : { pid: running.sandbox.pid }),
    incidents: slot.incidents,
  }
}

const pendingViewOf = ({ version, differences, askedAtMs }: PendingVersion) => ({ version, differences, askedAtMs })

/** By hook and app too, which may be thousands of rows: not for lists. */
export function usageOf(slot: Slot, breakerOf: BreakerOf): PluginUsageView {
  const { id, entry, running } = slot
  return {
    id,
    state: stateOf(slot),
    restarts: running?.sandbox.restarts ?? 0,
    memoryMb: running?.sandbox.memoryMb ?? 0,
    ...(running?.sandbox.pid === undefined ? {} : { pid: running.sandbox.pid }),
    instances: (entry?.instances ?? []).map(({ name }) => {
      const sandbox = running?.instances.get(name)?.sandbox
      const usage = sandbox === undefined ? {} : { usage: sandbox.usage() }
      const hooks = sandbox?.usageByHook() ?? []
      return { name, breaker: breakerOf(id, name), ...usage, hooks, rows: sandbox?.usageRows() ?? [] }
    }),
  }
}

export function liveInstancesOf(slot: Slot, policy?: LimitPolicy): LiveInstance[] {
  const { id, entry, running } = slot
  if (entry === undefined || !entry.isEnabled) return []
  const isServing = running?.sandbox.state === 'serving'
  const limits = limitsOf(slot, policy)
  return entry.instances.map(({ name, isDefault }) => {
    const instance = isServing ? running.instances.get(name)?.sandbox : undefined
    const shown = {
      plugin: id,
      version: entry.version,
      name,
      isDefault,
      limits,
      hooks: entry.description.hooks,
    }
    return instance === undefined ? shown : { ...shown, sandbox: instance }
  })
}
