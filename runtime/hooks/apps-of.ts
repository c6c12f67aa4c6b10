/** Which apps a call is about, read from what it hands over: for the accounting and for blame. Pure. */
import type { HookKind } from '@orchestry/sdk'

/** '' for an item that is about no app. */
export function appsOf(kind: HookKind, fn: string, items: readonly unknown[]): readonly string[] {
  const [first] = items
  // One item that holds many: each of them is charged its share.
  if (kind === 'metricsSource' && items.length === 1 && Array.isArray(first)) return first.map(appOf)
  if (kind === 'loadBalancer' && fn !== 'apply') return items.map((item) => (typeof item === 'string' ? item : ''))
  return items.map(appOf)
}

/** Of a scaler an app's view, of all others its name. */
function appOf(item: unknown): string {
  if (typeof item !== 'object' || item === null) return ''
  const { app } = item as { app?: unknown }
  if (typeof app === 'string') return app
  if (typeof app !== 'object' || app === null) return ''
  const { name } = app as { name?: unknown }
  return typeof name === 'string' ? name : ''
}
