/**
 * A whole scaling tick: snapshots of every app, three scalers in their own sandbox processes, decisions on disk, the apps told.
 * The apps, metrics, hooks, scaling and store are the real ones; only the reconciler is not there, because it begins where a
 * tick ends.
 */
import { join } from 'node:path'
import type { Apps } from '../../runtime/apps/app.ts'
import { createApps } from '../../runtime/apps/registry.ts'
import { systemClock } from '../../runtime/clock.ts'
import { createEvents } from '../../runtime/events/log.ts'
import { createMetrics } from '../../runtime/metrics/registry.ts'
import type { Sandbox } from '../../runtime/sandbox/sandbox.ts'
import { createDecisionLog } from '../../runtime/scaling/decision-log.ts'
import { createMemory } from '../../runtime/scaling/memory.ts'
import { createTick } from '../../runtime/scaling/tick.ts'
import { createLmdbStore } from '../../runtime/store/lmdb.ts'
import { bundleGuest } from '../support/guest-bundle.ts'
import type { Bench, BenchContext, Row } from './bench.ts'
import { type Guest, hooksOf, openGuest, quietLog, startSandbox } from './guests.ts'
import { median, quantile } from './samples.ts'

/** Each scaler follows its own metrics; all ask for the size that `cpuPercent` or `rps` names, so that a test can steer them. */
const scalers = [
  { name: 'by-cpu', metrics: ['cpuPercent', 'memoryPercent'] },
  { name: 'by-rate', metrics: ['cpuPercent', 'rps'] },
  { name: 'by-latency', metrics: ['cpuPercent', 'latencyP95Ms', 'activeConnections'] },
]
const measured = ['cpuPercent', 'memoryPercent', 'rps', 'latencyP95Ms', 'activeConnections']
const warmUps = 1
const samplesKept = 20
const rule = { stabilizationWindowSeconds: 0 }
const specOf = (name: string) => ({
  apiVersion: 'v1',
  kind: 'App',
  metadata: { name, labels: { team: 'web' } },
  spec: { command: ['serve'], driver: 'memory' },
  scaling: {
    minReplicas: 1,
    maxReplicas: 1000,
    targets: { cpuPercent: 70, rpsPerReplica: 100 },
    cooldownSeconds: 0,
    behavior: { scaleOut: rule, scaleIn: rule },
  },
})

export const bench: Bench = {
  async run(context) {
    const sandbox = await startSandbox(context)
    const rows = await measure(context, sandbox, { apps: 1_000, ticks: context.isQuick ? 10 : 25, atMostMs: 50 })
    if (context.isQuick) return [...rows, { what: '10,000 apps × 3 scalers', missing: 'left out by --quick' }]
    return [...rows, ...(await measure(context, sandbox, { apps: 10_000, ticks: 4, atMostMs: 500 }))]
  },
}

interface Size {
  readonly apps: number
  readonly ticks: number
  readonly atMostMs: number
}

async function measure(context: BenchContext, sandbox: Sandbox, { apps, ticks, atMostMs }: Size): Promise<Row[]> {
  const world = await buildWorld(context, sandbox, apps)
  const rows: Row[] = []
  for (const isChanging of [true, false]) {
    const toStored: number[] = []
    const whole: number[] = []
    for (let round = -warmUps; round < ticks; round += 1) {
      const { storedMs, wholeMs } = await world.tick(isChanging)
      if (round < 0) continue
      toStored.push(storedMs)
      whole.push(wholeMs)
    }
    const decided = isChanging ? toStored : whole
    rows.push({
      what: `${apps.toLocaleString('en-US')} apps × 3 scalers, ${isChanging ? 'every app changes: tick to stored decisions' : 'nothing changes: whole tick'}`,
      figures: [
        { name: 'p50', value: median(decided), unit: 'ms' },
        { name: 'p99', value: quantile(decided, 0.99), unit: 'ms', atMost: atMostMs },
        ...(isChanging ? [{ name: 'until every app is told, p50', value: median(whole), unit: 'ms' }] : []),
      ],
      runs: ticks,
      note: 'jitless',
    })
  }
  await world.close()
  return rows
}

async function buildWorld({ dir, after }: BenchContext, sandbox: Sandbox, count: number) {
  const clock = systemClock
  const store = await createLmdbStore({ path: join(dir, `state-${count}`), clock })
  const events = createEvents({ store, clock, log: quietLog })
  const decisionLog = createDecisionLog({ store, clock })
  const guests: Guest[] = []
  for (const { name, metrics } of scalers)
    guests.push(await openGuest(sandbox, await bundleGuest(bodyOf(metrics), name)))
  let closing: Promise<void> | undefined
  const close = () => {
    closing ??= (async () => {
      for (const { plugin } of guests) await plugin.close()
      await decisionLog.stop()
      await events.stop()
      await store.close()
    })()
    return closing
  }
  after(close)

  const apps = await createApps({ store, clock, events, drivers: ['memory'] })
  const names = Array.from({ length: count }, (_, index) => `app-${index}`)
  await Promise.all(names.map((name) => apps.apply(JSON.stringify(specOf(name)))))
  await events.flush()
  const metrics = createMetrics({ clock })
  const record = (cpuPercent: number, atMs: number) =>
    metrics.record(
      names.flatMap((app) =>
        measured.map((metric) => ({ app, metric, value: metric === 'cpuPercent' ? cpuPercent : 40, atMs })),
      ),
    )
  let wanted = 1
  for (let index = samplesKept; index > 0; index -= 1) record(wanted, clock.now() - index * 100)

  let storedAtMs = 0
  const { run } = createTick({
    apps,
    metrics,
    hooks: hooksOf(guests.map(({ live }) => live)),
    reconciler: { markDirty: () => {}, status: (app) => statusOf(apps, app) },
    decisionLog: {
      async append(decisions) {
        const stored = await decisionLog.append(decisions)
        storedAtMs = performance.now()
        return stored
      },
    },
    events,
    memory: createMemory({ store }),
    clock,
    log: { error: (...said: unknown[]) => process.stderr.write(`${JSON.stringify(said)}\n`) },
    voteTimeoutMs: 5_000,
    promptMs: 5_000,
    inTurn: (commit) => commit(),
    onDecision: () => {},
  })

  return {
    close,
    async tick(isChanging: boolean) {
      if (isChanging) wanted += 1
      record(wanted, clock.now())
      const startedMs = performance.now()
      await run('all')
      const wholeMs = performance.now() - startedMs
      const told = apps.get('app-0')?.desired
      if (told !== wanted) throw new Error(`app-0 has ${told} replicas, ${wanted} were asked for`)
      // What is written after the tick would otherwise take its time from the next one.
      await events.flush()
      return { storedMs: storedAtMs - startedMs, wholeMs }
    },
  }
}

function statusOf(apps: Pick<Apps, 'get'>, app: string) {
  const desired = apps.get(app)?.desired ?? 0
  return { app, phase: 'running', desired, running: desired, serving: desired, generation: 1, problems: [] } as const
}

const bodyOf = (metrics: readonly string[]) => `
  scaler: {
    metrics: ${JSON.stringify(metrics)},
    decide({ app, metrics, hold }) {
      const cpu = metrics.cpuPercent
      if (cpu === undefined) return hold('no fresh cpuPercent')
      return { replicas: Math.ceil(cpu.last), reason: \`\${cpu.mean.toFixed(1)} % over \${app.replicas} replicas\` }
    },
  }`
