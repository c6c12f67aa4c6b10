/** An app as clients see it: what was asked for and what is. Made for every request, so it only copies. */
import type { Metrics } from '@orchestry/sdk'
import type { AppRecord } from '../apps/app.ts'
import type { Decision } from '../scaling/decision.ts'
import type { ApiDeps } from './deps.ts'

export function viewApp(record: AppRecord, { reconciler, scaling }: Pick<ApiDeps, 'reconciler' | 'scaling'>) {
  const { app } = record
  const status = reconciler.status(app.name)
  const latest = scaling.latest(app.name)
  const { loadBalancer, ...route } = app.ingress
  return {
    name: app.name,
    labels: app.labels,
    driver: app.driver,
    image: app.image,
    ports: app.ports,
    volumes: app.volumes,
    security: app.security,
    resources: { cpuMilli: app.cpuMilli, memoryBytes: app.memoryBytes, pids: app.pids },
    phase: status.phase,
    isRunning: record.isRunning,
    desired: record.desired,
    running: status.running,
    serving: status.serving,
    generation: status.generation,
    problems: status.problems,
    progress: status.progress,
    rollout: status.rollout,
    mode: app.scaling.mode,
    minReplicas: app.scaling.minReplicas,
    maxReplicas: app.scaling.maxReplicas,
    paused: record.paused,
    route,
    loadBalancer,
    version: record.version,
    revision: record.revision,
    createdAtMs: record.createdAtMs,
    updatedAtMs: record.updatedAtMs,
    decision: latest && summarize(latest),
  }
}
export type AppView = ReturnType<typeof viewApp>

export function summarize({ id, app, atMs, action, from, to, reason, by, winner }: Decision) {
  return { id, app, atMs, action, from, to, reason, by, winner }
}

/** The newest value of every metric that has a fresh one. */
export function newestValues(windows: Metrics): Record<string, number> {
  const values: Record<string, number> = {}
  for (const [name, window] of Object.entries(windows)) if (window) values[name] = window.last
  return values
}

export function etagOf(record: AppRecord): string {
  return `"${record.revision}"`
}
