/**
 * The app spec as a user writes it. Every description is a noun phrase: it documents the field in the OpenAPI and it completes
 * the sentence "expected …" when a value does not fit.
 */
import * as Type from 'typebox'
import { Security, Volumes } from './container-schema.ts'

const strict = { additionalProperties: false }
const optional = Type.Optional
// A NUL would end the text early in whatever the operating system is handed.
const noNul = '^[^\\u0000]*$'
const text = (description: string, maxLength = 4096) =>
  Type.String({ minLength: 1, maxLength, pattern: noNul, description })
const whole = (description: string, minimum: number, maximum: number) =>
  Type.Integer({ minimum, maximum, description: `${description}: a whole number from ${minimum} to ${maximum}` })
const number = (description: string, minimum: number, maximum: number) =>
  Type.Number({ minimum, maximum, description: `${description}: a number from ${minimum} to ${maximum}` })
const seconds = (description: string, minimum = 0, maximum = 86_400) =>
  Type.Number({ minimum, maximum, description: `${description}: seconds from ${minimum} to ${maximum}` })
const above0 = (description: string, maximum: number) =>
  Type.Number({
    exclusiveMinimum: 0,
    maximum,
    description: `${description}: a number above 0, at most ${maximum}`,
  })
const list = <T extends Type.TSchema>(items: T, description: string, maxItems = 256) =>
  Type.Array(items, { maxItems, description: `${description} (at most ${maxItems})` })
const quantity = (description: string) => Type.Unsafe<string | number>({ type: ['string', 'number'], description })

export const namePattern = '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'
export const envNamePattern = '^[A-Za-z_][A-Za-z0-9_.-]{0,127}$'
/** Registry, path, tag and digest, as registries have agreed on them. */
const imagePattern =
  '^([a-z0-9]([a-z0-9-]*[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*(:[0-9]{1,5})?/)?' +
  '[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*' +
  '(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?$'
const port = whole('a port', 1, 65_535)
const headerName = "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$"

const Metadata = Type.Object(
  {
    name: Type.String({
      pattern: namePattern,
      description:
        'a name (not a path): 1 to 63 lower-case letters, digits and hyphens, the first and last of them a letter or digit',
    }),
    labels: optional(
      Type.Record(
        Type.String({ pattern: '^[A-Za-z0-9]([A-Za-z0-9._/-]{0,251}[A-Za-z0-9])?$' }),
        Type.String({ maxLength: 256, description: 'the text of a label, at most 256 characters' }),
        {
          ...strict,
          maxProperties: 64,
          description: 'a mapping of names (letters, digits, `.`, `_`, `-` and `/`) to texts, at most 64',
        },
      ),
    ),
  },
  { ...strict, description: 'a mapping with the name of the app' },
)

const Env = Type.Object(
  {
    name: Type.String({
      pattern: envNamePattern,
      description: 'the name of an environment variable: letters, digits, `_`, `.` and `-`, not beginning with a digit',
    }),
    value: optional(
      Type.String({ maxLength: 32_768, pattern: noNul, description: 'a text of at most 32768 characters' }),
    ),
    secret: optional(text('the name of a secret', 256)),
    field: optional(
      Type.Enum(['instance.ip', 'instance.port', 'app.name', 'app.replicas'], {
        description: 'a fact that Orchestry fills in',
      }),
    ),
  },
  { ...strict, description: 'an entry { name, value } or { name, secret } or { name, field }' },
)

const Port = Type.Object(
  {
    containerPort: port,
    protocol: optional(Type.Enum(['HTTP', 'TCP'], { description: 'what is spoken on the port' })),
    name: optional(
      Type.String({ pattern: '^[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?$', description: 'a short port name such as `http`' }),
    ),
  },
  { ...strict, description: 'a port { containerPort, protocol, name }' },
)

const Spec = Type.Object(
  {
    image: optional(
      Type.String({
        maxLength: 512,
        pattern: imagePattern,
        description: 'an image reference such as `registry.example/team/shop:1.4`, all of it but the tag in lower case',
      }),
    ),
    command: optional(
      list(
        text('one argument of the command', 32_768),
        'the command as a list of arguments, such as [node, server.js]',
      ),
    ),
    args: optional(list(text('one argument', 32_768), 'arguments as a list, put behind the command')),
    workingDir: optional(
      Type.String({
        maxLength: 4096,
        pattern: '^(/|[A-Za-z]:[\\\\/])[^\\u0000]*$',
        description: 'the absolute path of a directory',
      }),
    ),
    env: optional(list(Env, 'environment variables as a list of { name, value }')),
    ports: optional(list(Port, 'ports as a list of { containerPort }', 32)),
    resources: optional(
      Type.Object(
        {
          cpu: optional(quantity('cores of CPU such as `500m`, `0.5` or `2`')),
          memory: optional(quantity('an amount of memory such as `512Mi`, `512M` or `1.5Gi`')),
          pids: optional(whole('processes and threads of a replica', 1, 1_000_000)),
        },
        { ...strict, description: 'a mapping of cpu, memory and pids' },
      ),
    ),
    volumes: optional(Volumes),
    security: optional(Security),
    driver: optional(
      Type.String({
        pattern: '^[a-z][a-z0-9-]{0,31}$',
        description: 'the name of a driver such as `process` or `docker`',
      }),
    ),
  },
  { ...strict, description: 'a mapping that says how to run the app' },
)

const Ingress = Type.Object(
  {
    host: optional(
      Type.String({
        maxLength: 253,
        pattern: '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$',
        description: 'a host name in lower case, without scheme and port',
      }),
    ),
    path: optional(
      Type.String({
        maxLength: 512,
        pattern: "^/(?!/)(?!.*//)(?!.*/\\.{1,2}(/|$))[A-Za-z0-9._~!$&'()*+,;=:@%/-]*$",
        description: 'a path prefix that begins with `/`, without `//`, `..`, spaces and query',
      }),
    ),
    loadBalancer: optional(text('the name of a load balancer plugin instance', 128)),
  },
  { ...strict, description: 'a mapping of host and path' },
)

const Targets = Type.Object(
  {
    cpuPercent: optional(above0('percent of its CPU limit that a replica is meant to use', 1000)),
    memoryPercent: optional(above0('percent of its memory limit that a replica is meant to use', 100)),
    rpsPerReplica: optional(above0('requests per second and replica', 1_000_000)),
    latencyP95Ms: optional(above0('milliseconds within which 95 % of requests are answered', 600_000)),
    connectionsPerReplica: optional(above0('open connections per replica', 1_000_000)),
  },
  { ...strict, description: 'a mapping of targets' },
)

const Rule = Type.Object(
  {
    stabilizationWindowSeconds: optional(seconds('how far to look back before acting', 0, 3600)),
    policies: optional(
      list(
        Type.Object(
          {
            type: Type.Enum(['replicas', 'percent'], { description: 'what `value` counts' }),
            value: whole('the most change within the period', 1, 100_000),
            periodSeconds: seconds('the period', 1, 3600),
          },
          { ...strict, description: 'a policy { type, value, periodSeconds }' },
        ),
        'limits of change as a list of { type, value, periodSeconds }',
        8,
      ),
    ),
    selectPolicy: optional(
      Type.Enum(['Max', 'Min', 'Disabled'], {
        description: 'which of several policies counts; Disabled = no change this way',
      }),
    ),
  },
  { ...strict, description: 'a mapping { stabilizationWindowSeconds, policies, selectPolicy }' },
)

/** The section `scaling`; also what may be changed on its own, in part. */
export const ScalingDocument = Type.Object(
  {
    mode: optional(Type.Enum(['auto', 'manual'], { description: 'who decides the number of replicas' })),
    replicas: optional(whole('replicas to begin with (in manual mode: to have)', 0, 1000)),
    minReplicas: optional(whole('the fewest replicas', 0, 1000)),
    maxReplicas: optional(whole('the most replicas', 1, 1000)),
    targets: optional(Targets),
    scaleOutThresholdPct: optional(number('percent of a target above which to scale out', 1, 1000)),
    scaleInThresholdPct: optional(number('percent of a target below which to scale in', 0, 1000)),
    windowSeconds: optional(seconds('how much of the past the metrics cover', 1, 3600)),
    cooldownSeconds: optional(
      Type.Union(
        [
          seconds('the pause after scaling'),
          Type.Object(
            {
              out: optional(seconds('the pause after scaling out')),
              in: optional(seconds('the pause after scaling in')),
            },
            strict,
          ),
        ],
        { description: 'seconds, or a mapping { out, in } of seconds' },
      ),
    ),
    behavior: optional(
      Type.Object(
        { scaleOut: optional(Rule), scaleIn: optional(Rule) },
        { ...strict, description: 'a mapping { scaleOut, scaleIn }' },
      ),
    ),
    scalers: optional(
      Type.Array(text('the name of a scaler plugin instance', 128), {
        minItems: 1,
        maxItems: 16,
        uniqueItems: true,
        description:
          'different names of scaler plugin instances (1 to 16; leave the field out for the default scalers)',
      }),
    ),
    fallback: optional(
      Type.Object(
        {
          afterSeconds: seconds('how long a scaler may fail before its fallback counts'),
          replicas: whole('what a failing scaler counts as', 0, 1000),
        },
        { ...strict, description: 'a mapping { afterSeconds, replicas }' },
      ),
    ),
  },
  { ...strict, description: 'a mapping that says how to scale' },
)

const Startup = Type.Object(
  {
    periodSeconds: optional(seconds('the time from check to check while a replica starts', 0.1, 3600)),
    failureThreshold: optional(whole('checks in vain after which a replica that starts is replaced', 1, 100_000)),
    timeoutSeconds: optional(seconds('the longest wait for an answer while a replica starts', 0.05, 60)),
  },
  {
    ...strict,
    description: 'a mapping { periodSeconds, failureThreshold, timeoutSeconds } for the time until a first success',
  },
)

const HealthCheck = Type.Object(
  {
    protocol: optional(
      Type.String({
        pattern: '^[A-Za-z][A-Za-z0-9+._-]{0,31}$',
        description: 'the protocol of a health check plugin such as `HTTP`',
      }),
    ),
    path: optional(
      Type.String({
        maxLength: 2048,
        pattern: '^/[\\u0021-\\u007e]*$',
        description: 'a path that begins with `/`, without spaces',
      }),
    ),
    port: optional(port),
    method: optional(
      Type.String({ pattern: '^[A-Z]{1,16}$', description: 'an HTTP method in capitals such as `GET`' }),
    ),
    headers: optional(
      Type.Record(
        Type.String({ pattern: headerName }),
        Type.String({
          maxLength: 4096,
          pattern: '^[\\t\\u0020-\\u007e\\u0080-\\u00ff]*$',
          description: 'the text of a header, on one line',
        }),
        {
          ...strict,
          maxProperties: 32,
          description: 'a mapping of header names (letters, digits and `-`) to texts, at most 32',
        },
      ),
    ),
    body: optional(Type.String({ maxLength: 16_384, description: 'a text of at most 16384 characters' })),
    expectedStatusCodes: optional(list(whole('an HTTP status', 100, 599), 'HTTP statuses as a list', 64)),
    initialDelaySeconds: optional(seconds('the delay before the first check', 0, 3600)),
    startup: optional(Startup),
    periodSeconds: optional(seconds('the time from check to check', 0.1, 3600)),
    timeoutSeconds: optional(seconds('the longest wait for an answer', 0.05, 60)),
    failureThreshold: optional(whole('failures in a row that make a replica unhealthy', 1, 100)),
    successThreshold: optional(whole('successes in a row that make a replica healthy', 1, 100)),
  },
  { ...strict, description: 'a mapping that says how to probe a replica' },
)

/** As a count or in percent of the wanted replicas; said once for both, so that a misfit of either gets the whole sentence. */
const share = (what: string) => {
  const description = `${what}: a whole number from 0 to 100, or a share of them such as \`25%\``
  const percent = Type.String({ pattern: '^(100|[1-9]?[0-9])%$', description })
  return Type.Union([Type.Integer({ minimum: 0, maximum: 100, description }), percent], { description })
}

const Rollout = Type.Object(
  {
    maxSurge: optional(share('replicas above the wanted number during a rollout')),
    maxUnavailable: optional(share('replicas below the wanted number during a rollout')),
    minReadySeconds: optional(seconds('how long a new replica must have served to count as a successor', 0, 3600)),
    progressDeadlineSeconds: optional(seconds('how long a rollout may go without progress', 1)),
    drainSeconds: optional(seconds('how long requests may finish on a replica that is taken out', 0, 3600)),
    stopGraceSeconds: optional(seconds('how long a replica may take to end before it is killed', 0, 3600)),
  },
  { ...strict, description: 'a mapping that says how to replace replicas' },
)

/** What `POST /apps` and `PUT /apps/{app}` read, once the other accepted names are rewritten to these. */
export const AppSpecDocument = Type.Object(
  {
    apiVersion: Type.Enum(['v1'], { description: 'the version of this grammar' }),
    kind: Type.Enum(['App'], { description: 'what is described' }),
    metadata: Metadata,
    spec: Spec,
    ingress: optional(Ingress),
    scaling: optional(ScalingDocument),
    healthCheck: optional(HealthCheck),
    rollout: optional(Rollout),
  },
  { ...strict, description: 'a mapping with apiVersion, kind, metadata and spec' },
)
export type AppSpecDocument = Type.Static<typeof AppSpecDocument>
