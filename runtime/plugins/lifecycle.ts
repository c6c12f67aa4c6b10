/** The life of every plugin, from the directory it came from to its end. One that fails hinders nobody. */
import { type HookKind, hookKinds, hookTable } from '@orchestry/sdk'
import type { CapabilityTable } from '../capabilities/capability.ts'
import type { Clock } from '../clock.ts'
import { messageOf, OrchestryError } from '../errors.ts'
import type { Events } from '../events/events.ts'
import type { LimitPolicy } from '../limits.ts'
import type { Log } from '../log.ts'
import type { Sandbox, SandboxIncident } from '../sandbox/sandbox.ts'
import type { Store } from '../store/store.ts'
import { createTurns } from '../turns.ts'
import { compilePackage, findBuiltins, isCurrent } from './compile.ts'
import { createInstaller, requireEntry } from './install.ts'
import { createLock } from './lock.ts'
import { bindingOf } from './manifest.ts'
import { unscopedName } from './package.ts'
import type { Plugins } from './plugins.ts'
import { createRegister } from './register.ts'
import { createServing } from './serving.ts'
import { type BreakerOf, liveInstancesOf, type Slot } from './slot.ts'
import { createStarter } from './starter.ts'
import { createTraces } from './traces.ts'

export interface PluginsDeps {
  readonly sandbox: Pick<Sandbox, 'load' | 'description'>
  readonly store: Pick<Store, 'list' | 'write'>
  readonly dataDir: string
  readonly capabilities: CapabilityTable
  readonly events: Pick<Events, 'emit'>
  readonly clock: Clock
  readonly log: Log
  readonly builtinDirs: readonly string[]
  /** The most that any plugin gets; without it the ceilings. */
  readonly limitPolicy?: LimitPolicy
  /** From the room that calls plugins; without it every breaker is shown closed. */
  readonly breakerOf?: BreakerOf
  readonly resetBreakers?: (plugin: string) => void
  /** Hides what nobody is to read in what is written down of a plugin. */
  readonly redact?: (text: string) => string
}

/** What rooms that call plugins report back. */
export interface IncidentSink {
  recordIncident(plugin: string, incident: SandboxIncident): void
}

export function createPlugins(deps: PluginsDeps): Plugins & IncidentSink {
  const { clock, events } = deps
  const log = deps.log.child({ room: 'plugins' })
  const lock = createLock(deps)
  const traces = createTraces({ ...deps, log, running: () => [...slots.values()].flatMap(runningOf) })
  const starter = createStarter({ ...deps, usedBefore: traces.of })
  const { breakerOf = () => 'closed' as const, limitPolicy, redact = (text) => text } = deps
  const register = createRegister({ clock, events, log, breakerOf, limitPolicy, redact })
  const { slots, find, view } = register
  const serving = createServing({
    register,
    starter,
    lock,
    log,
    onSwap: ({ id }, { instances }) => {
      for (const [name, { bound }] of instances) traces.keep(id, name, bound)
      if (isStarted) void retain()
    },
    onEnded: () => {
      if (isStarted) void retain()
    },
  })
  let isStarted = false
  /** What plugins left running that nobody wants any more ends beside everything else. */
  const retain = () => {
    const wanted = [...slots.values()].flatMap(({ id, entry }) =>
      entry?.isEnabled ? entry.instances.map(({ name, grants }) => ({ plugin: id, instance: name, grants })) : [],
    )
    const ended = deps.capabilities.retain(wanted).catch((thrown) => log.warn({}, messageOf(thrown)))
    retaining = Promise.all([retaining, ended])
    return ended
  }
  let retaining: Promise<unknown> = Promise.resolve()
  const installer = createInstaller({ ...deps, register, serving, starter, lock, traces })
  const inTurn = createPluginTurns()

  async function setEnabled(slot: Slot, isEnabled: boolean): Promise<void> {
    const entry = requireEntry(slot)
    const next = { ...entry, isEnabled }
    if (isEnabled) {
      slot.entry = next
      try {
        if (slot.running === undefined) await serving.startLocked(slot)
        await lock.put(next)
      } catch (thrown) {
        slot.entry = entry
        void serving.retire(slot)
        register.recordFailure(slot, thrown)
        register.changed()
        throw thrown
      }
    } else {
      await lock.put(next)
      slot.entry = next
      void serving.retire(slot)
      await retain()
    }
    if (entry.isEnabled !== isEnabled)
      events.emit({ type: isEnabled ? 'plugin.enabled' : 'plugin.disabled', data: { plugin: slot.id } })
    register.changed()
  }

  /** A built-in as it lies on disk now; what an operator installed under the same name comes first. */
  async function bringBuiltin(path: string): Promise<void> {
    let id = `builtin:${unscopedName(path)}`
    try {
      const compiled = await compilePackage(path, (pkg, sdkHash) => {
        id = pkg.name
        const entry = slots.get(pkg.name)?.entry
        return entry?.source.kind === 'directory' || (entry !== undefined && isCurrent(entry, pkg, sdkHash))
      })
      if (compiled !== undefined) await inTurn.run(id, () => installer.install(compiled, { kind: 'builtin' }))
    } catch (thrown) {
      if (inTurn.isEnded()) return
      const slot = register.slotOf(id, { version: '0.0.0', source: { kind: 'builtin', path } })
      if (slot.problem === undefined) register.recordFailure(slot, thrown)
    }
  }

  async function bringLocked(slot: Slot): Promise<void> {
    if (slot.running !== undefined || inTurn.isEnded()) return
    await inTurn.run(slot.id, () => serving.startLocked(slot)).catch((thrown) => register.recordFailure(slot, thrown))
  }

  /** What failed was another version or config: the one that was just given does not wait for the pause of the last one. */
  const beginAnew = (slot: Slot) => deps.resetBreakers?.(slot.id)

  /** Of a kind that only one instance can answer for, one is the default. */
  async function giveWay(slot: Slot): Promise<void> {
    const kinds = exclusiveKindsOf(slot)
    const others = [...slots.values()].filter(
      (one) => one !== slot && exclusiveKindsOf(one).some((kind) => kinds.includes(kind)),
    )
    for (const other of others) {
      await inTurn.run(other.id, async () => {
        if (!other.entry?.instances.some(({ isDefault }) => isDefault)) return
        const instances = other.entry.instances.map((instance) => ({ ...instance, isDefault: false }))
        const entry = { ...other.entry, instances }
        await lock.put(entry)
        other.entry = entry
      })
    }
    register.changed()
  }

  /** One thing at a time for the plugin, and its view afterwards. */
  async function change(id: string, work: (slot: Slot) => Promise<void>) {
    const slot = find(id)
    return await inTurn.run(slot.id, async () => {
      await work(slot)
      return view(slot)
    })
  }

  return {
    list: () => [...slots.values()].map(view).sort((a, b) => a.id.localeCompare(b.id)),
    show: (id) => view(find(id)),
    usageOf: (id) => register.usage(find(id)),
    liveInstances: () => [...slots.values()].flatMap((slot) => liveInstancesOf(slot, limitPolicy)),
    sandboxOf: (id) => slots.get(id)?.running?.sandbox,
    onChange: register.onChange,

    async install({ path, kind = 'directory', ...options }) {
      const compiled = await compilePackage(path)
      return await inTurn.run(compiled.pkg.name, async () => {
        const slot = await installer.install(compiled, { kind, ...options })
        beginAnew(slot)
        return view(slot)
      })
    },

    approve: (id) =>
      change(id, async (slot) => {
        await installer.approve(slot)
        beginAnew(slot)
      }),
    enable: (id) => change(id, (slot) => setEnabled(slot, true)),
    disable: (id) => change(id, (slot) => setEnabled(slot, false)),
    async configure(id, config, options) {
      const shown = await change(id, async (slot) => {
        await installer.configure(slot, config, options)
        beginAnew(slot)
      })
      if (options?.isDefault === true) await giveWay(find(id))
      return shown
    },

    reset: (id) =>
      change(id, async (slot) => {
        deps.resetBreakers?.(slot.id)
        if (slot.running === undefined) await serving.startLocked(slot)
        else await slot.running.sandbox.reset()
        register.changed()
      }),

    usesOf(id) {
      const slot = find(id)
      return (slot.entry?.instances ?? []).map(({ name, grants, agreed }) => {
        const traced = traces.of(slot.id, name)
        // What was granted once and is not any more is of no use to anybody.
        const uses = traced.filter(({ binding }) => grants.some((grant) => bindingOf(grant) === binding))
        return { name, grants, isTightened: agreed !== undefined, uses }
      })
    },

    async tighten(id, options = {}) {
      const slot = find(id)
      return await inTurn.run(slot.id, () => installer.tighten(slot, options))
    },

    async remove(id) {
      const slot = find(id)
      if ((slot.entry?.source ?? slot.seed.source).kind === 'builtin')
        throw new OrchestryError(
          'ORC_PLUGIN_BUILTIN',
          `${slot.id} would be back at the next start. To stop it: orchestry plugin disable ${slot.id}`,
        )
      await inTurn.run(slot.id, async () => {
        await lock.remove(slot.id)
        register.drop(slot.id)
        const ended = serving.retire(slot)
        register.changed()
        // While it still ends it may write what is to go.
        await ended
        await retain()
        await deps.capabilities.forget(slot.id)
        await traces.forget(slot.id)
        await lock.sweep()
      })
    },

    recordIncident(plugin, incident) {
      const slot = slots.get(plugin)
      if (slot !== undefined) register.record(slot, incident)
    },

    async start() {
      await traces.load()
      for (const entry of await lock.list()) register.slotOf(entry.id, entry).entry = entry
      const builtins = await findBuiltins(deps.builtinDirs)
      await Promise.all(builtins.map(bringBuiltin))
      await Promise.all([...slots.values()].map(bringLocked))
      isStarted = true
      await retain()
      await lock.sweep()
    },

    async stop() {
      await inTurn.end()
      for (const slot of slots.values()) void serving.retire(slot)
      await serving.settled()
      await retaining
      await traces.stop()
    },
  }
}

const exclusiveKindsOf = ({ entry }: Slot): HookKind[] =>
  hookKinds.filter((kind) => hookTable[kind].discipline === 'exclusive' && entry?.description.hooks[kind] !== undefined)

const runningOf = ({ id, running }: Slot) =>
  [...(running?.instances ?? [])].map(([instance, { bound }]) => ({ plugin: id, instance, bound }))

/** For each plugin one thing after the other, until we stop. */
function createPluginTurns() {
  const turns = createTurns()
  let isEnded = false
  return {
    isEnded: () => isEnded,
    run: <T>(id: string, work: () => Promise<T>): Promise<T> =>
      turns.take(id, async () => {
        if (isEnded) throw new OrchestryError('ORC_HOOK_NOT_SERVING', 'Orchestry is stopping. Nothing was changed.')
        return work()
      }),
    /** What is being done is finished; what still waits is refused. */
    async end(): Promise<void> {
      isEnded = true
      await turns.settled()
    },
  }
}
