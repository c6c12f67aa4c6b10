/** Lets a plugin have chance. The sandbox hands in a seed with every call, so there is nothing to do here but to be granted. */
import type { Capability } from './capability.ts'

export const randomCapability: Capability<'random'> = { kind: 'random', use: () => ({ operations: {} }) }
