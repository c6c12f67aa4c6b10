/** Every bound in one place. A queue, a loop or a body that is not bounded here is a defect. */
import type { HealthCheck, Limits } from '@orchestry/sdk'

/**
 * What a plugin gets where its manifest asks for nothing, and the most that anybody gets. `cpuMs` and `timeoutMs` are for one
 * message: a batch of items shares them.
 */
export const pluginDefaults = {
  memoryMb: 32,
  cpuMs: 1_000,
  timeoutMs: 1_000,
  startMs: 2_000,
  hostCalls: 500,
  outKb: 512,
  logKbPerMin: 64,
} as const
export const pluginCeilings = {
  memoryMb: 256,
  cpuMs: 10_000,
  timeoutMs: 30_000,
  startMs: 15_000,
  hostCalls: 2_000,
  outKb: 1_024,
  logKbPerMin: 3_840,
} as const

type LimitName = keyof typeof pluginDefaults
export type EffectiveLimits = Readonly<Record<LimitName, number>> & { readonly jit: boolean }
/** What the operator allows every plugin at most: the setting `pluginLimits`. */
export type LimitPolicy = Readonly<Partial<Record<LimitName, number>>>
/** Which of the three was the smallest. `default` is where the manifest asks for nothing. */
export type LimitBounds = Readonly<Record<LimitName, 'manifest' | 'default' | 'policy' | 'ceiling'>>

/** min(manifest, policy, ceiling): what the manifest leaves open takes the default. */
export function effectiveLimits(
  asked: Limits | undefined,
  isJitGranted: boolean,
  policy: LimitPolicy = {},
): EffectiveLimits {
  const pick = (name: LimitName) => pickLimit(name, asked, policy).value
  return {
    memoryMb: pick('memoryMb'),
    cpuMs: pick('cpuMs'),
    timeoutMs: pick('timeoutMs'),
    startMs: pick('startMs'),
    hostCalls: pick('hostCalls'),
    outKb: pick('outKb'),
    logKbPerMin: pick('logKbPerMin'),
    jit: asked?.jit !== undefined && isJitGranted,
  }
}

/** For people: who it was that bounded each. */
export function limitBounds(asked: Limits | undefined, policy: LimitPolicy = {}): LimitBounds {
  const names = Object.keys(pluginDefaults) as LimitName[]
  return Object.fromEntries(names.map((name) => [name, pickLimit(name, asked, policy).by])) as LimitBounds
}

function pickLimit(name: LimitName, asked: Limits | undefined, policy: LimitPolicy) {
  let value: number = asked?.[name] ?? pluginDefaults[name]
  let by: LimitBounds[LimitName] = asked?.[name] === undefined ? 'default' : 'manifest'
  if (value > pluginCeilings[name]) [value, by] = [pluginCeilings[name], 'ceiling']
  const allowed = policy[name]
  if (allowed !== undefined && value > allowed) [value, by] = [allowed, 'policy']
  return { value, by }
}

/** How long a new replica may take until its first healthy answer, counted from its start. Where the spec says it, that is it. */
export function startupBudgetMs(check: HealthCheck): number {
  const { startup, initialDelaySeconds } = check
  if (startup) return (initialDelaySeconds + startup.failureThreshold * startup.periodSeconds) * 1000
  const thresholdMs = check.failureThreshold * check.periodSeconds * 1000
  return check.initialDelaySeconds * 1000 + Math.max(limits.startupMs, thresholdMs)
}

export const limits = {
  /** Largest bundle of a plugin, after bundling. */
  bundleBytes: 2 * 1024 * 1024,
  /** Largest frame a sandbox host may send; ours may be as large as a bundle needs. */
  frameFromGuestBytes: 1024 * 1024 + 64 * 1024,
  /** Of it, the guest's own text. */
  bodyFromGuestBytes: 1024 * 1024,
  /** Characters of all arguments of the host calls that one hook call makes: reading them is the host's own time. */
  hostCallCharacters: 4 * 1024 * 1024,
  /** The same of all answers that the host calls of one hook call bring. */
  hostAnswerCharacters: 4 * 1024 * 1024,
  /** Host calls of one plugin process are let through at this pace, with this many at once; beyond it they wait. */
  hostCallsPerSecond: 2_000,
  hostCallsBurst: 4_000,
  /** Of one instance: how many the host works on at once, and how many may wait, with their characters; more are refused. */
  hostCallsAtOnce: 32,
  hostCallsWaiting: 4_096,
  hostCallsWaitingCharacters: 8 * 1024 * 1024,
  /** Rows of the accounting of one instance, by hook and app; what is beyond is summed up under no app. */
  usageRows: 2_000,
  frameToGuestBytes: 4 * 1024 * 1024,
  jsonDepth: 32,
  /** Items in one message of a batched hook: where cost per item is lowest (50–200 measured). */
  batchItems: 128,
  /** Calls that may wait for one plugin instance. */
  queuedCalls: 256,
  /** Batches of health checks under way at one plugin, for each of steady, starting and failing replicas. */
  probeBatchesInFlight: 2,
  /** Requests of one plugin to app instances under way: so many that full batches of each of these never wait for another's. */
  probesInFlight: 3 * 2 * 128,
  /** Replicas being started at once: by one app, its fetching included, and by one driver, without that. */
  startsInFlightPerApp: 8,
  startsInFlight: 64,
  /** Images pulled at once, and versions of apps of which it is known what image they run. */
  imagePullsAtOnce: 3,
  imageVersionsKnown: 10_000,
  /** How long a driver may take to answer: for one start or stop (beyond its grace time), and for a listing. */
  driverCallMs: 120_000,
  driverListMs: 15_000,
  /** Of a line that says how far a fetch has come. */
  progressCharacters: 200,
  /** Specs that are remembered of each app, to go back to. */
  rolloutsKept: 10,
  /** Least time a new replica is given to become healthy. */
  startupMs: 60_000,
  apiBodyBytes: 1024 * 1024,
  /** An app spec: its text, how deep it nests, how many values it holds once aliases are followed, how many problems are told. */
  specBytes: 128 * 1024,
  specDepth: 16,
  specValues: 10_000,
  specProblems: 100,
  instanceLogBytes: 4 * 1024 * 1024,
  /** Client connections of the embedded proxy; each may hold one more to an endpoint. */
  proxyConnections: 16_384,
  proxyConnectionsPerEndpoint: 4_096,
  /** Endpoints that a load balancer tells of at once, of those where requests failed; the others show themselves again. */
  endpointSignals: 1_000,
  /** The proxy's log file is emptied when it is larger. */
  proxyLogBytes: 4 * 1024 * 1024,
  /** What a server of a plugin wrote to its outputs is emptied when it is larger. */
  daemonLogBytes: 1024 * 1024,
  eventsKept: 100_000,
  decisionsKept: 100_000,
  /** Events that a handler failed on again and again, per handler. */
  deadLettersKept: 1_000,
  /** Points of one metric of one app, and of all together; 16 bytes each. */
  metricPoints: 600,
  metricPointsTotal: 8_000_000,
  metricSeriesPerApp: 64,
  metricApps: 20_000,
  /** Writes that may wait for the disk before more are refused. */
  storeWaitingWrites: 250_000,
} as const
