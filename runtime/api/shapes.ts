/** What the API answers with, as schemas: documentation for clients, and what the tests hold every answer against. */
import { HealthCheck, HealthResult, Metrics, OrchestryEvent, Route, Vote } from '@orchestry/sdk'
import * as Type from 'typebox'

const text = Type.String()
const whole = Type.Integer({ minimum: 0 })
const timeMs = Type.Number()
const record = Type.Record(text, Type.Unknown())
const maybe = <T extends Type.TSchema>(schema: T) => Type.Optional(schema)

export const Decision = Type.Object({
  id: text,
  app: text,
  atMs: timeMs,
  action: Type.Enum(['out', 'in', 'hold']),
  from: whole,
  to: whole,
  reason: text,
  winner: maybe(text),
  votes: Type.Array(
    Type.Union([
      Type.Object({ scaler: text, vote: Vote }),
      Type.Object({
        scaler: text,
        error: Type.Object({ code: text, message: text }),
        fallback: maybe(whole),
      }),
    ]),
  ),
  limits: Type.Array(Type.Object({ kind: text, from: whole, to: whole, reason: text })),
  metrics: Metrics,
  by: Type.Enum(['scaler', 'operator', 'bounds']),
})

export const DecisionSummary = Type.Object({
  id: text,
  app: text,
  atMs: timeMs,
  action: Type.Enum(['out', 'in', 'hold']),
  from: whole,
  to: whole,
  reason: text,
  by: Type.Enum(['scaler', 'operator', 'bounds']),
  winner: maybe(text),
})

export const App = Type.Object({
  name: text,
  labels: Type.Record(text, text),
  driver: text,
  image: maybe(text),
  ports: Type.Array(Type.Object({ containerPort: whole, protocol: Type.Enum(['HTTP', 'TCP']), name: maybe(text) })),
  volumes: maybe(Type.Array(Type.Object({ name: text, mountPath: text, isReadOnly: Type.Boolean() }))),
  security: maybe(
    Type.Object({ runAsUser: maybe(text), isRootWritable: Type.Boolean(), capabilities: Type.Array(text) }),
  ),
  resources: Type.Object({ cpuMilli: maybe(whole), memoryBytes: maybe(whole), pids: maybe(whole) }),
  phase: Type.Enum(['running', 'progressing', 'degraded', 'stopped', 'stopping']),
  isRunning: Type.Boolean(),
  desired: whole,
  running: whole,
  serving: whole,
  generation: whole,
  problems: Type.Array(text),
  /** What starts wait for, such as an image that is fetched. */
  progress: maybe(Type.Array(text)),
  /** How a rollout fares, in one line. */
  rollout: maybe(text),
  mode: Type.Enum(['auto', 'manual']),
  minReplicas: whole,
  maxReplicas: whole,
  paused: Type.Enum(['none', 'all', 'in', 'out']),
  route: Route,
  loadBalancer: maybe(text),
  /** Where its load balancer takes requests; told of one app only. */
  url: maybe(text),
  version: text,
  revision: whole,
  createdAtMs: timeMs,
  updatedAtMs: timeMs,
  decision: maybe(DecisionSummary),
})
export const AppList = Type.Object({ apps: Type.Array(App), total: whole, next: maybe(text) })
export const Applied = Type.Object({ outcome: Type.Enum(['created', 'changed', 'unchanged']), app: App })
/** `isSettled` is false also where nobody waited for it. */
export const Accepted = Type.Object({ app: App, isSettled: Type.Boolean(), decision: maybe(Decision) })
export const Rollout = Type.Object({
  app: text,
  state: Type.Enum(['progressing', 'rollingBack', 'rolledBack', 'done', 'stopped']),
  version: text,
  target: text,
  wanted: whole,
  updated: whole,
  ready: whole,
  old: whole,
  isSettled: Type.Boolean(),
  startedAtMs: maybe(timeMs),
  waitsFor: maybe(text),
  progress: Type.Array(text),
  because: maybe(text),
  line: text,
})
export const RolloutHistory = Type.Object({
  app: text,
  entries: Type.Array(
    Type.Object({
      number: whole,
      version: text,
      source: text,
      appliedAtMs: timeMs,
      outcome: Type.Enum(['underWay', 'done', 'rolledBack', 'superseded']),
      endedAtMs: maybe(timeMs),
      because: maybe(text),
      isApplied: Type.Boolean(),
    }),
  ),
})
export const Deleted = Type.Object({ name: text, isSettled: Type.Boolean() })

export const HealthState = Type.Object({
  status: Type.Enum(['healthy', 'unhealthy', 'unknown']),
  sinceMs: timeMs,
  streak: whole,
  last: maybe(Type.Object({ ...HealthResult.properties, atMs: timeMs })),
  problem: maybe(text),
})
export const Instance = Type.Object({
  id: text,
  app: text,
  version: text,
  host: text,
  port: whole,
  startedAtMs: timeMs,
  pid: maybe(whole),
  isRunning: Type.Boolean(),
  exit: maybe(
    Type.Object({ code: Type.Union([Type.Integer(), Type.Null()]), signal: Type.Union([text, Type.Null()]) }),
  ),
  rotation: Type.Enum(['starting', 'serving', 'unhealthy', 'draining', 'stopping']),
  health: maybe(Type.Unknown()),
  isCurrentVersion: Type.Boolean(),
})
export const InstanceList = Type.Object({ app: text, instances: Type.Array(Instance) })
/** Without `hasHealthCheck` a replica counts as healthy as long as it runs and accepts connections. */
export const HealthReport = Type.Object({
  app: text,
  hasHealthCheck: Type.Boolean(),
  protocol: maybe(text),
  /** Complete with its defaults. */
  healthCheck: maybe(HealthCheck),
  /** Replicas, by what their checks found; those that are not checked are in none. */
  healthy: whole,
  unhealthy: whole,
  unknown: whole,
  /** What keeps the app from being as it should, in sentences. */
  problems: Type.Array(text),
  instances: Type.Array(Type.Object({ id: text, rotation: text, health: maybe(HealthState) })),
})
export const AppMetrics = Type.Object({
  app: text,
  atMs: timeMs,
  windowSeconds: Type.Number(),
  metrics: Metrics,
  series: maybe(Type.Record(text, Type.Array(Type.Object({ atMs: timeMs, value: Type.Number() })))),
})
export const LogLines = Type.Object({
  app: text,
  lines: Type.Array(
    Type.Object({ instance: text, stream: Type.Enum(['stdout', 'stderr']), line: text, atMs: maybe(timeMs) }),
  ),
})
export const DecisionList = Type.Object({
  decisions: Type.Array(Decision),
  latest: maybe(Decision),
  next: maybe(text),
})
export const EventList = Type.Object({ events: Type.Array(OrchestryEvent), next: maybe(text) })
export const ScalingDocument = Type.Object({ app: text, scaling: record })
/** The spec complete with every default. */
export const CompleteSpec = record

const used = {
  calls: whole,
  errors: whole,
  cpuMs: Type.Number(),
  wallMs: Type.Number(),
  peakHeapMb: Type.Number(),
  hostCalls: whole,
  bytesIn: whole,
  bytesOut: whole,
  /** Refused instead of done. */
  drops: whole,
}
const Usage = Type.Object({ ...used, heapMb: Type.Number() })
const HookUsage = Type.Object({ hook: text, ...used })
/** Of a batch each app has its share of time, host calls and bytes. */
const share = { hostCalls: Type.Number(), bytesIn: Type.Number(), bytesOut: Type.Number() }
const AppUsage = Type.Object({ hook: text, app: text, ...used, ...share })
const Breaker = Type.Enum(['closed', 'open', 'halfOpen'])
const Capability = Type.Object({ kind: text, as: maybe(text), why: maybe(text), optional: maybe(Type.Boolean()) })
export const Plugin = Type.Object({
  id: text,
  version: text,
  source: Type.Object({ kind: Type.Enum(['builtin', 'directory']), path: text }),
  state: Type.Enum([
    'installed',
    'unconfigured',
    'activating',
    'serving',
    'restarting',
    'failed',
    'quarantined',
    'disabled',
  ]),
  problem: maybe(text),
  hooks: Type.Array(text),
  capabilities: Type.Array(Capability),
  limits: record,
  limitsBoundBy: maybe(record),
  instances: Type.Array(
    Type.Object({
      name: text,
      config: maybe(Type.Unknown()),
      isDefault: Type.Boolean(),
      breaker: Breaker,
      grants: Type.Array(Capability),
      /** Whether it may do less than what was agreed to. */
      isTightened: Type.Boolean(),
      usage: maybe(Usage),
      usageByHook: maybe(Type.Array(HookUsage)),
    }),
  ),
  configSchema: maybe(record),
  /** A version that asks for more than was granted, and waits for `approve`. */
  pending: maybe(Type.Object({ version: text, differences: Type.Array(text), askedAtMs: timeMs })),
  restarts: whole,
  memoryMb: Type.Number(),
  pid: maybe(whole),
  incidents: Type.Array(
    Type.Object({
      code: text,
      message: text,
      hook: maybe(text),
      instance: maybe(text),
      app: maybe(text),
      /** In the author's own file. */
      line: maybe(text),
      /** What was done about it. */
      action: maybe(Type.Enum(['refused', 'isolateReplaced', 'processKilled', 'processReplaced', 'quarantined'])),
      atMs: timeMs,
      plugin: text,
      version: text,
    }),
  ),
})
export const PluginList = Type.Object({ plugins: Type.Array(Plugin) })
export const PluginUsage = Type.Object({
  id: text,
  state: text,
  memoryMb: Type.Number(),
  restarts: whole,
  pid: maybe(whole),
  instances: Type.Array(
    Type.Object({
      name: text,
      breaker: Breaker,
      usage: maybe(Usage),
      hooks: Type.Array(HookUsage),
      /** By hook and app; '' is for what belongs to none. */
      rows: Type.Array(AppUsage),
    }),
  ),
})
const TargetUse = Type.Object({ operation: text, target: text, allowed: whole, denied: whole, lastAtMs: timeMs })
export const PluginCapabilities = Type.Object({
  id: text,
  capabilities: Type.Array(Capability),
  limits: record,
  instances: Type.Array(
    Type.Object({
      name: text,
      grants: Type.Array(Capability),
      /** Whether it may do less than the manifest asks for. */
      isTightened: Type.Boolean(),
      uses: Type.Array(
        Type.Object({
          binding: text,
          kind: text,
          sinceMs: timeMs,
          allowed: whole,
          denied: whole,
          targets: Type.Array(TargetUse),
        }),
      ),
    }),
  ),
})
export const PluginTightened = Type.Object({
  id: text,
  isApplied: Type.Boolean(),
  instances: Type.Array(
    Type.Object({
      name: text,
      isTighter: Type.Boolean(),
      bindings: Type.Array(
        Type.Object({
          binding: text,
          outcome: Type.Enum(['narrower', 'dropped', 'kept', 'unused', 'untraced']),
          before: Capability,
          after: maybe(Capability),
          allowed: whole,
          denied: whole,
          sinceMs: maybe(timeMs),
        }),
      ),
    }),
  ),
})
export const PluginLogLines = Type.Object({
  id: text,
  lines: Type.Array(
    Type.Object({
      atMs: timeMs,
      level: Type.Enum(['debug', 'info', 'warn', 'error']),
      instance: text,
      message: text,
      /** JSON. */
      fields: maybe(text),
    }),
  ),
})

export const Alive = Type.Object({ status: Type.Literal('ok') })
export const Ready = Type.Object({ ok: Type.Boolean(), problems: Type.Array(text) })
const Tier = Type.Integer({ minimum: 0, maximum: 3 })
export const SandboxReport = Type.Object({
  engine: text,
  node: text,
  tier: Tier,
  floor: Tier,
  isolation: text,
  holds: Type.Array(text),
  lacks: Type.Array(text),
  tiers: Type.Array(Type.Object({ tier: Tier, isAvailable: Type.Boolean(), why: maybe(text) })),
})
export const Settings = Type.Object({
  host: text,
  port: whole,
  proxyHost: text,
  proxyPort: whole,
  dataDir: text,
  logLevel: text,
  tickMs: whole,
  onExit: Type.Enum(['stop', 'keep']),
  pluginLimits: Type.Record(text, whole),
  containerPolicy: Type.Object({
    images: Type.Array(text),
    capabilities: Type.Array(text),
    allowRoot: Type.Boolean(),
    allowWritableRoot: Type.Boolean(),
    memoryMb: Type.Object({ default: maybe(whole), max: maybe(whole) }),
    cpuMilli: Type.Object({ default: maybe(whole), max: maybe(whole) }),
    pids: Type.Object({ default: maybe(whole), max: maybe(whole) }),
  }),
  sandboxTier: Type.Enum(['best', '3', '2', '1', '0']),
  sandboxFloor: Tier,
  dockerHost: text,
  dockerCertDir: maybe(text),
  dockerReach: Type.Enum(['auto', 'address', 'port']),
  registries: Type.Record(text, Type.Object({ username: text, secret: text, apps: maybe(Type.Array(text)) })),
  builtinDirs: Type.Array(text),
})
const Load = Type.Record(text, Type.Number())
export const MetricsSummary = Type.Object({
  atMs: timeMs,
  totals: Type.Object({ apps: whole, desired: whole, running: whole, serving: whole }),
  apps: Type.Array(Type.Object({ app: text, phase: text, desired: whole, serving: whole, load: Load })),
})
/** `apps` and `plugins` are those that may use it. */
export const Secret = Type.Object({
  name: text,
  createdAtMs: timeMs,
  updatedAtMs: timeMs,
  apps: Type.Array(text),
  plugins: Type.Array(text),
})
export const SecretList = Type.Object({ secrets: Type.Array(Secret) })
