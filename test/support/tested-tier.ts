/** At which tier of confinement hostile tests run: the strictest of this machine, or the one that the run asks for. */
import { systemClock } from '../../runtime/clock.ts'
import { readConfig } from '../../runtime/config.ts'
import { createLog } from '../../runtime/log.ts'
import type { Sandbox } from '../../runtime/sandbox/sandbox.ts'
import { createSandbox } from '../../runtime/sandbox/supervisor.ts'

export const testedTier = readConfig({ sandboxTier: process.env.ORCHESTRY_TEST_TIER ?? 'best' }, {}).sandboxTier

/** A real sandbox in that tier, which says nothing. Whoever makes it closes it. */
export function createTestedSandbox(dataDir: string): Promise<Sandbox> {
  return createSandbox({ dataDir, tier: testedTier, clock: systemClock, log: createLog({ level: 'silent' }) })
}
