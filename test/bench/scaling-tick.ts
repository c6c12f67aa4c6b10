/**
 * A scaling tick without the sandbox: snapshots, questions, decisions, the store (LMDB) and the apps, with scalers that answer at
 * once. `changing` = every app gets another size in every tick, the worst there is; `steady` = nothing changes.
 */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AppRecord } from '../../runtime/apps/app.ts'
import { systemClock } from '../../runtime/clock.ts'
import type { Hooks, Provider } from '../../runtime/hooks/hooks.ts'
import { createDecisionLog } from '../../runtime/scaling/decision-log.ts'
import { createMemory } from '../../runtime/scaling/memory.ts'
import { createTick } from '../../runtime/scaling/tick.ts'
import { createLmdbStore } from '../../runtime/store/lmdb.ts'
import { recordOf } from '../scaling/sample.ts'

const metrics = Object.fromEntries(
  ['cpuPercent', 'memoryPercent', 'rps', 'latencyP95Ms', 'activeConnections'].map((name) => [
    name,
    { last: 1, mean: 1, min: 1, max: 1, p95: 1, samples: 20, ageSeconds: 1 },
  ]),
)

export interface TickFigures {
  readonly p50Ms: number
  readonly p99Ms: number
}

export async function measureTick(apps: number, isChanging: boolean, ticks: number): Promise<TickFigures> {
  const dir = await mkdtemp(join(tmpdir(), 'orchestry-bench-'))
  const store = await createLmdbStore({ path: join(dir, 'store'), clock: systemClock })
  const records = new Map<string, AppRecord>()
  for (let index = 0; index < apps; index += 1) {
    records.set(`app${index}`, recordOf(`app${index}`, { maxReplicas: 100 }))
  }
  let wanted = 1
  const providers = ['a', 'b', 'c'].map(
    (instance): Provider => ({
      plugin: instance,
      version: '1.0.0',
      instance,
      kind: 'scaler',
      isDefault: true,
      isServing: true,
      functions: ['decide'],
      declares: { metrics: Object.keys(metrics) },
    }),
  )
  const hooks = {
    providers: () => providers,
    collect: async (_kind: string, _fn: string, batches: ReadonlyMap<string, readonly unknown[]>) =>
      new Map(
        [...batches].map(([instance, items]) => [
          instance,
          items.map(() => ({ ok: true, value: { replicas: wanted, reason: 'as it must be' } })),
        ]),
      ),
  } as unknown as Pick<Hooks, 'providers' | 'collect'>
  const decisionLog = createDecisionLog({ store, clock: systemClock })
  const tick = createTick({
    apps: {
      list: () => [...records.values()],
      get: (name) => records.get(name),
      async setDesired(name, desired) {
        const record = { ...(records.get(name) as AppRecord), desired }
        records.set(name, record)
        return record
      },
    },
    metrics: { snapshot: () => metrics },
    hooks,
    reconciler: {
      markDirty: () => {},
      status: (app) => ({
        app,
        phase: 'running',
        desired: 1,
        running: 1,
        serving: 1,
        generation: 1,
        problems: [],
      }),
    },
    decisionLog,
    events: { emit: () => {} },
    memory: createMemory({ store }),
    clock: systemClock,
    log: { error: (fields: unknown) => process.stderr.write(`${JSON.stringify(fields)}\n`) },
    voteTimeoutMs: 1000,
    inTurn: (run) => run(),
    onDecision: () => {},
  })
  const times: number[] = []
  for (let round = -3; round < ticks; round += 1) {
    if (isChanging) wanted += 1
    const startedAt = performance.now()
    await tick('all')
    if (round >= 0) times.push(performance.now() - startedAt)
  }
  await decisionLog.stop()
  await store.close()
  await rm(dir, { recursive: true, force: true })
  times.sort((a, b) => a - b)
  const at = (share: number) => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0
  return { p50Ms: at(0.5), p99Ms: at(0.99) }
}

if (import.meta.main) {
  for (const [apps, ticks] of [
    [1000, 40],
    [10_000, 8],
  ] as const) {
    for (const isChanging of [false, true]) {
      const { p50Ms, p99Ms } = await measureTick(apps, isChanging, ticks)
      const kind = isChanging ? 'changing' : 'steady'
      process.stdout.write(
        `${apps} apps × 3 scalers, ${kind}: p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms\n`,
      )
    }
  }
}
