/** The port of what has happened: append-only, numbered, durable before it is heard. */
import type { OrchestryEvent } from '@orchestry/sdk'

export type NewEvent = Omit<StoredEvent, 'id' | 'atMs' | 'source'> & { readonly source?: string }
/** `depth`: of an event of a plugin, how many events of plugins led to it, one to the other, itself included. */
export type StoredEvent = OrchestryEvent & { readonly depth?: number }

/** All event types of the runtime itself. Plugins add their own under their own prefix. */
export const eventTypes = [
  'app.registered',
  'app.changed',
  'app.deleted',
  'app.started',
  'app.stopped',
  'app.scaled',
  'app.degraded',
  'app.recovered',
  'app.paused',
  'app.resumed',
  'instance.started',
  'instance.stopped',
  'instance.exited',
  'instance.failed',
  'instance.healthy',
  'instance.unhealthy',
  'instance.adopted',
  'decision.made',
  'rollout.started',
  'rollout.finished',
  'rollout.rolledBack',
  'rollout.undone',
  'driver.lost',
  'driver.restored',
  'upstream.published',
  'upstream.failed',
  'plugin.installed',
  'plugin.enabled',
  'plugin.disabled',
  'plugin.configured',
  'plugin.pending',
  'plugin.tightened',
  'plugin.loosened',
  'plugin.failed',
  'plugin.restarted',
  'plugin.quarantined',
  'plugin.violated',
  'secret.stored',
  'secret.removed',
  'runtime.started',
  'runtime.stopped',
  'dataplane.restarted',
] as const
export type EventType = (typeof eventTypes)[number]

export interface EventQuery {
  readonly app?: string
  readonly type?: string
  /** Only events after this id. */
  readonly after?: string
  readonly limit?: number
}

export interface Events {
  /** Resolves when the events are on disk. Ids sort in the order of appending. */
  append(events: readonly NewEvent[]): Promise<OrchestryEvent[]>
  /** For callers that go on without waiting; kept in order with `append`, and logged if the store refuses it. */
  emit(event: NewEvent): void
  /** Without `after` the newest, with it the oldest after that id; always returned oldest first. */
  list(query: EventQuery): Promise<StoredEvent[]>
  subscribe(listener: (event: OrchestryEvent) => void): () => void
  /** Resolves when everything emitted so far is on disk. */
  flush(): Promise<void>
}
