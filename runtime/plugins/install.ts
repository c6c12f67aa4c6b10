/** Installing, upgrading and configuring: what the operator gave becomes what is wanted to run. */
import type { Clock } from '../clock.ts'
import { codeOf, OrchestryError } from '../errors.ts'
import type { Events } from '../events/events.ts'
import type { CompiledPackage } from './compile.ts'
import { widening } from './grants.ts'
import type { Lock } from './lock.ts'
import { unscopedName } from './package.ts'
import type { LockEntry } from './plugins.ts'
import type { Register } from './register.ts'
import type { Serving } from './serving.ts'
import type { Slot } from './slot.ts'
import type { Loaded, Starter, WantedInstance } from './starter.ts'

export interface InstallOptions {
  readonly kind: LockEntry['source']['kind']
  readonly config?: unknown
  readonly instance?: string
}

export interface Installer {
  install(compiled: CompiledPackage, options: InstallOptions): Promise<Slot>
  configure(slot: Slot, config: unknown, instance?: string): Promise<void>
}

export function createInstaller(deps: {
  register: Register
  serving: Serving
  starter: Starter
  lock: Lock
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
    const wanted = { name, given: options.config, isDefault: options.kind === 'builtin' }
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

  return {
    async install({ pkg, manifest, bundle, sdkHash }, options) {
      const source = { kind: options.kind, path: pkg.dir }
      const slot = register.slotOf(pkg.name, { version: pkg.version, source })
      const before = slot.entry
      const base = {
        id: pkg.name,
        version: pkg.version,
        source,
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
      register.changed()
      try {
        await serving.replace(slot, base, bundle, (loaded) => wantedInstances(slot, loaded, options))
      } catch (thrown) {
        // Nothing is kept of a plugin that was never here; a built-in stays listed, so that its absence explains itself.
        if (before === undefined && options.kind === 'directory') register.drop(slot.id)
        else register.recordFailure(slot, thrown)
        throw thrown
      } finally {
        slot.isActivating = false
        register.changed()
      }
      // Who installs agrees by installing. Where somebody else must approve, it is this list that is to be approved.
      const wider = before === undefined ? [] : widening(grantsOf(before), grantsOf(slot.entry))
      events.emit({
        type: 'plugin.installed',
        data: { plugin: slot.id, version: pkg.version, previousVersion: before?.version, source: options.kind, wider },
      })
      return slot
    },

    async configure(slot, config, instance) {
      const entry = requireEntry(slot)
      const { description: _description, instances: had, ...base } = entry
      const name = instance ?? usualName(slot)
      const wanted = { name, given: config, isDefault: entry.source.kind === 'builtin' }
      const bundle = await lock.readBundle(entry.bundleHash)
      await serving.replace(slot, base, bundle, async () => withInstance(had, wanted))
      events.emit({ type: 'plugin.configured', data: { plugin: slot.id, instance: name } })
      register.changed()
    },
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

function withInstance(had: readonly WantedInstance[], wanted: WantedInstance): WantedInstance[] {
  const old = had.find((instance) => instance.name === wanted.name)
  const next = old === undefined ? wanted : { ...wanted, given: wanted.given ?? old.given, isDefault: old.isDefault }
  return [...had.filter((instance) => instance.name !== wanted.name), next]
}

const grantsOf = (entry: LockEntry | undefined) => entry?.instances.flatMap(({ grants }) => grants) ?? []
