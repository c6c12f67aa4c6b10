/** Specs of small real apps for scenarios. */
import { replicaCommand } from './sample-app.ts'

export function appSpec(name: string, more: { scaling?: object; env?: object[]; rollout?: object } = {}): object {
  return {
    apiVersion: 'v1',
    kind: 'App',
    metadata: { name },
    spec: { command: replicaCommand, ...(more.env === undefined ? {} : { env: more.env }) },
    scaling: { minReplicas: 1, maxReplicas: 6, ...more.scaling },
    healthCheck: { path: '/healthz', periodSeconds: 1 },
    rollout: { drainSeconds: 2, ...more.rollout },
  }
}

export interface AppStatusView {
  readonly phase: string
  readonly desired: number
  readonly running: number
  readonly serving: number
  readonly problems: readonly string[]
}
export interface InstanceRow {
  readonly id: string
  readonly pid?: number
  readonly rotation: string
  readonly isRunning: boolean
}
