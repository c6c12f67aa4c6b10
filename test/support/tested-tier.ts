/** At which tier of confinement hostile tests run: the strictest of this machine, or the one that the run asks for. */
import { readConfig } from '../../runtime/config.ts'

export const testedTier = readConfig({ sandboxTier: process.env.ORCHESTRY_TEST_TIER ?? 'best' }, {}).sandboxTier
