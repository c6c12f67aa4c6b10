import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Sample } from '@orchestry/sdk'
import type { AppChange, AppRecord } from '../../runtime/apps/app.ts'
import { systemClock } from '../../runtime/clock.ts'
import type { Answer, Provider } from '../../runtime/hooks/hooks.ts'
import { createLog } from '../../runtime/log.ts'
import { type CollectorDeps, createCollector } from '../../runtime/metrics/collector.ts'
import { createMetrics } from '../../runtime/metrics/registry.ts'
import { waitFor } from '../support/wait-for.ts'

type Reply = Answer<Sample[]> | Promise<Answer<Sample[]>>
const failed: Reply = {
  ok: false,
  failure: { code: 'ORC_SANDBOX_TIMEOUT', message: 'late', plugin: 'p', instance: 'i', hook: 'h', atMs: 1 },
}
const never = new Promise<never>(() => undefined)

interface House {
  apps?: Record<string, { driver?: string; running?: string[]; serving?: number; isRunning?: boolean }>
  usage?: CollectorDeps['driverUsage']
  loadBalancers?: Record<string, () => Reply>
  sources?: Record<string, (apps: string[]) => Reply>
  declares?: Record<string, string[]>
}

function house({ apps = {}, usage, loadBalancers = {}, sources = {}, declares = {} }: House) {
  const records = () =>
    Object.entries(apps).map(
      ([name, one]) =>
        ({ app: { name, driver: one.driver ?? 'process' }, isRunning: one.isRunning ?? true }) as AppRecord,
    )
  const listeners = new Set<(change: AppChange) => void>()
  const metrics = createMetrics({ clock: systemClock })
  const provider = (kind: Provider['kind'], instance: string, fn: string): Provider => ({
    plugin: instance,
    version: '1.0.0',
    instance,
    kind,
    isDefault: true,
    isServing: true,
    functions: [fn],
    declares: declares[instance] === undefined ? {} : { metrics: declares[instance] },
  })
  const collector = createCollector({
    apps: {
      list: records,
      get: (name) => records().find(({ app }) => app.name === name),
      onChange(listener) {
        listeners.add(listener)
        return () => listeners.delete(listener)
      },
    },
    reconciler: {
      status: (app) => ({
        app,
        phase: 'running',
        desired: 9,
        running: apps[app]?.running?.length ?? 0,
        serving: apps[app]?.serving ?? 0,
        generation: 1,
        problems: [],
      }),
      instances: (app) =>
        (apps[app]?.running ?? []).map((id) => ({
          id,
          app,
          version: 'v',
          host: '127.0.0.1',
          port: 4_000,
          startedAtMs: 1,
          isRunning: true,
          rotation: 'serving',
          isCurrentVersion: true,
        })),
    },
    driverUsage: usage ?? (async () => new Map()),
    hooks: {
      providers: (kind) =>
        kind === 'loadBalancer'
          ? Object.keys(loadBalancers).map((name) => provider(kind, name, 'metrics'))
          : Object.keys(sources).map((name) => provider(kind, name, 'collect')),
      exclusive: (async (_kind: string, _fn: string, instance: string) =>
        loadBalancers[instance]?.()) as CollectorDeps['hooks']['exclusive'],
      collect: ((_kind: string, _fn: string, items: Map<string, { app: string }[][]>) => {
        const [[instance, payloads] = ['', []]] = items
        const answers = payloads.map(async (payload) => sources[instance]?.(payload.map(({ app }) => app)))
        return new Map([[instance, Promise.all(answers)]])
      }) as unknown as CollectorDeps['hooks']['collect'],
    },
    metrics,
    clock: systemClock,
    log: createLog({ level: 'silent' }),
    everyMs: 5,
  })
  const last = (app: string) =>
    Object.fromEntries(
      Object.entries(metrics.snapshot(app, 60, Date.now())).map(([metric, window]) => [metric, window?.last]),
    )
  const remove = (name: string) => {
    delete apps[name]
    for (const listener of listeners) listener({ name })
  }
  return { collector, metrics, last, remove }
}

const load = (cpuPercent: number, memoryPercent: number) => ({ cpuPercent, memoryPercent, memoryBytes: 1 })
const rps = (app: string, value: number): Sample => ({ app, metric: 'rps', value })

describe('collecting metrics', () => {
  it('records the counts and the mean load of each running app', async () => {
    const { collector, last } = house({
      apps: { shop: { running: ['a', 'b'], serving: 1 }, blog: { isRunning: false } },
      usage: async (driver, ids) =>
        new Map(driver === 'process' ? ids.map((id) => [id, id === 'a' ? load(10, 20) : load(30, 60)]) : []),
    })
    await collector.collectNow()
    assert.deepEqual(last('shop'), { replicas: 2, healthyReplicas: 1, cpuPercent: 20, memoryPercent: 40 })
    assert.deepEqual(last('blog'), {})
  })

  it('leaves a gap, never a zero, for what it could not learn', async () => {
    const { collector, last } = house({
      apps: { shop: { running: ['a', 'b'] }, stuck: { running: ['c'], driver: 'docker' }, quiet: { running: ['d'] } },
      usage: async (driver) => {
        if (driver === 'docker') throw new Error('no daemon')
        return new Map([['a', load(10, Number.NaN)]])
      },
      loadBalancers: { proxy: () => failed },
      sources: { queue: () => failed },
    })
    await collector.collectNow()
    assert.deepEqual(last('shop'), { replicas: 2, healthyReplicas: 0, cpuPercent: 10 })
    assert.deepEqual(last('stuck'), { replicas: 1, healthyReplicas: 0 })
    assert.deepEqual(last('quiet'), { replicas: 1, healthyReplicas: 0 })
  })

  it('takes samples from load balancers and sources, of apps that exist, under names that are theirs', async () => {
    const { collector, last } = house({
      apps: { shop: {} },
      loadBalancers: {
        proxy: () => ({
          ok: true,
          value: [rps('shop', 5), rps('nobody', 5), { app: 'shop', metric: 'replicas', value: 99 }],
        }),
      },
      sources: {
        queue: () => ({ ok: true, value: [{ app: 'shop', metric: 'queueDepth', value: 7 }, rps('shop', 1_000)] }),
      },
      declares: { queue: ['queueDepth'] },
    })
    await collector.collectNow()
    assert.deepEqual(last('shop'), { replicas: 0, healthyReplicas: 0, rps: 5, queueDepth: 7 })
  })

  it('asks a source about many apps in several messages; one that fails is a gap for those only', async () => {
    const names = Array.from({ length: 200 }, (_, index) => `app${index}`)
    const { collector, last } = house({
      apps: Object.fromEntries(names.map((name) => [name, {}])),
      sources: {
        queue: (apps) => (apps.includes('app0') ? failed : { ok: true, value: apps.map((app) => rps(app, 1)) }),
      },
    })
    await collector.collectNow()
    assert.equal(last('app0').rps, undefined)
    assert.equal(last('app199').rps, 1)
  })

  it('goes on at its own pace when one never answers, and does not ask that one again', async (t) => {
    let asked = 0
    let answered = 0
    const { collector } = house({
      apps: { shop: { running: ['a'] } },
      usage: () => never,
      loadBalancers: {
        stuck: () => {
          asked += 1
          return never
        },
        good: () => {
          answered += 1
          return { ok: true, value: [] }
        },
      },
    })
    collector.start()
    collector.start()
    t.after(() => collector.stop())
    await waitFor(() => answered > 5)
    assert.equal(asked, 1)
  })

  it('does not bring a deleted app back with numbers that were under way, nor record after the stop', async () => {
    let release: ((answer: Answer<Sample[]>) => void) | undefined
    const { collector, metrics, remove } = house({
      apps: { shop: {}, blog: {} },
      loadBalancers: {
        slow: () =>
          new Promise((resolve) => {
            release = resolve
          }),
      },
    })
    collector.start()
    const collected = collector.collectNow()
    await waitFor(() => release)
    remove('shop')
    assert.deepEqual(metrics.metricNames('shop'), [])
    collector.stop()
    collector.stop()
    release?.({ ok: true, value: [rps('shop', 1), rps('blog', 1)] })
    await collected
    assert.deepEqual(metrics.metricNames('shop'), [])
    assert.equal(metrics.metricNames('blog').includes('rps'), false)
  })
})
