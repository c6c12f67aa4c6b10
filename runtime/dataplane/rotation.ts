/** Which endpoints of which app take requests right now, and what each of them is doing. Lives in the proxy process. */
import type { Endpoint, EndpointSignal, Route, Sample, Upstream, UpstreamStatus } from '@orchestry/sdk'
import { Pool } from 'undici'
import type { Clock } from '../clock.ts'
import { limits } from '../limits.ts'
import { type Candidate, choose } from './choose.ts'
import { buildRoutes, matchRoute, type RouteMatch } from './routes.ts'
import { type AppTraffic, createAppTraffic } from './traffic.ts'

/** One endpoint. `removed` ones only finish what they have. */
export interface Target extends Endpoint, Candidate {
  readonly pool: Pool
  state: 'serving' | 'draining' | 'removed'
  active: number
  skipUntilMs: number
  /** Since the signals were last taken. */
  answered: number
  failed: number
}

/** One app. The object stays the same across upstream changes: requests under way hold it. */
export interface RoutedApp {
  readonly name: string
  readonly traffic: AppTraffic
  readonly serving: readonly Target[]
}
interface Entry extends RoutedApp {
  upstream: { generation: number; route: Route }
  serving: Target[]
  targets: Target[]
  turn: number
}

export interface Rotation {
  /** False when a higher generation is in place. */
  apply(upstream: Upstream): boolean
  remove(app: string): boolean
  match(host: string, target: string): RouteMatch<RoutedApp>
  /** The best endpoint that is not among `tried`. */
  pick(app: RoutedApp, tried: ReadonlySet<Target>): Target | undefined
  begin(target: Target): void
  end(target: Target): void
  /** It began an answer. */
  answered(target: Target): void
  /** It took no connection, or cut one off: not what it answered, and not what a client gave up. */
  failed(target: Target): void
  /** It refused a connection: others are preferred for a moment. */
  refused(target: Target): void
  status(app: string): UpstreamStatus | undefined
  generations(): Record<string, number>
  samples(): Sample[]
  /** What was seen of endpoints since this was last asked; only of those where something failed. */
  takeSignals(): EndpointSignal[]
  /** Ends all connections to endpoints at once. */
  destroy(): Promise<void>
}

const skipMs = 1_000
const defaultTimeouts = { connectMs: 2_000, headersMs: 30_000, silentBodyMs: 300_000 }
export type Timeouts = typeof defaultTimeouts

export function createRotation(deps: {
  clock: Pick<Clock, 'now' | 'monotonic'>
  timeouts?: Partial<Timeouts>
}): Rotation {
  const { clock } = deps
  const timeouts = { ...defaultTimeouts, ...deps.timeouts }
  const entries = new Map<string, Entry>()
  const retiring = new Set<Target>()
  let table = buildRoutes<Entry>([])

  const rebuild = () => {
    table = buildRoutes([...entries.values()].map((entry) => [entry.upstream.route, entry] as const))
  }
  const retire = (target: Target) => {
    target.state = 'removed'
    retiring.add(target)
    closeWhenIdle(target)
  }
  const closeWhenIdle = (target: Target) => {
    if (target.state !== 'removed' || target.active > 0) return
    retiring.delete(target)
    for (const entry of entries.values()) entry.targets = entry.targets.filter((other) => other !== target)
    // Nothing is under way: what can fail here is only the closing of idle sockets.
    target.pool.close().catch(() => {})
  }

  const place = (entry: Entry, upstream: Upstream) => {
    const kept = new Map(entry.targets.map((target) => [keyOf(target), target]))
    const take = (endpoint: Endpoint, state: 'serving' | 'draining'): Target => {
      const target = kept.get(keyOf(endpoint)) ?? createTarget(endpoint, timeouts)
      kept.delete(keyOf(endpoint))
      retiring.delete(target)
      target.state = state
      return target
    }
    const serving = upstream.endpoints.map((endpoint) => take(endpoint, 'serving'))
    const named = new Set(serving.map(keyOf))
    const draining = upstream.draining
      .filter((endpoint) => !named.has(keyOf(endpoint)))
      .map((endpoint) => take(endpoint, 'draining'))
    const leaving = [...kept.values()]
    entry.serving = serving
    entry.targets = [...serving, ...draining, ...leaving]
    entry.upstream = { generation: upstream.generation, route: upstream.route }
    for (const target of leaving) retire(target)
  }

  return {
    apply(upstream) {
      const known = entries.get(upstream.app)
      if (known && upstream.generation < known.upstream.generation) return false
      const entry: Entry = known ?? {
        name: upstream.app,
        traffic: createAppTraffic(clock.monotonic()),
        upstream: { generation: upstream.generation, route: upstream.route },
        serving: [],
        targets: [],
        turn: 0,
      }
      entries.set(upstream.app, entry)
      place(entry, upstream)
      rebuild()
      return true
    },
    remove(app) {
      const entry = entries.get(app)
      if (!entry) return false
      entries.delete(app)
      entry.serving = []
      rebuild()
      for (const target of entry.targets) retire(target)
      return true
    },
    match: (host, target) => matchRoute(table, host, target),
    pick(app, tried) {
      const entry = app as Entry
      entry.turn = (entry.turn + 1) % Number.MAX_SAFE_INTEGER
      const fresh = tried.size === 0 ? entry.serving : entry.serving.filter((target) => !tried.has(target))
      return choose(fresh, entry.turn, clock.monotonic())
    },
    begin(target) {
      target.active += 1
    },
    end(target) {
      target.active -= 1
      closeWhenIdle(target)
    },
    answered(target) {
      target.answered += 1
    },
    failed(target) {
      target.failed += 1
    },
    refused(target) {
      target.skipUntilMs = clock.monotonic() + skipMs
    },
    status(app) {
      const entry = entries.get(app)
      return entry && statusOf(entry, clock.monotonic())
    },
    generations: () => Object.fromEntries([...entries].map(([app, entry]) => [app, entry.upstream.generation])),
    samples: () =>
      [...entries.values()].flatMap((entry) =>
        Object.entries(entry.traffic.values(clock.monotonic())).map(([metric, value]) => ({
          app: entry.name,
          metric,
          value: value as number,
          atMs: clock.now(),
        })),
      ),
    takeSignals() {
      const seen = [...entries.values()].flatMap((entry) =>
        entry.targets.map((target) => [entry.name, target] as const),
      )
      const signals = seen.flatMap(([app, { id, answered, failed }]) =>
        failed > 0 ? [{ app, id, answered, failed }] : [],
      )
      for (const [, target] of seen) {
        target.answered = 0
        target.failed = 0
      }
      return signals.slice(0, limits.endpointSignals)
    },
    async destroy() {
      const targets = [...entries.values()].flatMap((entry) => entry.targets)
      await Promise.allSettled([...targets, ...retiring].map((target) => target.pool.destroy()))
    },
  }
}

function keyOf({ id, host, port }: Endpoint): string {
  return `${id} ${host} ${port}`
}

function createTarget({ id, host, port }: Endpoint, timeouts: Timeouts): Target {
  const pool = new Pool(`http://${host.includes(':') ? `[${host}]` : host}:${port}`, {
    connections: limits.proxyConnectionsPerEndpoint,
    connect: { timeout: timeouts.connectMs },
    headersTimeout: timeouts.headersMs,
    bodyTimeout: timeouts.silentBodyMs,
  })
  return { id, host, port, pool, state: 'serving', active: 0, skipUntilMs: 0, answered: 0, failed: 0 }
}

function statusOf(entry: Entry, nowMs: number): UpstreamStatus {
  return {
    app: entry.name,
    generation: entry.upstream.generation,
    endpoints: entry.targets.map(({ id, state, active, skipUntilMs }) => ({
      id,
      state: state === 'serving' && skipUntilMs > nowMs ? 'refusing' : state,
      activeConnections: active,
    })),
  }
}
