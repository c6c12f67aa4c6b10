/** The operations of each capability that cross to the host; the sandbox builds `ctx` from this table. */
export const capabilityOperations = {
  net: ['fetch', 'fetchAll'],
  proxy: ['apply', 'remove', 'status', 'traffic'],
  kv: ['get', 'put', 'delete', 'list'],
  log: ['debug', 'info', 'warn', 'error'],
  clock: [],
  random: [],
  timers: ['every', 'after', 'cancel'],
  events: ['emit', 'recent'],
  apps: ['list', 'get', 'scale'],
  metrics: ['read', 'emit'],
} as const satisfies Record<string, readonly string[]>
