/** Apps and decisions as the tests of this room need them. */
import type { AppRecord, Scaling, ScalingRule } from '../../runtime/apps/app.ts'
import type { DecideInput } from '../../runtime/scaling/decide.ts'
import type { VoteRecord } from '../../runtime/scaling/decision.ts'

export const unlimited: ScalingRule = { stabilizationWindowSeconds: 0, policies: [], isDisabled: false }

export function scalingOf(given: Partial<Scaling> = {}): Scaling {
  return {
    mode: 'auto',
    minReplicas: 1,
    maxReplicas: 10,
    targets: {},
    scaleOutThresholdPct: 80,
    scaleInThresholdPct: 30,
    windowSeconds: 1,
    cooldownSeconds: { out: 0, in: 0 },
    behavior: { scaleOut: unlimited, scaleIn: unlimited },
    ...given,
  }
}

export function recordOf(name: string, scaling: Partial<Scaling> = {}, given: Partial<AppRecord> = {}): AppRecord {
  return {
    app: {
      name,
      labels: {},
      driver: 'memory',
      command: ['true'],
      env: [],
      ports: [],
      ingress: { path: `/${name}/` },
      scaling: scalingOf(scaling),
      rollout: { maxSurge: 1, maxUnavailable: 0, drainSeconds: 0, stopGraceSeconds: 1 },
    },
    source: '',
    version: 'v1',
    desired: 1,
    isRunning: true,
    paused: 'none',
    createdAtMs: 0,
    updatedAtMs: 0,
    revision: 1,
    ...given,
  }
}

export const start = 1_700_000_000_000

export const wants = (replicas: number, scaler = 'load', reason = `${replicas} wanted`): VoteRecord => ({
  scaler,
  vote: { replicas, reason },
})
export const floor = (value: number, scaler = 'schedule'): VoteRecord => ({
  scaler,
  vote: { floor: value, reason: `at least ${value}` },
})
export const ceiling = (value: number, scaler = 'budget'): VoteRecord => ({
  scaler,
  vote: { ceiling: value, reason: `at most ${value}` },
})
export const holds = (scaler = 'load'): VoteRecord => ({
  scaler,
  vote: { hold: true, reason: 'no fresh metrics: rps' },
})
export const fails = (scaler = 'broken'): VoteRecord => ({
  scaler,
  error: { code: 'ORC_SANDBOX_TIMEOUT', message: 'no answer within 1000 ms' },
})

/** One pass over an app that was met long ago, so that only what the test sets holds anything back. */
export function inputOf(given: Partial<DecideInput> & Pick<DecideInput, 'current' | 'answers'>): DecideInput {
  const scaling = given.scaling ?? scalingOf()
  return {
    now: start,
    app: 'shop',
    scaling,
    paused: 'none',
    healthyReplicas: given.current,
    isDegraded: false,
    metrics: {},
    state: {
      size: given.current,
      anchor: { atMs: start - 3_600_000, replicas: given.current },
      highs: [],
      lows: [],
      changes: [],
      failingSinceMs: {},
      keptVotes: {},
    },
    ...given,
  }
}
