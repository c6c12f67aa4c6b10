/** Apps in memory: what a test puts in is what the rooms under test see, with a change for each. */
import type { HealthCheck } from '@orchestry/sdk'
import type { App, AppChange, AppRecord, Apps } from '../../runtime/apps/app.ts'

const check: HealthCheck = {
  protocol: 'HTTP',
  path: '/',
  method: 'GET',
  headers: {},
  expectedStatusCodes: [],
  initialDelaySeconds: 0,
  periodSeconds: 10,
  timeoutSeconds: 1,
  failureThreshold: 3,
  successThreshold: 1,
}

/** A complete spec; what a test is about it gives itself. */
export function sampleSpec(name: string, more: Partial<App> = {}): App {
  const rule = { stabilizationWindowSeconds: 0, policies: [], isDisabled: false }
  return {
    name,
    labels: {},
    driver: 'fake',
    command: ['serve'],
    env: [],
    ports: [],
    ingress: { path: `/${name}/` },
    scaling: {
      mode: 'manual',
      minReplicas: 0,
      maxReplicas: 100,
      targets: {},
      scaleOutThresholdPct: 80,
      scaleInThresholdPct: 30,
      windowSeconds: 20,
      cooldownSeconds: { out: 30, in: 30 },
      behavior: { scaleOut: rule, scaleIn: rule },
    },
    healthCheck: check,
    rollout: { maxSurge: 1, maxUnavailable: 0, drainSeconds: 5, stopGraceSeconds: 2 },
    ...more,
  }
}

export function sampleCheck(more: Partial<HealthCheck> = {}): HealthCheck {
  return { ...check, ...more }
}

export interface FakeApps extends Pick<Apps, 'list' | 'get' | 'onChange'> {
  /** Adds the app, or changes what is given of it. */
  put(name: string, patch?: Partial<Omit<AppRecord, 'revision'>>): AppRecord
  delete(name: string): void
}

export function createFakeApps(): FakeApps {
  const records = new Map<string, AppRecord>()
  const listeners = new Set<(change: AppChange) => void>()
  let revision = 0
  const tell = (change: AppChange) => {
    for (const listener of listeners) listener(change)
  }
  return {
    list: () => [...records.values()],
    get: (name) => records.get(name),
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    put(name, patch = {}) {
      const previous = records.get(name)
      revision += 1
      const base: AppRecord = previous ?? {
        app: sampleSpec(name),
        source: '',
        version: 'v1',
        desired: 1,
        isRunning: true,
        paused: 'none',
        createdAtMs: 0,
        updatedAtMs: 0,
        revision,
      }
      const record = { ...base, ...patch, revision }
      records.set(name, record)
      tell(previous === undefined ? { name, record } : { name, record, previous })
      return record
    },
    delete(name) {
      const previous = records.get(name)
      records.delete(name)
      tell(previous === undefined ? { name } : { name, previous })
    },
  }
}
