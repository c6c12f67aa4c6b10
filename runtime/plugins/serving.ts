/**
 * What runs, and how it is replaced: a new version or config comes fully up beside the old one, is stored, and only then
 * takes its place. Whatever fails on the way leaves the old one serving and the store as it was.
 */
import { messageOf, OrchestryError } from '../errors.ts'
import type { Log } from '../log.ts'
import type { CompiledBundle } from './bundle.ts'
import type { Lock } from './lock.ts'
import type { InstanceRecord, LockEntry } from './plugins.ts'
import type { Register } from './register.ts'
import type { Slot } from './slot.ts'
import type { Loaded, Running, Starter, WantedInstance } from './starter.ts'

export interface Serving {
  /** Load, describe, check every config and grant, open every instance, store, swap: the one way anything new comes in. */
  replace(slot: Slot, next: Next): Promise<void>
  /** From the lock alone, as at every start. */
  startLocked(slot: Slot): Promise<void>
  /** Takes what runs out of service and lets it finish in peace; resolves when it has. */
  retire(slot: Slot): Promise<void>
  /** Resolves when everything that was retired has ended. */
  settled(): Promise<void>
}

/** What is to run instead of what runs. */
export interface Next {
  readonly base: Omit<LockEntry, 'description' | 'instances'>
  readonly bundle: CompiledBundle
  wanted(loaded: Loaded): Promise<readonly WantedInstance[]>
  /** What of the settled instances is really opened. Throws what must not be. */
  review(settled: readonly InstanceRecord[]): readonly InstanceRecord[]
}

const instanceName = /^[a-z0-9][a-z0-9._-]{0,63}$/

export function createServing(deps: {
  register: Register
  starter: Starter
  lock: Lock
  log: Log
  /** Told of what is in service from now on, or, where nothing is, of what was until now. */
  onSwap: (slot: Slot, running: Running) => void
  /** What ran, or was to, has ended: until now it could still use what it was granted. */
  onEnded: () => void
}): Serving {
  const { register, starter, lock, log } = deps
  const closing = new Set<Promise<void>>()

  /** What was there before is out of service at once; resolves when it has ended. */
  async function swap(slot: Slot, next: Running | undefined): Promise<void> {
    const old = slot.running
    if (next === undefined) delete slot.running
    else slot.running = next
    const shown = next ?? old
    if (shown !== undefined) deps.onSwap(slot, shown)
    if (old === undefined) return
    const ending = old.close().catch((thrown) => log.warn({ plugin: slot.id }, messageOf(thrown)))
    closing.add(ending)
    await ending
    closing.delete(ending)
    deps.onEnded()
  }

  const open = (slot: Slot, loaded: Loaded, records: readonly InstanceRecord[]) =>
    starter.open(loaded, records, (incident) => register.record(slot, incident))

  /** Names are how apps choose plugins, so they are unique over all of them. */
  function refuseTakenName(slot: Slot, name: string): void {
    if (!instanceName.test(name))
      throw new OrchestryError(
        'ORC_PLUGIN_CONFIG_INVALID',
        `"${name}" is no instance name: up to 64 lower-case letters, digits, dots and dashes. Nothing was changed.`,
        { problems: [{ path: '', message: 'the instance name is not valid' }] },
      )
    const owner = [...register.slots.values()].find(
      (other) => other !== slot && other.entry?.instances.some((instance) => instance.name === name),
    )
    if (owner === undefined) return
    throw new OrchestryError(
      'ORC_PLUGIN_EXISTS',
      `${owner.id} has an instance "${name}"; give this one another name (--instance). Nothing was changed.`,
    )
  }

  return {
    async replace(slot, { base, bundle, wanted, review }) {
      const loaded = await starter.load({ ...base, bundle })
      let running: Running | undefined
      try {
        register.watch(slot, loaded)
        const settled: InstanceRecord[] = []
        for (const instance of await wanted(loaded)) {
          refuseTakenName(slot, instance.name)
          settled.push(await starter.settle(loaded, instance))
        }
        const records = review(settled)
        // Opened even when disabled: what would not start is not stored.
        running = await open(slot, loaded, records)
        const entry: LockEntry = { ...base, description: loaded.description, instances: records }
        await lock.keepBundle(bundle)
        await lock.put(entry)
        slot.entry = entry
        delete slot.problem
      } catch (thrown) {
        await (running?.close() ?? loaded.sandbox.close())
        deps.onEnded()
        throw thrown
      }
      if (running.records.length === 0) slot.problem = `needs a config: orchestry plugin config ${slot.id}`
      const isToRun = base.isEnabled && running.records.length > 0
      void swap(slot, isToRun ? running : undefined)
      if (isToRun) return
      await running.close()
      deps.onEnded()
    },

    async startLocked(slot) {
      const { entry } = slot
      if (entry === undefined || !entry.isEnabled || entry.instances.length === 0) return
      slot.isActivating = true
      register.changed()
      try {
        const loaded = await starter.load({ ...entry, bundle: await lock.readBundle(entry.bundleHash) })
        register.watch(slot, loaded)
        void swap(slot, await open(slot, loaded, entry.instances))
        delete slot.problem
      } finally {
        slot.isActivating = false
        register.changed()
      }
    },

    retire: (slot) => swap(slot, undefined),

    async settled() {
      await Promise.all(closing)
    },
  }
}
