/**
 * The life of every plugin: installed, configured, upgraded, started and stopped. What runs is only ever replaced by what
 * already runs: a new version or config comes fully up beside the old one, is stored, and only then takes its place.
 */
import type { CapabilityTable } from '../capabilities/capability.ts'
import type { Clock } from '../clock.ts'
import { codeOf, messageOf, OrchestryError } from '../errors.ts'
import type { Events } from '../events/events.ts'
import type { Log } from '../log.ts'
import type { Sandbox, SandboxIncident } from '../sandbox/sandbox.ts'
import type { Store } from '../store/store.ts'
import { type CompiledPackage, compilePackage, findBuiltins, isCurrent } from './compile.ts'
import { widening } from './grants.ts'
import { createLock } from './lock.ts'
import { unscopedName } from './package.ts'
import type { InstanceRecord, LockEntry, Plugins, PluginView } from './plugins.ts'
import { addIncident, type BreakerOf, createSlot, liveInstancesOf, type Slot, viewOf } from './slot.ts'
import { createStarter, type Loaded, type Running, type WantedInstance } from './starter.ts'

export interface PluginsDeps {
  readonly sandbox: Pick<Sandbox, 'load'>
  readonly store: Pick<Store, 'list' | 'write'>
  readonly dataDir: string
  readonly capabilities: CapabilityTable
  readonly events: Pick<Events, 'emit'>
  readonly clock: Clock
  readonly log: Log
  readonly builtinDirs: readonly string[]
  /** From the room that calls plugins; without it every breaker is shown closed. */
  readonly breakerOf?: BreakerOf
  readonly resetBreakers?: (plugin: string) => void
}

/** What rooms that call plugins report back. */
export interface IncidentSink {
  recordIncident(plugin: string, incident: SandboxIncident): void
}

const instanceName = /^[a-z0-9][a-z0-9._-]{0,63}$/
/** A plugin that is refused something in a loop is one event, not thousands. */
const violationEventEveryMs = 10_000

export function createPlugins(deps: PluginsDeps): Plugins & IncidentSink {
  const { clock, events } = deps
  const log = deps.log.child({ room: 'plugins' })
  const lock = createLock(deps)
  const starter = createStarter(deps)
  const breakerOf = deps.breakerOf ?? (() => 'closed' as const)
  const slots = new Map<string, Slot>()
  const queues = new Map<string, Promise<unknown>>()
  const closing = new Set<Promise<void>>()
  const listeners = new Set<() => void>()
  const violationsSeenMs = new Map<string, number>()
  let isStopped = false

  const changed = () => {
    for (const listener of listeners) listener()
  }
  const view = (slot: Slot) => viewOf(slot, breakerOf)

  /** One thing at a time for each plugin; others are not waited for. */
  function inTurn<T>(id: string, work: () => Promise<T>): Promise<T> {
    const turn = (queues.get(id) ?? Promise.resolve()).then(() => {
      if (isStopped) throw new OrchestryError('ORC_HOOK_NOT_SERVING', 'Orchestry is stopping. Nothing was changed.')
      return work()
    })
    const settled = turn.then(
      () => {},
      () => {},
    )
    queues.set(id, settled)
    return turn
  }

  function find(given: string): Slot {
    const exact = slots.get(given)
    if (exact !== undefined) return exact
    const [only, ...others] = [...slots.values()].filter((slot) => unscopedName(slot.id) === given)
    if (only !== undefined && others.length === 0) return only
    const names = [...slots.keys()].sort().join(', ') || 'none'
    const detail = only === undefined ? `There is no plugin "${given}"` : `More than one plugin is called "${given}"`
    throw new OrchestryError('ORC_PLUGIN_UNKNOWN', `${detail}. Installed: ${names}.`)
  }

  function slotOf(id: string, seed: Slot['seed']): Slot {
    const slot = slots.get(id) ?? createSlot(id, seed)
    slots.set(id, slot)
    return slot
  }

  function record(slot: Slot, given: SandboxIncident): void {
    const { code, message, hook, instance } = addIncident(slot, given)
    log.warn({ plugin: slot.id, code, hook, instance }, message)
    if (code === 'ORC_CAPABILITY_DENIED' || code === 'ORC_NET_BLOCKED_ADDRESS' || code === 'ORC_SANDBOX_PROTOCOL') {
      const key = `${slot.id} ${code}`
      if (clock.monotonic() - (violationsSeenMs.get(key) ?? Number.NEGATIVE_INFINITY) < violationEventEveryMs) return
      violationsSeenMs.set(key, clock.monotonic())
      events.emit({ type: 'plugin.violated', data: { plugin: slot.id, code, message, hook, instance } })
    }
  }

  function recordFailure(slot: Slot, thrown: unknown): void {
    slot.problem = messageOf(thrown)
    record(slot, { code: codeOf(thrown), message: slot.problem, atMs: clock.now() })
    events.emit({ type: 'plugin.failed', data: { plugin: slot.id, code: codeOf(thrown), message: slot.problem } })
  }

  function watch(slot: Slot, { sandbox }: Loaded): void {
    const isCurrentOne = () => slot.running?.sandbox === sandbox
    sandbox.onIncident((incident) => record(slot, incident))
    let before = sandbox.state
    sandbox.onState((state) => {
      const [from, isOurs] = [before, isCurrentOne()]
      before = state
      if (!isOurs) return
      if (state === 'quarantined') events.emit({ type: 'plugin.quarantined', data: { plugin: slot.id } })
      if (from === 'restarting' && state === 'serving')
        events.emit({ type: 'plugin.restarted', data: { plugin: slot.id, restarts: sandbox.restarts } })
      changed()
    })
  }

  /** Puts `next` (or nothing) in place of what runs, and lets the old one finish in peace. */
  function swap(slot: Slot, next: Running | undefined): void {
    const old = slot.running
    if (next === undefined) delete slot.running
    else slot.running = next
    if (old === undefined) return
    const ending = old.close().catch((thrown) => log.warn({ plugin: slot.id }, messageOf(thrown)))
    closing.add(ending)
    void ending.then(() => closing.delete(ending))
  }

  /**
   * The one way anything new comes in: load, describe, check every config and grant, open every instance, store, swap.
   * Whatever fails on the way leaves the old one serving and the store as it was.
   */
  async function replace(
    slot: Slot,
    base: Omit<LockEntry, 'description' | 'instances'>,
    bundle: CompiledPackage['bundle'],
    wanted: (loaded: Loaded) => Promise<readonly WantedInstance[]>,
  ): Promise<void> {
    const loaded = await starter.load({ ...base, bundle })
    let running: Running | undefined
    try {
      watch(slot, loaded)
      const records: InstanceRecord[] = []
      for (const instance of await wanted(loaded)) {
        refuseTakenName(slot, instance.name)
        records.push(await starter.settle(loaded, instance))
      }
      // Opened even when disabled: what would not start is not stored.
      running = await starter.open(loaded, records, (incident) => record(slot, incident))
      const entry: LockEntry = { ...base, description: loaded.description, instances: records }
      await lock.keepBundle(bundle)
      await lock.put(entry)
      slot.entry = entry
      delete slot.problem
    } catch (thrown) {
      await (running?.close() ?? loaded.sandbox.close())
      throw thrown
    }
    const isToRun = base.isEnabled && running.records.length > 0
    if (running.records.length === 0) slot.problem = `needs a config: orchestry plugin config ${slot.id}`
    swap(slot, isToRun ? running : undefined)
    if (!isToRun) await running.close()
  }

  /** Names are how apps choose plugins, so they are unique over all of them. */
  function refuseTakenName(slot: Slot, name: string): void {
    if (!instanceName.test(name))
      throw new OrchestryError(
        'ORC_PLUGIN_CONFIG_INVALID',
        `"${name}" is no instance name: up to 64 lower-case letters, digits, dots and dashes. Nothing was changed.`,
        { problems: [{ path: '', message: 'the instance name is not valid' }] },
      )
    const owner = [...slots.values()].find(
      (other) => other !== slot && other.entry?.instances.some((instance) => instance.name === name),
    )
    if (owner !== undefined)
      throw new OrchestryError(
        'ORC_PLUGIN_EXISTS',
        `${owner.id} has an instance "${name}"; give this one another name (--instance). Nothing was changed.`,
      )
  }

  /** From the lock alone, as at every start. */
  async function startLocked(slot: Slot): Promise<void> {
    const { entry } = slot
    if (entry === undefined || !entry.isEnabled || entry.instances.length === 0) return
    slot.isActivating = true
    changed()
    try {
      const loaded = await starter.load({ ...entry, bundle: await lock.readBundle(entry.bundleHash) })
      watch(slot, loaded)
      swap(slot, await starter.open(loaded, entry.instances, (incident) => record(slot, incident)))
      delete slot.problem
    } finally {
      slot.isActivating = false
      changed()
    }
  }

  async function installCompiled(
    compiled: CompiledPackage,
    options: { kind: LockEntry['source']['kind']; config?: unknown; instance?: string },
  ): Promise<PluginView> {
    const { pkg, manifest, bundle, sdkHash } = compiled
    const slot = slotOf(pkg.name, { version: pkg.version, source: { kind: options.kind, path: pkg.dir } })
    const before = slot.entry
    const base = {
      id: pkg.name,
      version: pkg.version,
      source: { kind: options.kind, path: pkg.dir },
      bundleHash: bundle.hash,
      treeHash: pkg.treeHash,
      sdkHash,
      manifest,
      isEnabled: before?.isEnabled ?? true,
      isJitGranted: manifest.limits?.jit !== undefined,
      installedAtMs: clock.now(),
      ...(before === undefined ? {} : { previousVersion: before.version }),
    }
    slot.isActivating = true
    changed()
    try {
      await replace(slot, base, bundle, (loaded) => firstInstances(slot, loaded, options))
    } catch (thrown) {
      // Nothing was stored of a plugin that was never here.
      if (before === undefined && options.kind === 'directory') slots.delete(slot.id)
      else recordFailure(slot, thrown)
      throw thrown
    } finally {
      slot.isActivating = false
      changed()
    }
    const grantsOf = (entry: LockEntry | undefined) => entry?.instances.flatMap(({ grants }) => grants) ?? []
    const wider = before === undefined ? [] : widening(grantsOf(before), grantsOf(slot.entry))
    events.emit({
      type: 'plugin.installed',
      data: { plugin: slot.id, version: pkg.version, previousVersion: before?.version, source: options.kind, wider },
    })
    return view(slot)
  }

  /** The instances a version is to have: those it had, with what the operator gave now. */
  async function firstInstances(
    slot: Slot,
    loaded: Loaded,
    options: { kind: LockEntry['source']['kind']; config?: unknown; instance?: string },
  ): Promise<readonly WantedInstance[]> {
    const had = slot.entry?.instances ?? []
    if (had.length > 0 && options.config === undefined && options.instance === undefined) return had
    const name = options.instance ?? (had.length === 1 ? had[0]?.name : undefined) ?? unscopedName(slot.id)
    const wanted = { name, given: options.config, isDefault: options.kind === 'builtin' }
    if (had.length > 0) return withInstance(had, wanted)
    if (options.config !== undefined) return [wanted]
    const fits = await starter.settle(loaded, wanted).catch((thrown) => {
      if (codeOf(thrown) === 'ORC_PLUGIN_CONFIG_INVALID') return undefined
      throw thrown
    })
    return fits === undefined ? [] : [wanted]
  }

  async function configure(slot: Slot, config: unknown, instance?: string): Promise<PluginView> {
    const entry = requireEntry(slot)
    const had = entry.instances
    const name = instance ?? (had.length === 1 ? had[0]?.name : undefined) ?? unscopedName(slot.id)
    const wanted = { name, given: config, isDefault: entry.source.kind === 'builtin' }
    const { description: _description, instances: _instances, ...base } = entry
    const bundle = await lock.readBundle(entry.bundleHash)
    await replace(slot, base, bundle, async () => withInstance(had, wanted))
    events.emit({ type: 'plugin.configured', data: { plugin: slot.id, instance: name } })
    changed()
    return view(slot)
  }

  function requireEntry(slot: Slot): LockEntry {
    if (slot.entry !== undefined) return slot.entry
    throw new OrchestryError('ORC_HOOK_NOT_SERVING', `${slot.id} could not be installed: ${slot.problem ?? 'unknown'}`)
  }

  async function setEnabled(slot: Slot, isEnabled: boolean): Promise<PluginView> {
    const entry = requireEntry(slot)
    if (isEnabled) {
      slot.entry = { ...entry, isEnabled }
      try {
        if (slot.running === undefined) await startLocked(slot)
        await lock.put(slot.entry)
      } catch (thrown) {
        slot.entry = entry
        swap(slot, undefined)
        recordFailure(slot, thrown)
        changed()
        throw thrown
      }
    } else {
      const next = { ...entry, isEnabled }
      await lock.put(next)
      slot.entry = next
      swap(slot, undefined)
    }
    if (entry.isEnabled !== isEnabled)
      events.emit({ type: isEnabled ? 'plugin.enabled' : 'plugin.disabled', data: { plugin: slot.id } })
    changed()
    return view(slot)
  }

  /** A built-in as it lies on disk now; what an operator installed under the same name comes first. */
  async function bringBuiltin(dir: string): Promise<void> {
    const source = { kind: 'builtin', path: dir } as const
    let id = `builtin:${unscopedName(dir)}`
    try {
      const compiled = await compilePackage(dir, (pkg, sdkHash) => {
        id = pkg.name
        const entry = slots.get(pkg.name)?.entry
        return entry?.source.kind === 'directory' || (entry !== undefined && isCurrent(entry, pkg, sdkHash))
      })
      if (compiled !== undefined) await inTurn(id, () => installCompiled(compiled, { kind: 'builtin' }))
    } catch (thrown) {
      if (isStopped) return
      const slot = slotOf(id, { version: '0.0.0', source })
      if (slot.problem === undefined) recordFailure(slot, thrown)
    }
  }

  async function bringLocked(slot: Slot): Promise<void> {
    if (slot.running !== undefined || isStopped) return
    await inTurn(slot.id, () => startLocked(slot)).catch((thrown) => recordFailure(slot, thrown))
  }

  return {
    list: () => [...slots.values()].map(view).sort((a, b) => a.id.localeCompare(b.id)),
    show: (id) => view(find(id)),
    liveInstances: () => [...slots.values()].flatMap(liveInstancesOf),
    sandboxOf: (id) => slots.get(id)?.running?.sandbox,

    async install({ path, kind = 'directory', ...options }) {
      const compiled = await compilePackage(path)
      return await inTurn(compiled.pkg.name, () => installCompiled(compiled, { kind, ...options }))
    },

    async enable(id) {
      const slot = find(id)
      return await inTurn(slot.id, () => setEnabled(slot, true))
    },

    async disable(id) {
      const slot = find(id)
      return await inTurn(slot.id, () => setEnabled(slot, false))
    },

    async configure(id, config, instance) {
      const slot = find(id)
      return await inTurn(slot.id, () => configure(slot, config, instance))
    },

    async remove(id) {
      const slot = find(id)
      if ((slot.entry?.source ?? slot.seed.source).kind === 'builtin')
        throw new OrchestryError(
          'ORC_PLUGIN_BUILTIN',
          `${slot.id} comes with Orchestry and would be back at the next start. To stop it: orchestry plugin disable ${slot.id}`,
        )
      await inTurn(slot.id, async () => {
        await lock.remove(slot.id)
        slots.delete(slot.id)
        swap(slot, undefined)
        changed()
        await lock.sweep()
      })
    },

    async reset(id) {
      const slot = find(id)
      return await inTurn(slot.id, async () => {
        deps.resetBreakers?.(slot.id)
        if (slot.running === undefined) await startLocked(slot)
        else await slot.running.sandbox.reset()
        changed()
        return view(slot)
      })
    },

    recordIncident(plugin, incident) {
      const slot = slots.get(plugin)
      if (slot !== undefined) record(slot, incident)
    },

    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },

    async start() {
      for (const entry of await lock.list()) slotOf(entry.id, entry).entry = entry
      const builtins = await findBuiltins(deps.builtinDirs)
      await Promise.all(builtins.map(bringBuiltin))
      await Promise.all([...slots.values()].map(bringLocked))
      await lock.sweep()
    },

    async stop() {
      isStopped = true
      await Promise.all(queues.values())
      for (const slot of slots.values()) swap(slot, undefined)
      await Promise.all(closing)
    },
  }
}

function withInstance(had: readonly WantedInstance[], wanted: WantedInstance): WantedInstance[] {
  const old = had.find((instance) => instance.name === wanted.name)
  const next = old === undefined ? wanted : { ...wanted, given: wanted.given ?? old.given, isDefault: old.isDefault }
  return [...had.filter((instance) => instance.name !== wanted.name), next]
}
