/** Plain data of what a plugin object declares; functions are named, never passed. */
import { create, isArray, ownKeys } from './primordials.ts'

export type Guest = Record<string, unknown>

export function describe(plugin: Guest): unknown {
  const hooks = create(null) as Guest
  const lifecycle: string[] = []
  for (const key of ownKeys(plugin)) {
    if (typeof key !== 'string' || key === 'config') continue
    const value = plugin[key]
    if (typeof value === 'function') lifecycle[lifecycle.length] = key
    else if (typeof value === 'object' && value !== null && !isArray(value)) hooks[key] = describeHook(value as Guest)
  }
  return { hooks, lifecycle, ...(plugin.config === undefined ? {} : { configSchema: plugin.config }) }
}

function describeHook(hook: Guest): unknown {
  const functions: string[] = []
  const declares = create(null) as Guest
  for (const member of ownKeys(hook)) {
    if (typeof member !== 'string') continue
    const part = hook[member]
    if (typeof part === 'function') functions[functions.length] = member
    else declares[member] = part
  }
  return { functions, declares }
}
