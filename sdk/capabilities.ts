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

const why = Type.String({ minLength: 1, maxLength: 300 })
const name = Type.String({ pattern: '^[a-z][a-zA-Z0-9]{0,31}$' })
/** A secret that the host puts into a header (of gRPC: metadata) of every request; the guest never sees it. */
const auth = Type.Object(
  {
    secret: Type.String({ minLength: 1, maxLength: 64 }),
    header: Type.Optional(Type.String({ pattern: '^[a-z][a-z0-9-]{0,63}$' })),
    /** Put before it, like `Bearer `. */
    prefix: Type.Optional(Type.String({ maxLength: 32 })),
  },
  strict,
)
/** The directory that Orchestry makes for one instance: it stands in grants as it is, because only the host knows its path. */
export const instanceDir = '${instance.dir}'
const daemonSignals = ['HUP', 'USR1', 'USR2', 'WINCH', 'QUIT', 'TERM', 'INT'] as const
const stopSignals = ['TERM', 'QUIT', 'INT'] as const
const cryptoOps = ['hash', 'hmac', 'randomBytes', 'randomUuid'] as const

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
    /** How many redirects are followed, each checked like a request of its own; none without it. */
    redirects: Type.Optional(Type.Integer({ minimum: 0, maximum: 3 })),
    perMinute: Type.Optional(Type.Integer({ minimum: 1, maximum: 60_000 })),
    auth: Type.Optional(auth),
    why,
  }),
  tcp: record('tcp', {
    /** `host:port`; may be left out when `addresses` is `["instances"]`. */
    targets: Type.Optional(texts()),
    addresses: Type.Optional(texts()),
    maxReadKb: Type.Optional(Type.Integer({ minimum: 1, maximum: 1024 })),
    why,
  }),
  unix: record('unix', {
    /** Absolute paths of sockets, exact. */
    paths: texts(108),
    maxReadKb: Type.Optional(Type.Integer({ minimum: 1, maximum: 1024 })),
    why,
  }),
  grpc: record('grpc', {
    /** `host:port`; may be left out when `addresses` is `["instances"]`. */
    targets: Type.Optional(texts()),
    addresses: Type.Optional(texts()),
    /** `package.Service/Method` or `package.Service/*`. */
    methods: texts(),
    /** The text of a proto3 file that describes those methods; `grpc.health.v1.Health` is known without. */
    proto: Type.Optional(Type.String({ minLength: 1, maxLength: 32_768 })),
    tls: Type.Optional(Type.Boolean()),
    metadata: Type.Optional(texts(64)),
    maxMessageKb: Type.Optional(Type.Integer({ minimum: 1, maximum: 1024 })),
    auth: Type.Optional(auth),
    why,
  }),
  redis: record('redis', {
    /** `redis://host:port/db`, `rediss://…`, or `secret://name` of a secret that holds such a URL. */
    url: Type.String({ minLength: 1, maxLength: 512 }),
    addresses: Type.Optional(texts()),
    commands: texts(32),
    /** Prefixes that every key must have. */
    keys: texts(),
    maxReplyKb: Type.Optional(Type.Integer({ minimum: 1, maximum: 1024 })),
    why,
  }),
  files: record('files', {
    roots: Type.Array(
      Type.Object(
        {
          name,
          /** An absolute path of a directory; `${instance.dir}` is one that Orchestry makes for this instance alone. */
          path: Type.String({ minLength: 1, maxLength: 1024 }),
          read: Type.Optional(texts()),
          write: Type.Optional(texts()),
        },
        strict,
      ),
      { minItems: 1, maxItems: 8 },
    ),
    quotaKb: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_048_576 })),
    maxFileKb: Type.Optional(Type.Integer({ minimum: 1, maximum: 1024 })),
    maxFiles: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 })),
    why,
  }),
  exec: record('exec', {
    commands: Type.Array(
      Type.Object(
        {
          name,
          /** An absolute path. */
          path: Type.String({ minLength: 1, maxLength: 1024 }),
          /** sha-256 of the program in hex; without it, that of the program found at consent is written into the grant. */
          digest: Type.Optional(Type.String({ pattern: '^[0-9a-f]{64}$' })),
          /** Fixed texts with holes: `{n:int}`, `{name:token}`, `{mode:one|two}`. */
          args: Type.Optional(Type.Array(Type.String({ maxLength: 256 }), { maxItems: 64 })),
          timeoutMs: Type.Optional(Type.Integer({ minimum: 100, maximum: 60_000 })),
          maxOutputKb: Type.Optional(Type.Integer({ minimum: 1, maximum: 1024 })),
          /** Where it runs, instead of an empty directory that is gone afterwards. */
          workingDir: Type.Optional(Type.Literal(instanceDir)),
          /**
           * It is a server that stays: started once, in the foreground, and kept running by the host, whatever becomes of the
           * sandbox, until the plugin stops it or is disabled or removed, or Orchestry ends with all it runs.
           */
          daemon: Type.Optional(
            Type.Object(
              {
                /** What the plugin may send to it. */
                signals: Type.Optional(Type.Array(Type.Enum([...daemonSignals]), { maxItems: 8 })),
                /** Asks it to end; it is killed `stopMs` later. Default `TERM`, 5000. */
                stopSignal: Type.Optional(Type.Enum([...stopSignals])),
                stopMs: Type.Optional(Type.Integer({ minimum: 100, maximum: 60_000 })),
              },
              strict,
            ),
          ),
        },
        strict,
      ),
      { minItems: 1, maxItems: 16 },
    ),
    why,
  }),
  secrets: record('secrets', {
    names: texts(64),
    /** `inject`: `secret://name` as a header's whole value; the host puts the secret there. `reveal`: the guest reads it. */
    mode: Type.Union([Type.Literal('inject'), Type.Literal('reveal')]),
    why,
  }),
  crypto: record('crypto', {
    ops: Type.Array(Type.Enum([...cryptoOps]), { minItems: 1 }),
    /** Secrets that may be used as keys of `hmac`; the guest never sees them. */
    keys: Type.Optional(texts(64)),
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
  /** Only the status and the headers matter: the answer's body is not waited for, whatever its size, and comes as ''. */
  skipBody?: boolean
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
/** Text, or with `encoding: 'base64'` any bytes. */
export type Encoding = 'utf8' | 'base64'
export type ReadOptions = {
  /** At most so many bytes; the grant's `maxReadKb` where it is smaller. */
  maxBytes?: number
  /** Reads on until this text was seen. Without it the first bytes that come are the answer. */
  until?: string
  timeoutMs?: number
  encoding?: Encoding
}
export type Chunk = { data: string; isEnd: boolean }
export type Exchange = ReadOptions & { target: string; send?: string }
export interface StreamCapability {
  /** Connects; the connection is closed when the hook call that opened it is over. */
  open(target: string, options?: { timeoutMs?: number }): Promise<string>
  write(connection: string, data: string, encoding?: Encoding): Promise<void>
  read(connection: string, options?: ReadOptions): Promise<Chunk>
  close(connection: string): Promise<void>
  /** Connect, send, read and close in one crossing. Without `send` and `until` it only tells whether a connection is taken. */
  exchange(request: Exchange): Promise<Chunk & { durationMs: number }>
  exchangeAll(
    requests: Exchange[],
  ): Promise<({ ok: true; response: Chunk & { durationMs: number } } | { ok: false; code: string; message: string })[]>
}
export type GrpcCall = {
  target: string
  /** `package.Service/Method`. */
  method: string
  /** Fields by the names in the proto text; 64-bit numbers as text, bytes as base64, values of enums by name. */
  message?: Record<string, unknown>
  metadata?: Record<string, string>
  timeoutMs?: number
}
/** `status` is the number of the gRPC status, 14 also where nobody answers; `message` is there when it is 0. */
export type GrpcAnswer = { status: number; detail: string; message?: Record<string, unknown>; durationMs: number }
export type GrpcHealth = 'SERVING' | 'NOT_SERVING' | 'UNKNOWN' | 'SERVICE_UNKNOWN'
export interface GrpcCapability {
  unary(call: GrpcCall): Promise<GrpcAnswer>
  /** `grpc.health.v1.Health/Check` of each target; `service` is '' for the whole server. */
  checkAll(
    checks: { target: string; service?: string; timeoutMs?: number }[],
  ): Promise<
    (
      | { ok: true; health: GrpcHealth; durationMs: number }
      | { ok: false; status: number; code: string; message: string }
    )[]
  >
}
export type RedisReply = string | number | null | RedisReply[]
export interface RedisCapability {
  command(name: string, ...args: (string | number)[]): Promise<RedisReply>
  /** Each with its own outcome, in order. */
  pipeline(
    commands: (string | number)[][],
  ): Promise<({ ok: true; reply: RedisReply } | { ok: false; code: string; message: string })[]>
}
export type FileInfo = { path: string; bytes: number; modifiedAtMs: number }
export interface FilesCapability {
  read(
    root: string,
    path: string,
    options?: { offset?: number; maxBytes?: number; encoding?: Encoding },
  ): Promise<string>
  /** Under another name first, then renamed: readers see the old file or the whole new one. */
  write(root: string, path: string, data: string, encoding?: Encoding): Promise<void>
  remove(root: string, path: string): Promise<void>
  /** Granted files, by path. */
  list(root: string, directory?: string): Promise<FileInfo[]>
  stat(root: string, path: string): Promise<FileInfo | null>
  /** What was appended since `cursor` (a former answer's; without it: from the end). A rotated file begins anew. */
  tail(root: string, path: string, cursor?: string, maxBytes?: number): Promise<{ text: string; cursor: string }>
}
export type ExecResult = {
  code: number | null
  signal: string | null
  stdout: string
  stderr: string
  /** There was more output than granted; the command was killed at that point, and this is the beginning of it. */
  isCut: boolean
  durationMs: number
}
export interface ExecCapability {
  /** Runs a granted command; `values` fill the holes of its arguments. */
  run(command: string, values?: Record<string, string | number>): Promise<ExecResult>
  /** Sees to it that a command with `daemon` runs with these values; one that does already goes on undisturbed. */
  start(command: string, values?: Record<string, string | number>): Promise<DaemonStatus>
  /** Asks it to end, kills it when it does not, and resolves when it is gone. */
  stop(command: string): Promise<void>
  /** One of the granted signals, to its first process. */
  signal(command: string, signal: string): Promise<void>
  status(command: string): Promise<DaemonStatus>
}
/** A server as the host keeps it: one that ended by itself is started again, later and later. */
export type DaemonStatus = {
  isRunning: boolean
  pid?: number
  startedAtMs?: number
  /** How many processes it consists of. */
  processes: number
  /** Since it was started on purpose. */
  restarts: number
  /** How it ended last. */
  exit?: { code: number | null; signal: string | null; atMs: number }
  /** Why it could not be started. */
  problem?: string
  /** The end of what it wrote to both outputs since it was started on purpose. */
  output: string
}
export interface SecretsCapability {
  /** Only with `mode: 'reveal'`. */
  get(name: string): Promise<string>
}
export interface CryptoCapability {
  /** Hex of sha256, sha384 or sha512. */
  hash(algorithm: string, data: string, encoding?: Encoding): Promise<string>
  /** Hex; `key` names a secret of the grant. */
  hmac(algorithm: string, key: string, data: string, encoding?: Encoding): Promise<string>
  /** Base64. */
  randomBytes(count: number): Promise<string>
  randomUuid(): Promise<string>
}
export interface ProxyCapability {
  /** Replaces the whole upstream of one app in the embedded proxy. Idempotent. */
  apply(upstream: import('./model.ts').Upstream): Promise<void>
  remove(app: string): Promise<void>
  status(app: string): Promise<import('./model.ts').UpstreamStatus | null>
  /** What the proxy has seen since the last call, per app. */
  traffic(): Promise<import('./model.ts').Sample[]>
  /** Endpoints where requests failed since this was last asked. */
  signals(): Promise<import('./model.ts').EndpointSignal[]>
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
  /** Resolves after `ms`, at the latest when the hook call is about to end. Waits inside the call; no timer is made. */
  sleep(ms: number): Promise<void>
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
  tcp: StreamCapability
  unix: StreamCapability
  grpc: GrpcCapability
  redis: RedisCapability
  files: FilesCapability
  exec: ExecCapability
  secrets: SecretsCapability
  crypto: CryptoCapability
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
