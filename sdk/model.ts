/**
 * What the host tells plugins and what plugins answer: one vocabulary for the spec, the HTTP API, the events and the SDK.
 * Times are milliseconds since the epoch, quantities carry their unit in the name, a missing metric is absent (never zero).
 */
import * as Type from 'typebox'

const name = Type.String({ minLength: 1, maxLength: 128 })
const reason = Type.String({ minLength: 1, maxLength: 500 })
const count = Type.Integer({ minimum: 0, maximum: 100_000 })
const labels = Type.Record(Type.String(), Type.String())

/** The values an app's replicas are meant to keep to; a target that is absent is not watched. */
export const Targets = Type.Object(
  {
    cpuPercent: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 1000 })),
    memoryPercent: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 100 })),
    rpsPerReplica: Type.Optional(Type.Number({ exclusiveMinimum: 0 })),
    latencyP95Ms: Type.Optional(Type.Number({ exclusiveMinimum: 0 })),
    connectionsPerReplica: Type.Optional(Type.Number({ exclusiveMinimum: 0 })),
  },
  { additionalProperties: false },
)
export type Targets = Type.Static<typeof Targets>

/** One app as a scaler sees it. `replicas` is what is wanted now, `healthyReplicas` what answers its health checks. */
export const AppView = Type.Object({
  name,
  labels,
  replicas: count,
  healthyReplicas: count,
  minReplicas: count,
  maxReplicas: count,
  targets: Targets,
  scaleOutThresholdPct: Type.Number(),
  scaleInThresholdPct: Type.Number(),
  windowSeconds: Type.Number(),
})
export type AppView = Type.Static<typeof AppView>

/** A bounded run of samples of one metric, summed up. `ageSeconds` is the age of the last sample. */
export const MetricWindow = Type.Object({
  last: Type.Number(),
  mean: Type.Number(),
  min: Type.Number(),
  max: Type.Number(),
  p95: Type.Number(),
  samples: Type.Integer({ minimum: 1 }),
  ageSeconds: Type.Number({ minimum: 0 }),
})
export type MetricWindow = Type.Static<typeof MetricWindow>

/** Windows by metric name. A metric without a fresh sample is absent. */
export const Metrics = Type.Record(Type.String(), MetricWindow)
export type Metrics = Readonly<Partial<Record<string, MetricWindow>>>

export const ScalerInput = Type.Object({ app: AppView, metrics: Metrics })
export type ScalerInput = { readonly app: AppView; readonly metrics: Metrics }

const voteBody = {
  reason,
  confidence: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
  ttlSeconds: Type.Optional(Type.Number({ minimum: 0, maximum: 86_400 })),
  metadata: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
}
const strict = { additionalProperties: false }
/** What one scaler says of one app: a size, a floor, a ceiling, or nothing (`hold`). Bounds and windows are the host's. */
export const Vote = Type.Union([
  Type.Object({ replicas: count, ...voteBody }, strict),
  Type.Object({ floor: count, ...voteBody }, strict),
  Type.Object({ ceiling: count, ...voteBody }, strict),
  Type.Object({ hold: Type.Literal(true), reason, metadata: voteBody.metadata }, strict),
])
export type Vote = Type.Static<typeof Vote>

/** Where one running replica can be reached. `host` is an IP address. */
export const Endpoint = Type.Object({
  id: name,
  host: Type.String(),
  port: Type.Integer({ minimum: 1, maximum: 65_535 }),
})
export type Endpoint = Type.Static<typeof Endpoint>

/**
 * How a replica is probed: the app's `healthCheck`, complete with its defaults. `path` and `method` are empty where the protocol
 * is not HTTP and the spec says nothing of them. While a replica starts, `timeoutSeconds` is that of `startup`.
 */
export const HealthCheck = Type.Object({
  protocol: Type.String(),
  path: Type.String(),
  port: Type.Optional(Type.Integer({ minimum: 1, maximum: 65_535 })),
  method: Type.String(),
  headers: labels,
  body: Type.Optional(Type.String()),
  expectedStatusCodes: Type.Array(Type.Integer({ minimum: 100, maximum: 599 })),
  initialDelaySeconds: Type.Number({ minimum: 0 }),
  /** Until the first success: how often is asked, how often in vain before the replica is replaced, how long each answer may take. */
  startup: Type.Optional(
    Type.Object({
      periodSeconds: Type.Number({ exclusiveMinimum: 0 }),
      failureThreshold: Type.Integer({ minimum: 1 }),
      timeoutSeconds: Type.Number({ exclusiveMinimum: 0 }),
    }),
  ),
  periodSeconds: Type.Number({ exclusiveMinimum: 0 }),
  timeoutSeconds: Type.Number({ exclusiveMinimum: 0 }),
  failureThreshold: Type.Integer({ minimum: 1 }),
  successThreshold: Type.Integer({ minimum: 1 }),
})
export type HealthCheck = Type.Static<typeof HealthCheck>

export const HealthInput = Type.Object({ app: name, instance: Endpoint, healthCheck: HealthCheck })
export type HealthInput = Type.Static<typeof HealthInput>

/** `unknown` says that the check itself could not be made: the replica's state stays as it is. */
export const HealthResult = Type.Object(
  {
    status: Type.Union([Type.Literal('healthy'), Type.Literal('unhealthy'), Type.Literal('unknown')]),
    message: Type.Optional(Type.String({ maxLength: 500 })),
    responseTimeMs: Type.Optional(Type.Number({ minimum: 0 })),
    details: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  },
  { additionalProperties: false },
)
export type HealthResult = Type.Static<typeof HealthResult>

/** Which requests belong to an app: a host name (absent = any) and a path prefix that begins and ends with a slash. */
export const Route = Type.Object({ host: Type.Optional(Type.String()), path: Type.String() })
export type Route = Type.Static<typeof Route>

/**
 * Everything a load balancer must know of one app. `endpoints` take new requests; `draining` finish what they have.
 * A higher `generation` replaces a lower one whole.
 */
export const Upstream = Type.Object({
  app: name,
  generation: Type.Integer({ minimum: 0 }),
  route: Route,
  endpoints: Type.Array(Endpoint),
  draining: Type.Array(Endpoint),
})
export type Upstream = Type.Static<typeof Upstream>

export const UpstreamStatus = Type.Object({
  app: name,
  generation: Type.Integer({ minimum: 0 }),
  endpoints: Type.Array(
    Type.Object({
      id: name,
      state: Type.String(),
      /** Absent where the load balancer cannot tell: a drain then takes its whole time. */
      activeConnections: Type.Optional(Type.Integer({ minimum: 0 })),
    }),
  ),
  /** Where clients reach it, such as `http://203.0.113.7:8080`. */
  url: Type.Optional(Type.String({ maxLength: 512 })),
})
export type UpstreamStatus = Type.Static<typeof UpstreamStatus>

/**
 * What a load balancer saw of one endpoint since it was last asked: requests that got an answer, and requests that found nobody
 * there or were cut off. A passive signal: it never condemns a replica, it makes Orchestry look at once. Endpoints where nothing
 * failed may be left out.
 */
export const EndpointSignal = Type.Object({
  app: name,
  id: name,
  answered: Type.Integer({ minimum: 0 }),
  failed: Type.Integer({ minimum: 0 }),
})
export type EndpointSignal = Type.Static<typeof EndpointSignal>

/** One reading of one metric of one app. */
export const Sample = Type.Object({
  app: name,
  metric: Type.String({ pattern: '^[a-zA-Z][a-zA-Z0-9]{0,63}$' }),
  value: Type.Number(),
  atMs: Type.Optional(Type.Number()),
  labels: Type.Optional(labels),
})
export type Sample = Type.Static<typeof Sample>

export const ExportResult = Type.Object({
  accepted: Type.Integer({ minimum: 0 }),
  retryAfterMs: Type.Optional(Type.Number({ minimum: 0 })),
})
export type ExportResult = Type.Static<typeof ExportResult>

/** A fact that is already true. `type` is `noun.pastTense`; `id` is the same at every delivery of the same event. */
export const OrchestryEvent = Type.Object({
  id: Type.String(),
  type: Type.String({ pattern: '^[a-z][a-zA-Z]*(\\.[a-z][a-zA-Z]*)+$' }),
  atMs: Type.Number(),
  app: Type.Optional(name),
  source: Type.String(),
  data: Type.Record(Type.String(), Type.Unknown()),
})
export type OrchestryEvent = Type.Static<typeof OrchestryEvent>

/** What a request showed of who sent it. Header names are lower case. */
export const Credentials = Type.Object({
  scheme: Type.Optional(Type.String()),
  token: Type.Optional(Type.String()),
  headers: labels,
  remoteAddress: Type.String(),
})
export type Credentials = Type.Static<typeof Credentials>

export const Principal = Type.Object({
  subject: Type.String({ minLength: 1 }),
  scopes: Type.Array(Type.String()),
  expiresAtMs: Type.Optional(Type.Number()),
})
export type Principal = Type.Static<typeof Principal>

/** One stored value. `revision` grows with every write to the key; 0 stands for "not there". */
export const StorageEntry = Type.Object({
  key: Type.String(),
  value: Type.Unknown(),
  revision: Type.Integer({ minimum: 0 }),
})
export type StorageEntry = Type.Static<typeof StorageEntry>
