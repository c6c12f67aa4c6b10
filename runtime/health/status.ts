/** The health of one replica as a state machine: pure, `now` comes with every answer. */
import type { HealthCheck, HealthResult } from '@orchestry/sdk'
import type { HealthState } from './health.ts'

/** Between two probes of a replica that has not been healthy yet, so that it enters rotation soon after it answers. */
const eagerPeriodMs = 150
/** Of the period, either way, so that replicas started together are not probed together for ever. */
const jitterShare = 0.1
const leastSettlingShare = 0.1
/** All that run are to be known well before those that wait for it stop waiting. */
const longestAdoptionMs = 500
const adoptionStepMs = 5

/** How many equal answers in a row it takes; the first decisive answer counts alone, unless the replica is known to serve. */
export interface Thresholds {
  readonly rise: number
  readonly fall: number
  readonly firstFall: number
}

/** An adopted replica has served before: one failed probe must not take it out of rotation. */
export function thresholdsOf(check: HealthCheck, isAdopted: boolean): Thresholds {
  return {
    rise: check.successThreshold,
    fall: check.failureThreshold,
    firstFall: isAdopted ? check.failureThreshold : 1,
  }
}

export function initialState(nowMs: number): HealthState {
  return { status: 'unknown', sinceMs: nowMs, streak: 0 }
}

/** The state after one answer. `unknown` changes neither status nor streak: only a decisive answer can. */
export function observe(state: HealthState, result: HealthResult, nowMs: number, thresholds: Thresholds): HealthState {
  const last = { ...result, atMs: nowMs }
  if (result.status === 'unknown') {
    return { ...state, last, problem: result.message ?? 'The health check gave no answer.' }
  }
  const { problem: _mended, ...kept } = state
  if (result.status === state.status) return { ...kept, last, streak: 0 }
  const streak = state.streak + 1
  if (streak < needed(state.status, result.status, thresholds)) return { ...kept, last, streak }
  return { status: result.status, sinceMs: nowMs, streak: 0, last }
}

/** The state when the check could not be made at all: the replica keeps what it had. */
export function withProblem(state: HealthState, problem: string): HealthState {
  return { ...state, problem }
}

function needed(from: HealthState['status'], to: 'healthy' | 'unhealthy', thresholds: Thresholds): number {
  if (from === 'unknown') return to === 'healthy' ? 1 : thresholds.firstFall
  return to === 'healthy' ? thresholds.rise : thresholds.fall
}

/** How long until the first probe of a replica that is `ageMs` old. */
export function firstDelayMs(check: HealthCheck, ageMs: number): number {
  return Math.max(0, check.initialDelaySeconds * 1000 - ageMs)
}

/** Put before the first probe of one that ran before us, `among` so many: few are probed at once, many spread over half a second. */
export function adoptionDelayMs(among: number, chance: number): number {
  return Math.min(longestAdoptionMs, (among - 1) * adoptionStepMs) * chance
}

/** How long until the next probe. `chance` in [0, 1) spreads the period; `isStarting`: not healthy yet, within its budget. */
export function nextDelayMs(check: HealthCheck, isStarting: boolean, chance: number): number {
  const { periodSeconds, startup } = check
  if (isStarting && !startup) return Math.min(eagerPeriodMs, periodSeconds * 1000)
  const periodMs = (isStarting && startup ? startup.periodSeconds : periodSeconds) * 1000
  return periodMs * (1 + jitterShare * (2 * chance - 1))
}

/** The first pause of one that has come up: anywhere within its period, so that those that came up together part at once. */
export function settlingDelayMs(check: HealthCheck, chance: number): number {
  return check.periodSeconds * 1000 * (leastSettlingShare + (1 - leastSettlingShare) * chance)
}

/** The check as it is made now: while a replica starts, an answer may take as long as `startup` says. */
export function presentCheck(check: HealthCheck, isStarting: boolean): HealthCheck {
  return isStarting && check.startup ? { ...check, timeoutSeconds: check.startup.timeoutSeconds } : check
}
