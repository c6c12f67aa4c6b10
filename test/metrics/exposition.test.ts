import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { describe, it } from 'node:test'
import type { AppChange, AppRecord } from '../../runtime/apps/app.ts'
import type { Checked } from '../../runtime/health/health.ts'
import { createExposition, type ExpositionDeps } from '../../runtime/metrics/exposition.ts'
import { createMetrics } from '../../runtime/metrics/registry.ts'
import type { PluginView } from '../../runtime/plugins/plugins.ts'
import type { Decision } from '../../runtime/scaling/decision.ts'
import { hasTool } from '../support/real-tool.ts'

const clock = { now: () => 1_000_000 }

function house() {
  const names = new Set(['shop', 'blog'])
  const record = (name: string) => ({ app: { name }, isRunning: name === 'shop' }) as AppRecord
  const changes = new Set<(change: AppChange) => void>()
  const decisions = new Set<(decision: Decision) => void>()
  const metrics = createMetrics({ clock })
  const usage = {
    calls: 12,
    errors: 2,
    cpuMs: 1_500,
    wallMs: 3_000,
    heapMb: 2,
    peakHeapMb: 3,
    hostCalls: 4,
    bytesIn: 5,
    bytesOut: Number.NaN,
    drops: 8,
  }
  const plugins: PluginView[] = [
    {
      id: '@acme/queue-"scaler"\n',
      version: '1.2.0',
      source: { kind: 'directory', path: '/x' },
      state: 'serving',
      hooks: ['scaler'],
      capabilities: [],
      limits: {} as PluginView['limits'],
      restarts: 3,
      memoryMb: 14,
      incidents: [],
      instances: [
        {
          name: 'queue',
          config: {},
          isDefault: true,
          breaker: 'open',
          grants: [],
          isTightened: false,
          usage,
          usageByHook: [{ hook: 'scaler', ...usage }],
        },
      ],
    },
  ]
  const checked = new Set<(checked: Checked) => void>()
  const exposition = createExposition({
    health: {
      onChecked(listener) {
        checked.add(listener)
        return () => checked.delete(listener)
      },
    },
    apps: {
      list: () => [...names].map(record),
      get: (name) => (names.has(name) ? record(name) : undefined),
      onChange(listener) {
        changes.add(listener)
        return () => changes.delete(listener)
      },
    },
    reconciler: {
      status: (app) => ({ app, phase: 'running', desired: 3, running: 3, serving: 2, generation: 1, problems: [] }),
    },
    metrics,
    plugins: { list: () => plugins },
    scaling: {
      onDecision(listener) {
        decisions.add(listener)
        return () => decisions.delete(listener)
      },
      ticks: () => ({ run: 7, missed: 1 }),
    } as ExpositionDeps['scaling'],
    clock,
  })
  const decide = (app: string, action: Decision['action']) => {
    for (const listener of decisions) listener({ app, action } as Decision)
  }
  const remove = (name: string) => {
    names.delete(name)
    metrics.forget(name)
    for (const listener of changes) listener({ name })
  }
  const check = (told: Checked) => {
    for (const listener of checked) listener(told)
  }
  const listeners = () => changes.size + decisions.size + checked.size
  return { exposition, metrics, decide, check, remove, plugins, listeners }
}

describe('/metrics', () => {
  it('shows apps, decisions and plugins', async () => {
    const { exposition, metrics, decide } = house()
    metrics.record([
      { app: 'shop', metric: 'rps', value: 5 },
      { app: 'shop', metric: 'latencyP95Ms', value: 250 },
      { app: 'shop', metric: 'cpuPercent', value: 40 },
    ])
    decide('shop', 'out')
    decide('shop', 'out')
    const text = await exposition.text()
    for (const line of [
      'orchestry_apps 2',
      'orchestry_apps_running 1',
      'orchestry_app_replicas{app="shop",status="healthy"} 2',
      'orchestry_app_replicas{app="shop",status="unhealthy"} 1',
      'orchestry_app_rps{app="shop"} 5',
      'orchestry_app_cpu_percent{app="shop"} 40',
      'orchestry_app_latency_seconds{app="shop",percentile="p95"} 0.25',
      'orchestry_scaling_decisions_total{app="shop",action="out"} 2',
      'orchestry_ticks_total 7',
      'orchestry_ticks_missed_total 1',
      'orchestry_plugin_calls_total{plugin="@acme/queue-\\"scaler\\"\\n",instance="queue",hook="scaler"} 12',
      'orchestry_plugin_cpu_seconds_total{plugin="@acme/queue-\\"scaler\\"\\n",instance="queue",hook="scaler"} 1.5',
      'orchestry_plugin_drops_total{plugin="@acme/queue-\\"scaler\\"\\n",instance="queue",hook="scaler"} 8',
      'orchestry_plugin_quarantined{plugin="@acme/queue-\\"scaler\\"\\n"} 0',
      'orchestry_plugin_breaker_state{plugin="@acme/queue-\\"scaler\\"\\n",instance="queue",state="open"} 1',
      'orchestry_plugin_restarts_total{plugin="@acme/queue-\\"scaler\\"\\n"} 3',
      'orchestry_plugin_memory_bytes{plugin="@acme/queue-\\"scaler\\"\\n"} 14680064',
    ]) {
      assert.ok(text.split('\n').includes(line), `${line} is not in\n${text}`)
    }
    assert.match(exposition.contentType, /^text\/plain; version=0\.0\.4/)
  })

  it('counts health checks and how long replicas took, until the app is deleted', async () => {
    const { exposition, check, remove } = house()
    check({ app: 'shop', status: 'healthy', responseTimeMs: 250 })
    check({ app: 'shop', status: 'unhealthy', responseTimeMs: 500 })
    check({ app: 'shop', status: 'unknown' })
    check({ app: 'nobody', status: 'healthy', responseTimeMs: 1 })
    const lines = (await exposition.text()).split('\n')
    for (const line of [
      'orchestry_health_checks_total{app="shop",status="success"} 1',
      'orchestry_health_checks_total{app="shop",status="failure"} 1',
      'orchestry_health_checks_total{app="shop",status="unknown"} 1',
      'orchestry_health_check_duration_seconds_bucket{le="0.25",app="shop"} 1',
      'orchestry_health_check_duration_seconds_count{app="shop"} 2',
      'orchestry_health_check_duration_seconds_sum{app="shop"} 0.75',
    ])
      assert.ok(lines.includes(line), line)
    remove('shop')
    const left = (await exposition.text()).split('\n').filter((line) => line.startsWith('orchestry_health'))
    assert.deepEqual(left, [])
  })

  it('shows the same counts at the next scrape, not their sum', async () => {
    const { exposition } = house()
    const plugin = async () =>
      (await exposition.text()).split('\n').filter((line) => line.startsWith('orchestry_plugin'))
    assert.deepEqual(await plugin(), await plugin())
  })

  it('has no series for what is not known, and none any more for what is gone', async () => {
    const { exposition, metrics, decide, remove, plugins } = house()
    metrics.record([{ app: 'shop', metric: 'rps', value: 5 }])
    decide('shop', 'in')
    decide('nobody', 'in')
    const before = await exposition.text()
    assert.ok(!before.includes('rps{app="blog"}') && !before.includes('nobody'))
    assert.ok(before.includes('rps{app="shop"}'))
    remove('shop')
    plugins.length = 0
    const after = await exposition.text()
    assert.ok(!after.includes('shop') && !after.includes('acme'), after)
  })

  it('stops listening', () => {
    const { exposition, listeners } = house()
    assert.equal(listeners(), 4)
    exposition.stop()
    exposition.stop()
    assert.equal(listeners(), 0)
  })

  it('satisfies promtool', async (t) => {
    if (!hasTool('promtool', 'prometheus')) return t.skip('promtool is not installed')
    const { exposition, metrics, decide } = house()
    for (const metric of ['rps', 'cpuPercent', 'memoryPercent', 'activeConnections', 'errorPercent', 'latencyP50Ms']) {
      metrics.record([{ app: 'shop', metric, value: 5 }])
    }
    decide('shop', 'hold')
    const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
      input: await exposition.text(),
      encoding: 'utf8',
    })
    assert.equal(`${stdout}${stderr}`, '')
    assert.equal(status, 0)
  })
})
