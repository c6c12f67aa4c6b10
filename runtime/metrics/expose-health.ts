/** Health checks as they are made: how many, how they ended, how long replicas took. An app that is deleted takes its series with it. */
import { Counter, Histogram, type Registry } from 'prom-client'
import type { Apps } from '../apps/app.ts'
import type { Health, HealthStatus } from '../health/health.ts'

const outcomes: Readonly<Record<HealthStatus, string>> = {
  healthy: 'success',
  unhealthy: 'failure',
  unknown: 'unknown',
}

export interface HealthSeriesDeps {
  apps: Pick<Apps, 'get' | 'onChange'>
  health: Pick<Health, 'onChecked'>
}

/** @returns ends the counting. */
export function countHealthChecks(registry: Registry, { apps, health }: HealthSeriesDeps): () => void {
  const registers = [registry]
  const checks = new Counter({
    name: 'orchestry_health_checks_total',
    help: 'Health checks since the start; unknown ones said nothing of the replica',
    labelNames: ['app', 'status'],
    registers,
  })
  const durations = new Histogram({
    name: 'orchestry_health_check_duration_seconds',
    help: 'How long replicas took to answer a health check',
    labelNames: ['app'],
    buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  })
  const endCounting = health.onChecked(({ app, status, responseTimeMs }) => {
    if (apps.get(app) === undefined) return
    checks.inc({ app, status: outcomes[status] })
    if (responseTimeMs !== undefined && Number.isFinite(responseTimeMs))
      durations.observe({ app }, responseTimeMs / 1000)
  })
  const endForgetting = apps.onChange(({ name, record }) => {
    if (record !== undefined) return
    for (const status of Object.values(outcomes)) checks.remove({ app: name, status })
    durations.remove({ app: name })
  })
  return () => {
    endCounting()
    endForgetting()
  }
}
