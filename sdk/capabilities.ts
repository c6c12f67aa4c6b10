/**
 * What a plugin may ask for (the records in its manifest) and what it then finds on `ctx`.
 * Every call is checked in the host against the operator's grant; these are only its shapes.
 */
import * as Type from 'typebox'

const strict = { additionalProperties: false }
const common = {
  as: Type.Optional(Type.String({ pattern: '^[a-z][a-zA-Z0-9]{0,31}$' })),
  why: Type.Optional(Type.String({ minLength: 1, maxLength: 300 })),
  optional: Type.Optional(Type.Boolean()),
}
const texts = (maxLength = 256) => Type.Array(Type.String({ minLength: 1, maxLength }), { minItems: 1, maxItems: 64 })
const record = <K extends string, P extends Type.TProperties>(kind: K, properties: P) =>
  Type.Object({ kind: Type.Literal(kind), ...common, ...properties }, strict)

/** The grammar of each kind of capability, by kind. Values may hold `${config.x}`; what it resolves to is what is granted. */
export const capabilitySchemas = {
  net: record('net', {
    hosts: Type.Optional(texts()),
    schemes: Type.Optional(Type.Array(Type.Union([Type.Literal('http'), Type.Literal('https')]), { minItems: 1 })),
    ports: Type.Optional(Type.Array(Type.Integer({ minimum: 1, maximum: 65_535 }), { minItems: 1 })),
    methods: Type.Optional(texts(16)),
    paths: Type.Optional(texts()),
    addresses: Type.Optional(texts()),
    maxBodyKb: Type.Optional(Type.Integer({ minimum: 0, maximum: 1024 })),
    why: Type.String({ minLength: 1, maxLength: 300 }),
  }),
  proxy: record('proxy', {}),
  kv: record('kv', {
    quotaKb: Type.Optional(Type.Integer({ minimum: 1, maximum: 65_536 })),
    maxValueKb: Type.Optional(Type.Integer({ minimum: 1, maximum: 1024 })),
  }),
  log: record('log', {}),
  clock: record('clock', {}),
  random: record('random', {}),
  timers: record('timers', {
    minMs: Type.Optional(Type.Integer({ minimum: 100 })),
    max: Type.Optional(Type.Integer({ minimum: 1, maximum: 16 })),
  }),
  events: record('events', { subscribe: Type.Optional(texts()), emit: Type.Optional(texts()) }),
  apps: record('apps', {
    read: Type.Optional(Type.Boolean()),
    scale: Type.Optional(Type.Object({ maxReplicas: Type.Integer({ minimum: 0 }) }, strict)),
    selector: Type.Optional(Type.Record(Type.String(), Type.String())),
  }),
  metrics: record('metrics', {
    read: Type.Optional(texts()),
    emit: Type.Optional(texts()),
    maxSeries: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })),
  }),
} as const

export type CapabilityKind = keyof typeof capabilitySchemas
export type CapabilityRecord = { [K in CapabilityKind]: Type.Static<(typeof capabilitySchemas)[K]> }[CapabilityKind]

/** An outgoing HTTP request. `timeoutMs` is at most the call's own deadline. */
export type NetRequest = {
  url: string
  method?: string
  headers?: Record<string, string>
  body?: string
  timeoutMs?: number
}
/** `body` is text, cut off by an error (never silently) above the granted size. */
export type NetResponse = { status: number; headers: Record<string, string>; body: string; durationMs: number }
/** One slot of `fetchAll`: an answer, or why there is none. */
export type NetOutcome = { ok: true; response: NetResponse } | { ok: false; code: string; message: string }

export interface NetCapability {
  fetch(request: string | NetRequest): Promise<NetResponse>
  /** Sends all requests in one crossing. One failure does not disturb the others. */
  fetchAll(requests: NetRequest[]): Promise<NetOutcome[]>
}
export interface ProxyCapability {
  /** Replaces the whole upstream of one app in the embedded proxy. Idempotent. */
  apply(upstream: import('./model.ts').Upstream): Promise<void>
  remove(app: string): Promise<void>
  status(app: string): Promise<import('./model.ts').UpstreamStatus | null>
  /** What the proxy has seen since the last call, per app. */
  traffic(): Promise<import('./model.ts').Sample[]>
}
export interface KvCapability {
  get(key: string): Promise<unknown>
  put(key: string, value: unknown): Promise<void>
  delete(key: string): Promise<void>
  list(prefix?: string): Promise<{ key: string; value: unknown }[]>
}
export interface LogCapability {
  debug(message: string, fields?: Record<string, unknown>): void
  info(message: string, fields?: Record<string, unknown>): void
  warn(message: string, fields?: Record<string, unknown>): void
  error(message: string, fields?: Record<string, unknown>): void
}
export interface ClockCapability {
  /** Milliseconds since the epoch, as the host saw it when this call, or the last answer to it, came in. */
  now(): number
}
export interface RandomCapability {
  /** A number in [0, 1), from a seed that the host draws for every call (and can replay). */
  next(): number
}
export interface TimersCapability {
  /** Calls `run` about every `everyMs`, never twice at once. Returns the timer's id. */
  every(everyMs: number, run: () => void | Promise<void>): Promise<string>
  after(delayMs: number, run: () => void | Promise<void>): Promise<string>
  cancel(id: string): Promise<void>
}
export interface EventsCapability {
  emit(type: string, data: Record<string, unknown>, app?: string): Promise<void>
  /** The newest events of the granted types, oldest first. */
  recent(limit?: number): Promise<import('./model.ts').OrchestryEvent[]>
}
export interface AppsCapability {
  list(): Promise<import('./model.ts').AppView[]>
  get(app: string): Promise<import('./model.ts').AppView | null>
  scale(app: string, replicas: number, reason: string): Promise<void>
}
export interface MetricsCapability {
  read(app: string, metrics: string[], windowSeconds?: number): Promise<import('./model.ts').Metrics>
  emit(samples: import('./model.ts').Sample[]): Promise<void>
}

/** Binding by capability kind; under another name when the manifest's record says `as`. */
export interface CapabilityBindings {
  net: NetCapability
  proxy: ProxyCapability
  kv: KvCapability
  log: LogCapability
  clock: ClockCapability
  random: RandomCapability
  timers: TimersCapability
  events: EventsCapability
  apps: AppsCapability
  metrics: MetricsCapability
}

/**
 * Exactly what was granted. A capability that was not granted is not there: ask with `has`, or read the error, which names
 * the manifest record that would bring it.
 */
export type Context = CapabilityBindings & {
  has(name: string): boolean
  readonly instance: string
  // Bindings that the manifest renamed with `as`; TypeScript cannot know their kind.
  // biome-ignore lint/suspicious/noExplicitAny: the kind of a renamed binding is the author's knowledge
  readonly [as: string]: any
}
