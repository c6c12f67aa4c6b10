/** Plugins of strangers run only where the machine confines them as strictly as the operator requires. */
import { OrchestryError } from '../errors.ts'
import type { SandboxDescription } from '../sandbox/sandbox.ts'
import type { LockEntry } from './plugins.ts'

/** @throws ORC_SANDBOX_TIER_TOO_LOW for what did not come with Orchestry, saying what keeps a stricter tier from being had. */
export function refuseBelowFloor(
  { id, source }: Pick<LockEntry, 'id' | 'source'>,
  { tier, floor, tiers }: Pick<SandboxDescription, 'tier' | 'floor' | 'tiers'>,
): void {
  if (source.kind === 'builtin' || tier >= floor) return
  const enough = tiers.filter((option) => option.tier >= floor)
  const hindrances = enough.map(
    ({ tier, why }) => `tier ${tier}: ${why ?? 'this machine has it; start Orchestry with --sandbox-tier best'}`,
  )
  throw new OrchestryError(
    'ORC_SANDBOX_TIER_TOO_LOW',
    `${id} did not come with Orchestry, so it is run in tier ${floor} or stricter (ORCHESTRY_SANDBOX_FLOOR); sandbox ` +
      `processes run in tier ${tier} here. ${hindrances.join('; ')}. Mend one of these, or lower the floor. Nothing was changed.`,
  )
}
