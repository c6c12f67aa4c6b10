/** The sandbox as built on isolated-vm: one powerless process per plugin, a spare that waits, isolates inside. */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Clock } from '../clock.ts'
import { messageOf, OrchestryError } from '../errors.ts'
import type { Log } from '../log.ts'
import { findEngineAddon } from './addon.ts'
import { withControlGroups, withOwnUser } from './confinement.ts'
import { prepareControlGroups } from './control-groups.ts'
import { describeConfinement } from './description.ts'
import { readMachine } from './machine.ts'
import { createPluginSandbox } from './plugin-sandbox.ts'
import { buildSandboxProgram } from './program.ts'
import type { PluginSandbox, Sandbox, Tier } from './sandbox.ts'
import { createSpares, type FillingSpares } from './spares.ts'
import { stageForOthers } from './staging.ts'
import { chooseTier, findTiers, type TierOption, type WantedTier } from './tiers.ts'
import { createUserIds } from './user-ids.ts'

/** What was killed is gone in milliseconds; a kernel that cannot do that is not waited for. */
const settleMs = 2_000

/** @throws ORC_SANDBOX_UNAVAILABLE when the tier that was asked for cannot be had, saying why. */
export async function createSandbox(deps: {
  dataDir: string
  /** Default: the strictest that this machine has. */
  tier?: WantedTier
  floor?: Tier
  clock: Clock
  log: Log
}): Promise<Sandbox> {
  const { dataDir, clock, log, tier: wanted = 'best' } = deps
  const addon = findEngineAddon()
  const program = { path: await buildSandboxProgram(join(dataDir, 'sandbox')), addon: addon.path }
  const machine = readMachine()
  const groups = prepareControlGroups()
  const nextUid = createUserIds()
  const found = await findTiers(machine, program, nextUid)
  let undoStaging = async () => {}
  const { tier, spares, tiers } = await begin(found)
  const groupProblem =
    tier === 0 ? 'tier 0 asks nothing of the kernel' : typeof groups === 'string' ? groups : undefined
  const loaded = new Set<PluginSandbox>()

  /** A tier is had when a process of ours is ready in it; that one is then the first spare. */
  async function begin(
    options: readonly TierOption[],
  ): Promise<{ tier: Tier; spares: FillingSpares; tiers: readonly TierOption[] }> {
    let chosen = chooseTier(wanted, options)
    if (chosen.tier === 2 && nextUid !== undefined) {
      const staged = await stageForOthers(program)
      undoStaging = staged.remove
      chosen = withOwnUser(machine, staged.program, nextUid)
    }
    if (chosen.tier > 0 && typeof groups !== 'string') chosen = withControlGroups(chosen, groups, machine)
    const spares = createSpares(chosen, log)
    try {
      await spares.prepare()
      return { tier: chosen.tier, spares, tiers: options }
    } catch (thrown) {
      spares.close()
      await undoStaging()
      if (chosen.tier === 0)
        throw new OrchestryError('ORC_SANDBOX_UNAVAILABLE', 'No sandbox process could be started.', { cause: thrown })
      const why = `a sandbox process did not become ready in it (${messageOf(thrown)})`
      log.warn({ tier: chosen.tier, why }, 'a tier of the sandbox does not work here')
      return begin(options.map((option) => (option.tier === chosen.tier ? { tier: chosen.tier, why } : option)))
    }
  }

  return {
    description: {
      engine: `isolated-vm ${addon.version}`,
      node: process.versions.node,
      tier,
      floor: deps.floor ?? 1,
      ...describeConfinement(tier, machine, groupProblem),
      tiers: tiers.map(({ tier, why }) => ({
        tier,
        isAvailable: why === undefined,
        ...(why === undefined ? {} : { why }),
      })),
    },
    async load(bundle, limits) {
      const sandbox = await createPluginSandbox({ bundle, limits, spares, clock, log })
      loaded.add(sandbox)
      sandbox.onState((state) => state === 'closed' && loaded.delete(sandbox))
      return sandbox
    },
    async close() {
      spares.close()
      await Promise.allSettled([...loaded].map((sandbox) => sandbox.close()))
      const patience = new AbortController()
      const late = sleep(settleMs, undefined, { signal: patience.signal }).catch(() => {})
      await Promise.race([spares.settled(), late])
      patience.abort()
      await undoStaging()
    },
  }
}
