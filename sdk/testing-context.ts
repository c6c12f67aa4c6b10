/** The `ctx` of a test: every capability as a small fixture that records what the plugin did with it. */
import {
  type CapabilityKind,
  type Context,
  capabilitySchemas,
  type Encoding,
  type NetRequest,
  type NetResponse,
} from './capabilities.ts'
import type { AppView, Metrics, OrchestryEvent, Sample, Upstream } from './model.ts'
import { coded } from './testing-coded.ts'
import { type ExecFixtures, execOf, type FilesFixtures, filesOf, type RanCommand } from './testing-machine.ts'
import { type GrpcFixtures, grpcOf, type RedisFixtures, redisOf } from './testing-servers.ts'
import { type StreamFixtures, streamOf } from './testing-streams.ts'

/** What one URL answers; what is left out is a 200 with an empty body. An `Error` is a failed connection. */
export type NetFixture = Partial<NetResponse> | Error

/** Answers by exact URL, or by a function of the request. A URL that is not there is refused, as an ungranted host would be. */
export type NetFixtures =
  | Readonly<Record<string, NetFixture>>
  | ((request: NetRequest) => NetFixture | Promise<NetFixture>)

/** What the operator of the test grants, by capability kind. What is absent was not granted. */
export interface Grants {
  readonly net?: NetFixtures
  /** `true` for an empty map, or what it holds at first. */
  readonly kv?: true | Readonly<Record<string, unknown>>
  readonly log?: true
  readonly clock?: true
  /** `true`, or the seed of the numbers. */
  readonly random?: true | number
  readonly timers?: true
  /** `true`, or what `recent` finds. */
  readonly events?: true | readonly OrchestryEvent[]
  readonly apps?: readonly AppView[]
  /** `true`, or what `read` finds, by app. */
  readonly metrics?: true | Readonly<Record<string, Metrics>>
  /** `true`, or what `traffic` answers. */
  readonly proxy?: true | readonly Sample[]
  /** What `get` finds by name, as with `"mode": "reveal"`. */
  readonly secrets?: Readonly<Record<string, string>>
  /** `true`, or the values of the secrets that `hmac` may use as keys. */
  readonly crypto?: true | Readonly<Record<string, string>>
  readonly tcp?: StreamFixtures
  readonly unix?: StreamFixtures
  readonly redis?: RedisFixtures
  readonly grpc?: GrpcFixtures
  readonly files?: FilesFixtures
  readonly exec?: ExecFixtures
}

/** What the plugin did, in order. */
export interface Recorded {
  readonly logs: { level: 'debug' | 'info' | 'warn' | 'error'; message: string; fields?: Record<string, unknown> }[]
  readonly requests: NetRequest[]
  readonly kv: Map<string, unknown>
  readonly events: { type: string; data: Record<string, unknown>; app?: string }[]
  readonly samples: Sample[]
  readonly scaled: { app: string; replicas: number; reason: string }[]
  readonly upstreams: Map<string, Upstream>
  /** What lies there, by `root:path`. What is not UTF-8 is base64 behind `base64:`. */
  readonly files: Map<string, string>
  readonly commands: RanCommand[]
}

export interface TestClock {
  now(): number
  every(everyMs: number, run: () => unknown): string
  after(delayMs: number, run: () => unknown): string
  cancel(id: string): void
  /** Takes no time but on the clock. */
  sleep(ms: number): void
}

const copy = <T>(value: T): T => (value === undefined ? value : (JSON.parse(JSON.stringify(value)) as T))

/**
 * Makes a frozen `ctx` that holds exactly what was granted; `as` gives bindings other names, as the manifest's `as` does.
 * Reading a capability that is not there throws what the host's guest throws.
 */
export function createContext(options: {
  grants: Grants
  as: Readonly<Record<string, CapabilityKind>>
  instance: string
  clock: TestClock
  recorded: Recorded
}): Context {
  const { grants, as, instance, clock, recorded } = options
  const bindings = bindingsOf(grants, clock, recorded)
  const renamed = new Set<string>(Object.values(as))
  const ctx = {}
  const names = new Map<string, CapabilityKind>()
  for (const kind of Object.keys(capabilitySchemas) as CapabilityKind[]) {
    if (bindings[kind] && !renamed.has(kind)) names.set(kind, kind)
    else Object.defineProperty(ctx, kind, { get: () => missing(kind), configurable: true })
  }
  for (const [name, kind] of Object.entries(as)) if (bindings[kind]) names.set(name, kind)
  for (const [name, kind] of names) {
    Object.defineProperty(ctx, name, { value: Object.freeze(bindings[kind]), enumerable: true })
  }
  return Object.freeze(Object.assign(ctx, { has: (name: string) => names.has(name), instance })) as unknown as Context
}

function missing(kind: string): never {
  throw new Error(`ctx.${kind} was not granted: add { "kind": "${kind}" } to orchestry.capabilities in package.json`)
}

function bindingsOf(grants: Grants, clock: TestClock, recorded: Recorded): Partial<Record<CapabilityKind, object>> {
  return {
    ...(grants.net && { net: netOf(grants.net, recorded) }),
    ...(grants.kv && { kv: kvOf(grants.kv, recorded) }),
    ...(grants.log && { log: logOf(recorded) }),
    ...(grants.clock && { clock: { now: clock.now } }),
    ...(grants.random !== undefined && { random: { next: numbersFrom(grants.random === true ? 1 : grants.random) } }),
    ...(grants.timers && {
      timers: {
        every: async (everyMs: number, run: () => unknown) => clock.every(everyMs, run),
        after: async (delayMs: number, run: () => unknown) => clock.after(delayMs, run),
        cancel: async (id: string) => clock.cancel(id),
        sleep: async (ms: number) => clock.sleep(ms),
      },
    }),
    ...(grants.events && { events: eventsOf(grants.events, recorded) }),
    ...(grants.apps && { apps: appsOf(grants.apps, recorded) }),
    ...(grants.metrics && { metrics: metricsOf(grants.metrics, recorded) }),
    ...(grants.proxy && { proxy: proxyOf(grants.proxy, recorded) }),
    ...(grants.secrets && { secrets: secretsOf(grants.secrets) }),
    ...(grants.tcp && { tcp: streamOf('tcp', grants.tcp) }),
    ...(grants.unix && { unix: streamOf('unix', grants.unix) }),
    ...(grants.redis && { redis: redisOf(grants.redis) }),
    ...(grants.grpc && { grpc: grpcOf(grants.grpc) }),
    ...(grants.files && { files: filesOf(grants.files, recorded.files, clock.now) }),
    ...(grants.exec && { exec: execOf(grants.exec, recorded.commands) }),
    ...(grants.crypto && { crypto: cryptoOf(grants.crypto === true ? {} : grants.crypto) }),
  }
}

function netOf(fixtures: NetFixtures, { requests }: Recorded) {
  const fetch = async (given: string | NetRequest): Promise<NetResponse> => {
    const request = copy(typeof given === 'string' ? { url: given } : given)
    requests.push(request)
    const found = typeof fixtures === 'function' ? await fixtures(request) : fixtures[request.url]
    if (found === undefined) {
      throw coded('ORC_CAPABILITY_DENIED', `ctx.net: the test has no answer for ${request.url} (grants.net)`)
    }
    if (found instanceof Error) throw 'code' in found ? found : coded('ORC_NET_UNREACHABLE', found.message)
    return { status: 200, headers: {}, body: '', durationMs: 1, ...found }
  }
  return {
    fetch,
    fetchAll: (all: NetRequest[]) =>
      Promise.all(
        all.map(async (request) => {
          try {
            return { ok: true, response: await fetch(request) }
          } catch (error) {
            const { code, message } = error as Error & { code: string }
            return { ok: false, code, message }
          }
        }),
      ),
  }
}

function kvOf(first: true | Readonly<Record<string, unknown>>, { kv }: Recorded) {
  if (first !== true) for (const [key, value] of Object.entries(first)) kv.set(key, copy(value))
  const checked = (key: string): string => {
    if (typeof key === 'string' && key !== '') return key
    throw coded('ORC_CAPABILITY_ARGUMENT', 'ctx.kv: a key has 1 to 256 bytes and no control characters')
  }
  return {
    get: async (key: string) => copy(kv.get(checked(key))) ?? null,
    put: async (key: string, value: unknown) => void kv.set(checked(key), copy(value)),
    delete: async (key: string) => void kv.delete(checked(key)),
    list: async (prefix = '') =>
      [...kv]
        .filter(([key]) => key.startsWith(prefix))
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, value]) => ({ key, value: copy(value) })),
  }
}

function logOf({ logs }: Recorded) {
  const at = (level: Recorded['logs'][number]['level']) => (message: string, fields?: Record<string, unknown>) => {
    logs.push({ level, message: String(message), ...(fields && { fields: copy(fields) }) })
  }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

function eventsOf(past: true | readonly OrchestryEvent[], { events }: Recorded) {
  return {
    emit: async (type: string, data: Record<string, unknown>, app?: string) => {
      events.push({ type, data: copy(data), ...(app !== undefined && { app }) })
    },
    recent: async (limit = 50) => (past === true ? [] : copy(past.slice(-limit))),
  }
}

function appsOf(apps: readonly AppView[], { scaled }: Recorded) {
  return {
    list: async () => copy(apps),
    get: async (name: string) => copy(apps.find((app) => app.name === name)) ?? null,
    scale: async (app: string, replicas: number, reason: string) => void scaled.push({ app, replicas, reason }),
  }
}

function metricsOf(windows: true | Readonly<Record<string, Metrics>>, { samples }: Recorded) {
  return {
    async read(app: string, metrics: string[]) {
      const found: Metrics = windows === true ? {} : (windows[app] ?? {})
      return copy(Object.fromEntries(Object.entries(found).filter(([name]) => metrics.includes(name))))
    },
    emit: async (given: Sample[]) => void samples.push(...copy(given)),
  }
}

function proxyOf(traffic: true | readonly Sample[], { upstreams }: Recorded) {
  return {
    apply: async (upstream: Upstream) => void upstreams.set(upstream.app, copy(upstream)),
    remove: async (app: string) => void upstreams.delete(app),
    async status(app: string) {
      const upstream = upstreams.get(app)
      if (upstream === undefined) return null
      const endpoints = upstream.endpoints.map(({ id }) => ({ id, state: 'up', activeConnections: 0 }))
      return { app, generation: upstream.generation, endpoints }
    },
    traffic: async () => (traffic === true ? [] : copy(traffic)),
    signals: async () => [],
  }
}

function secretsOf(values: Readonly<Record<string, string>>) {
  return {
    async get(name: string) {
      if (Object.hasOwn(values, name)) return values[name]
      throw coded('ORC_CAPABILITY_DENIED', `ctx.secrets: there is no secret "${name}" that this plugin may read`)
    },
  }
}

const digests: Readonly<Record<string, string>> = { sha256: 'SHA-256', sha384: 'SHA-384', sha512: 'SHA-512' }

function cryptoOf(keys: Readonly<Record<string, string>>) {
  const { subtle } = crypto
  const digestOf = (algorithm: string): string => {
    const found = digests[algorithm]
    if (found !== undefined) return found
    throw coded('ORC_CAPABILITY_ARGUMENT', `ctx.crypto: ${algorithm} is not one of ${Object.keys(digests).join(', ')}`)
  }
  const bytesOf = (data: string, encoding: Encoding = 'utf8') =>
    encoding === 'base64'
      ? Uint8Array.from(atob(data), (character) => character.charCodeAt(0))
      : new TextEncoder().encode(data)
  const hex = (bytes: ArrayBuffer) =>
    Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, '0')).join('')
  return {
    hash: async (algorithm: string, data: string, encoding?: Encoding) =>
      hex(await subtle.digest(digestOf(algorithm), bytesOf(data, encoding))),
    async hmac(algorithm: string, name: string, data: string, encoding?: Encoding) {
      const value = Object.hasOwn(keys, name) ? keys[name] : undefined
      if (value === undefined)
        throw coded(
          'ORC_CAPABILITY_DENIED',
          `ctx.crypto: there is no secret "${name}" that this plugin may use as a key`,
        )
      const hmac = { name: 'HMAC', hash: digestOf(algorithm) }
      const key = await subtle.importKey('raw', new TextEncoder().encode(value), hmac, false, ['sign'])
      return hex(await subtle.sign('HMAC', key, bytesOf(data, encoding)))
    },
    async randomBytes(count: number) {
      return btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(count))))
    },
    randomUuid: async () => crypto.randomUUID(),
  }
}

/** mulberry32, as in the sandbox: the same numbers for the same seed. */
function numbersFrom(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let bits = Math.imul(state ^ (state >>> 15), 1 | state)
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits
    return ((bits ^ (bits >>> 14)) >>> 0) / 4294967296
  }
}
