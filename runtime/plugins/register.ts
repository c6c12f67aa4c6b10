/** Every plugin that is known, how it is found by name, and what went wrong with it. */
import type { Clock } from '../clock.ts'
import { codeOf, messageOf, OrchestryError } from '../errors.ts'
import type { Events } from '../events/events.ts'
import type { LimitPolicy } from '../limits.ts'
import type { Log } from '../log.ts'
import type { SandboxIncident } from '../sandbox/sandbox.ts'
import { createBlame } from './blame.ts'
import { unscopedName } from './package.ts'
import type { LockEntry, PluginUsageView, PluginView } from './plugins.ts'
import { addIncident, type BreakerOf, createSlot, type Slot, usageOf, viewOf } from './slot.ts'
import type { Loaded } from './starter.ts'

export interface Register {
  readonly slots: ReadonlyMap<string, Slot>
  /** By id, or by the part after the scope where that is unambiguous. Throws ORC_PLUGIN_UNKNOWN. */
  find(given: string): Slot
  slotOf(id: string, seed: Slot['seed']): Slot
  drop(id: string): void
  view(slot: Slot): PluginView
  usage(slot: Slot): PluginUsageView
  record(slot: Slot, incident: SandboxIncident): void
  /** The plugin could not be started, or not as asked. */
  recordFailure(slot: Slot, thrown: unknown): void
  /** Follows the sandbox of a version, also while it is only being tried. */
  watch(slot: Slot, loaded: Loaded): void
  changed(): void
  onChange(listener: () => void): () => void
}

/** A plugin that is refused something in a loop is one event, not thousands. */
const violationEventEveryMs = 10_000
const violations = new Set<string>(['ORC_CAPABILITY_DENIED', 'ORC_NET_BLOCKED_ADDRESS', 'ORC_SANDBOX_PROTOCOL'])

/** What an event tells of an incident. */
function causeOf({ code, message, hook, instance, app, line, action }: SandboxIncident) {
  return { code, message, hook, instance, app, line, action }
}

export function createRegister(deps: {
  clock: Clock
  events: Pick<Events, 'emit'>
  log: Log
  breakerOf: BreakerOf
  limitPolicy?: LimitPolicy | undefined
  /** Hides what nobody is to read in texts that came from a guest. */
  redact?: (text: string) => string
}): Register {
  const { clock, events, log, redact = (text) => text } = deps
  const slots = new Map<string, Slot>()
  const listeners = new Set<() => void>()
  const violatedMs = new Map<string, number>()

  function changed(): void {
    for (const listener of listeners) listener()
  }

  function record(slot: Slot, given: SandboxIncident): void {
    const incident = addIncident(slot, { ...given, message: redact(given.message) })
    const { code, message, hook, instance, app, line, action } = incident
    log.warn({ plugin: slot.id, code, hook, instance, app, line, action }, message)
    if (!violations.has(code)) return
    const key = `${slot.id} ${code}`
    if (clock.monotonic() - (violatedMs.get(key) ?? Number.NEGATIVE_INFINITY) < violationEventEveryMs) return
    violatedMs.set(key, clock.monotonic())
    events.emit({ type: 'plugin.violated', data: { plugin: slot.id, ...causeOf(incident) } })
  }

  return {
    slots,
    record,
    changed,
    view: (slot) => viewOf(slot, deps.breakerOf, deps.limitPolicy),
    usage: (slot) => usageOf(slot, deps.breakerOf),
    drop: (id) => void slots.delete(id),

    find(given) {
      const exact = slots.get(given)
      if (exact !== undefined) return exact
      const [only, ...others] = [...slots.values()].filter((slot) => unscopedName(slot.id) === given)
      if (only !== undefined && others.length === 0) return only
      const names = [...slots.keys()].sort().join(', ') || 'none'
      const detail = only === undefined ? `There is no plugin "${given}"` : `More than one plugin is called "${given}"`
      throw new OrchestryError('ORC_PLUGIN_UNKNOWN', `${detail}. Installed: ${names}.`)
    },

    slotOf(id, seed: Pick<LockEntry, 'version' | 'source'>) {
      const slot = slots.get(id) ?? createSlot(id, seed)
      slots.set(id, slot)
      return slot
    },

    recordFailure(slot, thrown) {
      const [code, message] = [codeOf(thrown), redact(messageOf(thrown))]
      // After an upgrade that failed the old version serves on: that is an incident, not a state.
      if (slot.running === undefined) slot.problem = message
      const incident: SandboxIncident = { code, message, action: 'refused', atMs: clock.now() }
      record(slot, incident)
      events.emit({ type: 'plugin.failed', data: { plugin: slot.id, ...causeOf(incident) } })
    },

    watch(slot, { sandbox, wanted }) {
      const blame = createBlame(wanted.bundle.map)
      let death: SandboxIncident | undefined
      sandbox.onIncident(({ line, ...told }) => {
        const incident = line === undefined ? told : { ...told, line: blame(line) }
        if (incident.action === 'processKilled' || incident.action === 'processReplaced')
          death = { ...incident, message: redact(incident.message) }
        record(slot, incident)
      })
      let before = sandbox.state
      sandbox.onState((state) => {
        const from = before
        before = state
        if (slot.running?.sandbox !== sandbox) return
        const cause = death === undefined ? {} : causeOf(death)
        if (state === 'quarantined')
          events.emit({ type: 'plugin.quarantined', data: { plugin: slot.id, ...cause, action: 'quarantined' } })
        if (from === 'restarting' && state === 'serving')
          events.emit({ type: 'plugin.restarted', data: { plugin: slot.id, restarts: sandbox.restarts, ...cause } })
        changed()
      })
    },

    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
