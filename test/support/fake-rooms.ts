/** Small in-memory stand-ins for the rooms that the API shows: they keep what they are told and answer in the ports' words. */
import type { CapabilityRecord, OrchestryEvent } from '@orchestry/sdk'
import type { ApiDeps } from '../../runtime/api/deps.ts'
import type { App, AppRecord } from '../../runtime/apps/app.ts'
import type { PluginLogLine } from '../../runtime/capabilities/capability.ts'
import { systemClock } from '../../runtime/clock.ts'
import { defaultContainerPolicy } from '../../runtime/container-policy.ts'
import { createDashboard } from '../../runtime/dashboard/build.ts'
import type { LogLine } from '../../runtime/drivers/driver.ts'
import { OrchestryError } from '../../runtime/errors.ts'
import type { InstanceUse, PluginView, TightenedBinding } from '../../runtime/plugins/plugins.ts'
import type { InstanceView, RolloutEntry } from '../../runtime/reconcile/reconcile.ts'
import type { Decision } from '../../runtime/scaling/decision.ts'

const startedAtMs = Date.UTC(2026, 0, 1)
const rule = { stabilizationWindowSeconds: 0, policies: [], isDisabled: false }

export function makeApp(name: string, changes: Partial<App> = {}): App {
  return {
    name,
    labels: { team: 'web' },
    driver: 'process',
    command: ['node', 'server.js'],
    env: [],
    ports: [{ containerPort: 8080, protocol: 'HTTP' }],
    ingress: { path: `/${name}/` },
    scaling: {
      mode: 'auto',
      minReplicas: 1,
      maxReplicas: 5,
      targets: { cpuPercent: 70 },
      scaleOutThresholdPct: 80,
      scaleInThresholdPct: 30,
      windowSeconds: 20,
      cooldownSeconds: { out: 30, in: 60 },
      behavior: { scaleOut: rule, scaleIn: rule },
    },
    healthCheck: {
      protocol: 'http',
      path: '/healthz',
      method: 'GET',
      headers: {},
      expectedStatusCodes: [200],
      initialDelaySeconds: 0,
      periodSeconds: 5,
      timeoutSeconds: 2,
      failureThreshold: 3,
      successThreshold: 1,
    },
    rollout: { maxSurge: 1, maxUnavailable: 0, drainSeconds: 5, stopGraceSeconds: 5 },
    ...changes,
  }
}

export function makePlugin(id: string, changes: Partial<PluginView> = {}): PluginView {
  return {
    id,
    version: '1.0.0',
    source: { kind: 'builtin', path: '/plugins/x' },
    state: 'serving',
    hooks: ['scaler'],
    capabilities: [{ kind: 'net', hosts: ['queue.example'], why: 'reads the queue' }],
    limits: {
      memoryMb: 32,
      cpuMs: 100,
      timeoutMs: 1000,
      startMs: 2000,
      hostCalls: 64,
      outKb: 64,
      logKbPerMin: 64,
      jit: false,
    },
    limitsBoundBy: {
      memoryMb: 'policy',
      cpuMs: 'manifest',
      timeoutMs: 'default',
      startMs: 'default',
      hostCalls: 'manifest',
      outKb: 'manifest',
      logKbPerMin: 'default',
    },
    instances: [
      {
        name: 'default',
        config: { jobs: 5 },
        isDefault: true,
        breaker: 'closed',
        grants: [granted],
        isTightened: false,
        usage,
      },
    ],
    restarts: 0,
    memoryMb: 12.5,
    pid: 4242,
    incidents: [],
    ...changes,
  }
}
const usage = {
  calls: 7,
  errors: 1,
  cpuMs: 3.5,
  wallMs: 9,
  heapMb: 4,
  peakHeapMb: 5,
  hostCalls: 0,
  bytesIn: 10,
  bytesOut: 20,
  drops: 0,
}

const granted: CapabilityRecord = { kind: 'net', hosts: ['queue.example', 'other.example'], why: 'reads the queue' }
const tightened: TightenedBinding = {
  binding: 'net',
  outcome: 'narrower',
  before: granted,
  after: { kind: 'net', hosts: ['queue.example'], why: 'reads the queue' },
  allowed: 41,
  denied: 1,
  sinceMs: startedAtMs,
}
const use: Omit<InstanceUse, 'name'> = {
  grants: [granted],
  isTightened: false,
  uses: [
    {
      binding: 'net',
      kind: 'net',
      sinceMs: startedAtMs,
      allowed: 41,
      denied: 1,
      targets: [
        { operation: 'fetch', target: 'GET https://queue.example:443/', allowed: 41, denied: 0, lastAtMs: startedAtMs },
        { operation: 'fetch', target: 'GET https://evil.example:443/', allowed: 0, denied: 1, lastAtMs: startedAtMs },
      ],
    },
  ],
}

/** What a test may reach into beside the API's own ports. */
export interface FakeRooms {
  readonly deps: ApiDeps
  readonly records: Map<string, AppRecord>
  readonly plugins: Map<string, PluginView>
  readonly decisions: Decision[]
  readonly logs: LogLine[]
  readonly pluginLogs: (PluginLogLine & { plugin: string })[]
  /** How long `settled` takes before it says yes. */
  settleMs: number
  readonly errors: unknown[]
  appendEvent(type: string, app?: string, data?: Record<string, unknown>): OrchestryEvent
  addApp(name: string, changes?: Partial<AppRecord>): AppRecord
}

export function createFakeRooms(overrides: Partial<ApiDeps> = {}): FakeRooms {
  const records = new Map<string, AppRecord>()
  const plugins = new Map<string, PluginView>()
  const decisions: Decision[] = []
  const logs: LogLine[] = []
  const pluginLogs: (PluginLogLine & { plugin: string })[] = []
  const errors: unknown[] = []
  const log = { error: (entry: unknown) => errors.push(entry), warn: (entry: unknown) => errors.push(entry) }
  const events = fakeEvents()
  const rooms: FakeRooms = {
    records,
    plugins,
    decisions,
    logs,
    pluginLogs,
    errors,
    settleMs: 0,
    appendEvent: events.append,
    addApp: (name, changes = {}) => {
      const record: AppRecord = {
        app: makeApp(name),
        source: `kind: App\nmetadata: { name: ${name} }\n`,
        version: 'v1',
        desired: 2,
        isRunning: true,
        paused: 'none',
        createdAtMs: startedAtMs,
        updatedAtMs: startedAtMs,
        revision: 1,
        ...changes,
      }
      records.set(name, record)
      return record
    },
    deps: {
      apps: fakeApps(records, (name, source) => rooms.addApp(name, { source })),
      scaling: fakeScaling(records, decisions),
      reconciler: fakeReconciler(records, () => rooms.settleMs),
      rollouts: fakeRollouts(records),
      health: { checkNow: async (app) => new Map([[`${app}-1`, healthy]]) },
      metrics: {
        snapshot: () => ({
          rps: { last: 12, mean: 11, min: 10, max: 13, p95: 13, samples: 4, ageSeconds: 0.5 },
        }),
        series: () => [{ atMs: startedAtMs, value: 12 }],
        metricNames: () => ['rps'],
      },
      events: events.port,
      plugins: fakePlugins(plugins),
      pluginLogs: (plugin, lines) => pluginLogs.filter((line) => line.plugin === plugin).slice(-lines),
      balancing: { status: async () => null, problem: () => undefined },
      secrets: fakeSecrets(),
      logs: async (app, { lines }) => logs.filter((line) => line.instance.startsWith(`${app}-`)).slice(-lines),
      followerOf: () => undefined,
      exposition: { text: () => 'orchestry_apps 1\n', contentType: 'text/plain; version=0.0.4; charset=utf-8' },
      sandbox: {
        engine: 'none',
        isolation: 'fake',
        node: process.version,
        tier: 1,
        floor: 1,
        holds: ['limits of the kernel'],
        lacks: ['no control group of its own'],
        tiers: [
          { tier: 3, isAvailable: false, why: 'bwrap is not installed' },
          { tier: 1, isAvailable: true },
        ],
      },
      config: {
        host: '127.0.0.1',
        port: 0,
        proxyHost: '127.0.0.1',
        proxyPort: 0,
        dataDir: '/nowhere',
        logLevel: 'silent',
        tickMs: 1000,
        onExit: 'stop',
        pluginLimits: {},
        containerPolicy: defaultContainerPolicy,
        sandboxTier: 'best',
        sandboxFloor: 1,
        dockerHost: 'unix:///var/run/docker.sock',
        dockerReach: 'auto',
        registries: {},
        builtinDirs: [],
      },
      dashboard: createDashboard(),
      proxyAddress: () => ({ host: '127.0.0.1', port: 8080 }),
      clock: systemClock,
      log: log as unknown as ApiDeps['log'],
      readiness: () => ({ ok: true, problems: [] }),
      ...overrides,
    },
  }
  return rooms
}

const healthy = {
  status: 'healthy',
  sinceMs: startedAtMs,
  streak: 0,
  last: { status: 'healthy', message: '200', responseTimeMs: 3, atMs: startedAtMs },
} as const

function fakeApps(records: Map<string, AppRecord>, add: (name: string, source: string) => AppRecord): ApiDeps['apps'] {
  const require = (name: string) => {
    const record = records.get(name)
    if (!record) throw new OrchestryError('ORC_APP_UNKNOWN', `There is no app ${JSON.stringify(name)}.`)
    return record
  }
  const change = (name: string, changes: Partial<AppRecord>) => {
    const before = require(name)
    const record = { ...before, ...changes, revision: before.revision + 1 }
    records.set(name, record)
    return record
  }
  return {
    list: () => [...records.values()],
    get: (name) => records.get(name),
    require,
    apply: async (text, { ifAbsent, expectedRevision, expectedName } = {}) => {
      const name = /name: *"?([a-z0-9-]+)/.exec(text.replaceAll('"name"', 'name'))?.[1]
      if (!name)
        throw new OrchestryError('ORC_SPEC_INVALID', 'The spec has 1 error.', {
          problems: [{ path: '/metadata/name', message: 'is missing', line: 1, column: 1 }],
        })
      if (expectedName !== undefined && name !== expectedName)
        throw new OrchestryError('ORC_SPEC_INVALID', `The spec is of ${name}, not of ${expectedName}.`)
      const before = records.get(name)
      if (before && ifAbsent) throw new OrchestryError('ORC_APP_EXISTS', `There is an app ${name}.`)
      if (expectedRevision !== undefined && expectedRevision !== (before?.revision ?? 0))
        throw new OrchestryError('ORC_API_PRECONDITION', 'Somebody was faster.')
      if (!before) return { record: add(name, text), outcome: 'created' }
      if (before.source === text) return { record: before, outcome: 'unchanged' }
      return { record: change(name, { source: text }), outcome: 'changed' }
    },
    remove: async (name) => void (require(name) && records.delete(name)),
    setRunning: async (name, isRunning) => change(name, { isRunning }),
    setPaused: async (name, paused) => change(name, { paused }),
    setScaling: async (name, patch) => {
      const { app } = require(name)
      const scaling = { ...app.scaling, ...(patch as object) }
      if (scaling.minReplicas > scaling.maxReplicas)
        throw new OrchestryError('ORC_SPEC_INVALID', 'minReplicas is above maxReplicas.')
      return change(name, { app: { ...app, scaling } })
    },
  }
}

function fakeScaling(records: Map<string, AppRecord>, decisions: Decision[]): ApiDeps['scaling'] {
  return {
    latest: (app) => decisions.findLast((decision) => decision.app === app),
    list: async ({ app, limit = 50, before }) =>
      decisions
        .filter(
          (decision) => (app === undefined || decision.app === app) && (before === undefined || decision.id < before),
        )
        .reverse()
        .slice(0, limit),
    scaleByHand: async (app, replicas, reason) => {
      const record = records.get(app)
      const from = record?.desired ?? 0
      const to = Math.min(replicas, record?.app.scaling.maxReplicas ?? replicas)
      if (record) records.set(app, { ...record, desired: to })
      const decision = makeDecision(String(decisions.length + 1).padStart(8, '0'), app, from, to, reason, 'operator')
      decisions.push(decision)
      return decision
    },
  }
}

export function makeDecision(
  id: string,
  app: string,
  from: number,
  to: number,
  reason: string,
  by: Decision['by'] = 'scaler',
): Decision {
  const action = to > from ? 'out' : to < from ? 'in' : 'hold'
  return {
    id,
    app,
    atMs: startedAtMs,
    action,
    from,
    to,
    reason,
    winner: 'threshold',
    votes: [
      { scaler: 'threshold', vote: { replicas: to, reason } },
      { scaler: 'broken', error: { code: 'ORC_SANDBOX_TIMEOUT', message: 'it did not answer' } },
    ],
    limits: [{ kind: 'bounds', from: to + 1, to, reason: 'maxReplicas is 5' }],
    metrics: { rps: { last: 12, mean: 11, min: 10, max: 13, p95: 13, samples: 4, ageSeconds: 0.5 } },
    by,
  }
}

function fakeReconciler(records: Map<string, AppRecord>, settleMs: () => number): ApiDeps['reconciler'] {
  return {
    markDirty: () => {},
    status: (app) => {
      const record = records.get(app)
      const running = record?.isRunning ? record.desired : 0
      return {
        app,
        phase: record?.isRunning ? 'running' : 'stopped',
        desired: record?.desired ?? 0,
        running,
        serving: running,
        generation: 3,
        problems: [],
      }
    },
    rollout: (app) => ({
      app,
      state: 'progressing',
      version: 'v1',
      target: 'v1',
      wanted: 2,
      updated: 1,
      ready: 1,
      old: 1,
      isSettled: false,
      startedAtMs,
      waitsFor: '1 new replica to start',
      progress: ['pulling shop:2, 38 of 120 MB'],
      line: 'rolling out v1: 1 of 2 ready, 1 old replica left; waits for 1 new replica to start',
    }),
    history: async () => [madeEntry(2, 'v1', 'underWay'), madeEntry(1, 'v0', 'done')],
    instances: (app) => {
      const record = records.get(app)
      return Array.from({ length: record?.isRunning ? record.desired : 0 }, (_, index) => instance(app, index + 1))
    },
    onInstancesChanged: () => () => {},
    settled: async (_app, timeoutMs) => {
      // Must not keep a test's process alive when the one who waits has gone.
      await new Promise<void>((resolve) => systemClock.after(Math.min(settleMs(), timeoutMs), resolve))
      return settleMs() <= timeoutMs
    },
  }
}

const madeEntry = (number: number, version: string, outcome: RolloutEntry['outcome']): RolloutEntry => ({
  number,
  version,
  source: 'kind: App\n',
  appliedAtMs: startedAtMs,
  outcome,
})

function fakeRollouts(records: Map<string, AppRecord>): ApiDeps['rollouts'] {
  const change = (name: string, changes: Partial<AppRecord>) => {
    const record = { ...(records.get(name) as AppRecord), ...changes }
    records.set(name, record)
    return record
  }
  return {
    undo: async (name, to = 1) => {
      if (to > 2) throw new OrchestryError('ORC_ROLLOUT_UNKNOWN', `There is no spec number ${to} of app ${name}.`)
      return { record: change(name, { version: 'v0' }), entry: madeEntry(to, 'v0', 'done') }
    },
    restart: async (name) => change(name, { version: 'v2' }),
  }
}

function instance(app: string, number: number): InstanceView {
  return {
    id: `${app}-${number}`,
    app,
    version: 'v1',
    host: '127.0.0.1',
    port: 20_000 + number,
    startedAtMs,
    pid: 100 + number,
    isRunning: true,
    rotation: 'serving',
    health: healthy,
    isCurrentVersion: true,
  }
}

function fakeEvents() {
  const all: OrchestryEvent[] = []
  const listeners = new Set<(event: OrchestryEvent) => void>()
  const port: ApiDeps['events'] = {
    list: async ({ app, type, after, limit = 100 }) => {
      const matching = all.filter(
        (event) =>
          (app === undefined || event.app === app) &&
          (type === undefined || event.type === type) &&
          (after === undefined || event.id > after),
      )
      return after === undefined ? matching.slice(-limit) : matching.slice(0, limit)
    },
    subscribe: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
  const append = (type: string, app?: string, data: Record<string, unknown> = {}) => {
    const id = String(all.length + 1).padStart(8, '0')
    const event: OrchestryEvent = {
      id,
      type,
      atMs: startedAtMs,
      source: 'test',
      data,
      ...(app !== undefined && { app }),
    }
    all.push(event)
    for (const listener of listeners) listener(event)
    return event
  }
  return { port, append }
}

function fakeSecrets(): ApiDeps['secrets'] {
  const views = new Map<string, { name: string; createdAtMs: number; updatedAtMs: number }>()
  const hidden: string[] = []
  const redact = (text: string) => hidden.reduce((rest, value) => rest.replaceAll(value, '***'), text)
  return {
    list: () => [...views.values()],
    async put(name, value) {
      if (value.length < 8) throw new OrchestryError('ORC_SECRET_INVALID', `The value of ${name} is too short.`)
      const view = { name, createdAtMs: views.get(name)?.createdAtMs ?? startedAtMs, updatedAtMs: startedAtMs }
      views.set(name, view)
      hidden.push(value)
      return view
    },
    async remove(name) {
      if (!views.delete(name)) throw new OrchestryError('ORC_SECRET_UNKNOWN', `There is no secret ${name}.`)
    },
    redactData: <T>(data: T) => JSON.parse(redact(JSON.stringify(data))) as T,
  }
}

function fakePlugins(plugins: Map<string, PluginView>): ApiDeps['plugins'] {
  const show = (id: string) => {
    const found = plugins.get(id) ?? [...plugins.values()].find((plugin) => plugin.id.endsWith(`/${id}`))
    if (!found) throw new OrchestryError('ORC_PLUGIN_UNKNOWN', `There is no plugin ${JSON.stringify(id)}.`)
    return found
  }
  const change = (id: string, changes: Partial<PluginView>) => {
    const plugin = { ...show(id), ...changes }
    plugins.set(plugin.id, plugin)
    return plugin
  }
  return {
    list: () => [...plugins.values()],
    show,
    install: async ({ path, config, instance: name = 'default' }) => {
      const id = `@acme/${path.split('/').at(-1)}`
      const plugin = makePlugin(id, {
        source: { kind: 'directory', path },
        instances: [{ name, config, isDefault: false, breaker: 'closed', grants: [], isTightened: false }],
      })
      plugins.set(id, plugin)
      return plugin
    },
    approve: async (id) => {
      const { pending, ...plugin } = show(id)
      if (pending === undefined) throw new OrchestryError('ORC_PLUGIN_NOTHING_PENDING', `Nothing of ${id} waits.`)
      plugins.set(plugin.id, { ...plugin, version: pending.version })
      return show(id)
    },
    usageOf: (id) => {
      const { id: plugin, state, restarts, memoryMb, pid, instances } = show(id)
      const account = instances.map(({ name, breaker, usage: used }) => {
        if (used === undefined) return { name, breaker, hooks: [], rows: [] }
        const { heapMb: _, ...row } = used
        return {
          name,
          breaker,
          usage: used,
          hooks: [{ hook: 'scaler', ...row }],
          rows: [
            { hook: 'scaler', app: 'shop', ...row, bytesIn: 7.5 },
            { hook: 'scaler', app: '', ...row, calls: 0 },
          ],
        }
      })
      return { id: plugin, state, restarts, memoryMb, ...(pid === undefined ? {} : { pid }), instances: account }
    },
    usesOf: (id) => show(id).instances.map(({ name }) => ({ name, ...use })),
    tighten: async (id, { isToApply = false, isToUndo = false } = {}) => ({
      id: show(id).id,
      isApplied: isToApply || isToUndo,
      instances: show(id).instances.map(({ name }) => ({ name, isTighter: true, bindings: [tightened] })),
    }),
    enable: async (id) => change(id, { state: 'serving' }),
    disable: async (id) => change(id, { state: 'disabled' }),
    remove: async (id) => void plugins.delete(show(id).id),
    configure: async (id, config, { instance: name = 'default', isDefault = true } = {}) =>
      change(id, { instances: [{ name, config, isDefault, breaker: 'closed', grants: [], isTightened: false }] }),
    reset: async (id) => change(id, { state: 'serving', restarts: 0 }),
  }
}
