/** Reads the operator's bounds on what any plugin gets: `memoryMb=64,cpuMs=500`. */
import { type LimitPolicy, pluginCeilings } from './limits.ts'

type LimitName = keyof typeof pluginCeilings

/** Below these no plugin starts or answers. */
const least: Readonly<Record<LimitName, number>> = {
  memoryMb: 8,
  cpuMs: 10,
  timeoutMs: 20,
  startMs: 100,
  hostCalls: 0,
  outKb: 1,
  logKbPerMin: 1,
}

/** What is right, for whoever wrote something else. */
export const limitPolicyForm = `limits with commas between them, like memoryMb=64,cpuMs=500; there are ${Object.entries(
  least,
)
  .map(([name, from]) => `${name} (${from} to ${pluginCeilings[name as LimitName]})`)
  .join(', ')}`

/** Undefined when the text is not of that form. */
export function readLimitPolicy(text: string): LimitPolicy | undefined {
  const policy: Partial<Record<LimitName, number>> = {}
  for (const part of text.split(',')) {
    const [name = '', digits = '', ...more] = part.split('=').map((side) => side.trim())
    if (!isLimitName(name) || name in policy || more.length > 0 || !/^\d{1,6}$/.test(digits)) return undefined
    const value = Number(digits)
    if (value < least[name] || value > pluginCeilings[name]) return undefined
    policy[name] = value
  }
  return policy
}

const isLimitName = (name: string): name is LimitName => Object.hasOwn(least, name)
