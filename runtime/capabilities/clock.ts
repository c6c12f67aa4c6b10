/** Lets a plugin ask for the time. The sandbox hands it in with every call, so there is nothing to do here but to be granted. */
import type { Capability } from './capability.ts'

export const clockCapability: Capability<'clock'> = { kind: 'clock', use: () => ({ operations: {} }) }
