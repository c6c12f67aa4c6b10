/** Pure: what a plugin is told of an app. */
import type { AppView } from '@orchestry/sdk'
import type { AppRecord } from '../apps/app.ts'

export function appView({ app, desired }: Pick<AppRecord, 'app' | 'desired'>, healthyReplicas: number): AppView {
  const { minReplicas, maxReplicas, targets, scaleOutThresholdPct, scaleInThresholdPct, windowSeconds } = app.scaling
  return {
    name: app.name,
    labels: app.labels,
    replicas: desired,
    healthyReplicas,
    minReplicas,
    maxReplicas,
    targets,
    scaleOutThresholdPct,
    scaleInThresholdPct,
    windowSeconds,
  }
}
