/** Installing, upgrading, configuring and tightening: what the operator gave becomes what is wanted to run. */
import type { CapabilityTable } from '../capabilities/capability.ts'
import type { Clock } from '../clock.ts'
import { codeOf, OrchestryError } from '../errors.ts'
import type { Events } from '../events/events.ts'
import type { CompiledBundle } from './bundle.ts'
import type { CompiledPackage } from './compile.ts'
import {
  askedOf,
  consentNeeded,
  consentNeededFirst,
  widerThanAgreed,
  widerThanShown,
  withAgreedPrograms,
  withPresentPrograms,
} from './consent.ts'
import type { Lock } from './lock.ts'
import { unscopedName } from './package.ts'
import type {
  ConfigureOptions,
  InstanceRecord,
  LockEntry,
  PendingVersion,
  TightenOptions,
  TightenView,
} from './plugins.ts'
import type { Register } from './register.ts'
import type { Next, Serving } from './serving.ts'
import type { Slot } from './slot.ts'
import type { Loaded, Starter, WantedInstance } from './starter.ts'
import { isTighter, keepTightened, loosenedRecord, proposeTighter, tightenedRecord } from './tighten.ts'
import type { Traces } from './traces.ts'

export interface InstallOptions {
  readonly kind: LockEntry['source']['kind']
  readonly config?: unknown
  readonly instance?: string
  /** The operator agrees to all that is asked for; what comes with Orchestry is agreed to. */
  readonly isAgreed?: boolean
  /** What the yes was said to, where it was said to something that had been shown. */
  readonly shown?: PendingVersion['instances']
}

export interface Installer {
  install(compiled: CompiledPackage, options: InstallOptions): Promise<Slot>
  approve(slot: Slot): Promise<void>
  configure(slot: Slot, config: unknown, options?: ConfigureOptions): Promise<void>
  tighten(slot: Slot, options: TightenOptions): Promise<TightenView>
}

/** What makes a version this one and no other. */
type Origin = Pick<LockEntry, 'version' | 'source' | 'bundleHash' | 'treeHash' | 'sdkHash' | 'manifest'>

export function createInstaller(deps: {
  register: Register
  serving: Serving
  starter: Starter
  lock: Lock
  capabilities: Pick<CapabilityTable, 'narrow' | 'check' | 'pin'>
  traces: Pick<Traces, 'of'>
  events: Pick<Events, 'emit'>
  clock: Clock
}): Installer {
  const { register, serving, starter, lock, events, clock } = deps

  /** The instances a version is to have: those it had, with what the operator gave now. */
  async function wantedInstances(
    slot: Slot,
    loaded: Loaded,
    options: InstallOptions,
  ): Promise<readonly WantedInstance[]> {
    const had = slot.entry?.instances ?? []
    if (had.length > 0 && options.config === undefined && options.instance === undefined) return had
    const name = options.instance ?? usualName(slot)
    const wanted = { name, given: options.config, isDefault: isUsual(options.kind, loaded.wanted.manifest) }
    if (had.length > 0) return withInstance(had, wanted)
    if (options.config !== undefined) return [wanted]
    // A plugin that cannot do without a config is installed all the same, and waits for it.
    const isComplete = await starter.settle(loaded, wanted).then(
      () => true,
      (thrown) => {
        if (codeOf(thrown) === 'ORC_PLUGIN_CONFIG_INVALID') return false
        throw thrown
      },
    )
    return isComplete ? [wanted] : []
  }

  /** Brings a version up, if it was agreed to; one that was not is kept, and waits while the old one serves. */
  async function bring(slot: Slot, origin: Origin, bundle: CompiledBundle, options: InstallOptions): Promise<void> {
    const before = slot.entry
    const base = {
      ...origin,
      id: slot.id,
      isEnabled: before?.isEnabled ?? true,
      isJitGranted: origin.manifest.limits?.jit !== undefined,
      installedAtMs: clock.now(),
      ...(before === undefined ? {} : { previousVersion: before.version }),
    }
    let wider: readonly string[] = []
    let differences: readonly string[] = []
    let settled: readonly InstanceRecord[] = []
    const tightened = tightenedAsBefore(slot)
    const next: Next = {
      base,
      bundle,
      wanted: (loaded) => wantedInstances(slot, loaded, options),
      review(instances) {
        settled = instances
        if (before === undefined) return tightened.review(instances)
        wider = widerThanAgreed(before, { ...base, instances })
        const { isAgreed, shown } = options
        const unagreed = isAgreed === true ? shown && widerThanShown(before, shown, { instances }) : wider
        const reviewed = tightened.review(instances)
        if (unagreed === undefined || unagreed.length === 0) return reviewed
        // A yes to more of a capability gives back what tightening took of it: that is shown with the rest.
        differences = [...wider, ...tightened.words()]
        throw consentNeeded(slot.id, origin.version, before.version, [...unagreed, ...tightened.words()])
      },
    }
    slot.isActivating = true
    register.changed()
    try {
      await serving.replace(slot, next)
    } catch (thrown) {
      const isWaiting = before !== undefined && codeOf(thrown) === 'ORC_PLUGIN_CONSENT_NEEDED'
      if (isWaiting) await keepPending(slot, before, origin, bundle, options, { differences, settled })
      // Nothing is kept of a plugin that was never here; a built-in stays listed, so that its absence explains itself.
      else if (before === undefined && options.kind === 'directory') register.drop(slot.id)
      else register.recordFailure(slot, thrown)
      throw thrown
    } finally {
      slot.isActivating = false
      register.changed()
    }
    const { version } = origin
    const data = { plugin: slot.id, version, previousVersion: before?.version, source: options.kind, wider }
    events.emit({ type: 'plugin.installed', data: { ...data, ...tightened.told() } })
  }

  async function keepPending(
    slot: Slot,
    before: LockEntry,
    origin: Origin,
    bundle: CompiledBundle,
    { config, instance }: InstallOptions,
    { differences, settled }: { differences: readonly string[]; settled: readonly InstanceRecord[] },
  ): Promise<void> {
    const given = { ...(config === undefined ? {} : { config }), ...(instance === undefined ? {} : { instance }) }
    const instances = settled.map(({ name, grants }) => ({ name, grants }))
    const entry = { ...before, pending: { ...origin, ...given, differences, instances, askedAtMs: clock.now() } }
    await lock.keepBundle(bundle)
    await lock.put(entry)
    slot.entry = entry
    const { version } = origin
    events.emit({ type: 'plugin.pending', data: { plugin: slot.id, version, serving: before.version, differences } })
  }

  /** The same version with other grants. */
  async function regrant(
    slot: Slot,
    entry: LockEntry,
    change: (record: InstanceRecord) => InstanceRecord,
  ): Promise<void> {
    const { description: _description, instances: had, ...base } = entry
    const bundle = await lock.readBundle(entry.bundleHash)
    // As they are, and not settled anew: a program that changed in between is not agreed to by the way.
    await serving.replace(slot, { base, bundle, wanted: async () => had, review: () => had.map(change) })
  }

  /** Agrees to programs that were changed on the disk, as an upgrade of the system does; whether there were any. */
  async function approvePrograms(slot: Slot, entry: LockEntry): Promise<boolean> {
    const next = new Map<string, InstanceRecord>()
    for (const record of entry.instances) {
      const renewed = await withPresentPrograms(record, entry.manifest.capabilities ?? [], deps.capabilities.pin)
      if (renewed !== undefined) next.set(record.name, renewed)
    }
    if (next.size === 0) return false
    await regrant(slot, entry, (record) => next.get(record.name) ?? record)
    events.emit({
      type: 'plugin.configured',
      data: { plugin: slot.id, instances: [...next.keys()], programs: 'renewed' },
    })
    register.changed()
    return true
  }

  return {
    async install({ pkg, manifest, bundle, sdkHash }, options) {
      const source = { kind: options.kind, path: pkg.dir }
      const isAgreed = options.isAgreed === true || options.kind === 'builtin'
      const before = register.slots.get(pkg.name)?.entry
      // What comes with Orchestry was never asked about: whoever takes its name does not take its grants with it.
      const isFirst = before === undefined || (before.source.kind === 'builtin' && options.kind !== 'builtin')
      const asked = isFirst && !isAgreed ? askedOf(manifest) : []
      if (asked.length > 0) throw consentNeededFirst(pkg.name, asked)
      const slot = register.slotOf(pkg.name, { version: pkg.version, source })
      const { version, treeHash } = pkg
      const origin = { version, source, bundleHash: bundle.hash, treeHash, sdkHash, manifest }
      await bring(slot, origin, bundle, { ...options, isAgreed })
      return slot
    },

    async approve(slot) {
      const entry = requireEntry(slot)
      const { pending } = entry
      if (pending === undefined && (await approvePrograms(slot, entry))) return
      if (pending === undefined)
        throw new OrchestryError(
          'ORC_PLUGIN_NOTHING_PENDING',
          `No version of ${slot.id} waits for approval, and its programs are those that were agreed to. Nothing was changed.`,
        )
      const { config, instance, differences: _differences, askedAtMs: _askedAtMs, instances, ...origin } = pending
      const shown = instances === undefined ? {} : { shown: instances }
      const options = { kind: origin.source.kind, isAgreed: true, ...shown }
      const given = { ...(config === undefined ? {} : { config }), ...(instance === undefined ? {} : { instance }) }
      await bring(slot, origin, await lock.readBundle(pending.bundleHash), { ...options, ...given })
    },

    async configure(slot, config, { instance, isDefault } = {}) {
      const entry = requireEntry(slot)
      const { description: _description, instances: had, ...base } = entry
      const name = instance ?? usualName(slot)
      const wanted = { name, given: config, isDefault: isUsual(entry.source.kind, entry.manifest) }
      const bundle = await lock.readBundle(entry.bundleHash)
      const { review: tightened, told } = tightenedAsBefore(slot)
      const review = (settled: readonly InstanceRecord[]) =>
        tightened(settled.map((next) => withAgreedPrograms(next, had)))
      const next = withInstance(had, wanted).map((one) =>
        one.name === name && isDefault !== undefined ? { ...one, isDefault } : one,
      )
      await serving.replace(slot, { base, bundle, wanted: async () => next, review })
      events.emit({ type: 'plugin.configured', data: { plugin: slot.id, instance: name, ...told() } })
      register.changed()
    },

    async tighten(slot, { isToApply = false, isToUndo = false, instance }) {
      const entry = requireEntry(slot)
      const isMeant = ({ name }: InstanceRecord) => instance === undefined || name === instance
      const instances = entry.instances.filter(isMeant).map(({ name, grants }) => {
        const bindings = proposeTighter(grants, deps.traces.of(slot.id, name), deps.capabilities)
        return { name, isTighter: isTighter(bindings), bindings }
      })
      if (instance !== undefined && instances.length === 0)
        throw new OrchestryError(
          'ORC_PLUGIN_UNKNOWN',
          `${slot.id} has no instance "${instance.slice(0, 64)}"; it has ${entry.instances.map(({ name }) => name).join(', ') || 'none'}. Nothing was changed.`,
        )
      if (isToUndo) {
        const loosened = entry.instances.filter((record) => record.agreed !== undefined && isMeant(record))
        if (loosened.length === 0) return { id: slot.id, isApplied: false, instances }
        await regrant(slot, entry, (record) => (loosened.includes(record) ? loosenedRecord(record) : record))
        const names = loosened.map(({ name }) => name)
        events.emit({ type: 'plugin.loosened', data: { plugin: slot.id, instances: names } })
        register.changed()
        return { id: slot.id, isApplied: true, instances }
      }
      const tighter = new Map(instances.flatMap((one) => (one.isTighter ? [[one.name, one.bindings]] : [])))
      const isApplied = isToApply && tighter.size > 0
      if (isApplied) {
        await regrant(slot, entry, (record) => {
          const bindings = tighter.get(record.name)
          return bindings === undefined ? record : tightenedRecord(record, bindings)
        })
        events.emit({ type: 'plugin.tightened', data: { plugin: slot.id, instances: [...tighter.keys()] } })
        register.changed()
      }
      return { id: slot.id, isApplied, instances }
    },
  }
}

/** Carries tightened grants over to what comes next, and knows which could not be. */
function tightenedAsBefore(slot: Slot) {
  const loosened: string[] = []
  const had = slot.entry?.instances ?? []
  return {
    review: (settled: readonly InstanceRecord[]): readonly InstanceRecord[] =>
      settled.map((next) => {
        const kept = keepTightened(
          next,
          had.find(({ name }) => name === next.name),
        )
        loosened.push(...kept.loosened.map((binding) => `${next.name}: ${binding}`))
        return kept.record
      }),
    words: () => loosened.map((binding) => `${binding}: also what tightening took away`),
    /** For the event: what may do more again than it was tightened to. */
    told: () => (loosened.length === 0 ? {} : { loosened }),
  }
}

/** What is stored of a plugin, or why there is nothing. */
export function requireEntry(slot: Slot): LockEntry {
  if (slot.entry !== undefined) return slot.entry
  throw new OrchestryError('ORC_HOOK_NOT_SERVING', `${slot.id} could not be installed: ${slot.problem ?? 'unknown'}`)
}

/** The instance that is meant when none is named. */
function usualName(slot: Slot): string {
  const [only, ...others] = slot.entry?.instances ?? []
  return only !== undefined && others.length === 0 ? only.name : unscopedName(slot.id)
}

/** Whether it answers for apps that name none: what comes with Orchestry does, unless it needs something of the machine. */
const isUsual = (kind: LockEntry['source']['kind'], { optIn }: LockEntry['manifest']) =>
  kind === 'builtin' && optIn !== true

function withInstance(had: readonly WantedInstance[], wanted: WantedInstance): WantedInstance[] {
  const old = had.find((instance) => instance.name === wanted.name)
  const next = old === undefined ? wanted : { ...wanted, given: wanted.given ?? old.given, isDefault: old.isDefault }
  return [...had.filter((instance) => instance.name !== wanted.name), next]
}
