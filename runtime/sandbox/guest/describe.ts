/** Plain data of what a plugin object declares; functions are named, never passed. */
import { create, isArray, ownKeys } from './primordials.ts'

export type Guest = Record<string, unknown>

export function describe(plugin: Guest): unknown {
  const hooks = create(null) as Guest
  const lifecycle: string[] = []
  const keys = ownKeys(plugin)
  for (let index = 0; index < keys.length; index += 1) {
    const key = keys[index]
    if (typeof key !== 'string' || key === 'config') continue
    const value = plugin[key]
    if (typeof value === 'function') lifecycle[lifecycle.length] = key
    else if (typeof value === 'object' && value !== null && !isArray(value)) hooks[key] = describeHook(value as Guest)
  }
  const configSchema = plugin.config
  return configSchema === undefined ? { hooks, lifecycle } : { hooks, lifecycle, configSchema }
}

function describeHook(hook: Guest): unknown {
  const functions: string[] = []
  const declares = create(null) as Guest
  const members = ownKeys(hook)
  for (let index = 0; index < members.length; index += 1) {
    const member = members[index]
    if (typeof member !== 'string') continue
    const part = hook[member]
    if (typeof part === 'function') functions[functions.length] = member
    else declares[member] = part
  }
  return { functions, declares }
}
