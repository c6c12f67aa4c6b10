/** Pure: somebody scales an app without the scalers. */
import type { AppRecord } from '../apps/app.ts'
import { OrchestryError } from '../errors.ts'
import type { NewDecision } from './decide.ts'
import { freshState, rebase, type ScalingState } from './state.ts'

/** @throws ORC_API_VALIDATION naming the bounds. */
export function checkSize({ app }: Pick<AppRecord, 'app'>, wanted: number): void {
  const { minReplicas, maxReplicas } = app.scaling
  if (Number.isInteger(wanted) && wanted >= minReplicas && wanted <= maxReplicas) return
  const detail =
    `${app.name} cannot have ${wanted} replicas: it must be a whole number from ${minReplicas} (scaling.minReplicas) ` +
    `to ${maxReplicas} (scaling.maxReplicas). Nothing was changed.`
  throw new OrchestryError('ORC_API_VALIDATION', detail, {
    problems: [{ path: '/replicas', message: `must be a whole number from ${minReplicas} to ${maxReplicas}` }],
  })
}

/** Both cooldowns start, so that the scalers do not undo in the next tick what a person has just done. */
export function scaleByHand(
  { app, desired }: Pick<AppRecord, 'app' | 'desired'>,
  wanted: number,
  reason: string,
  state: ScalingState | undefined,
  now: number,
): { decision: NewDecision; state: ScalingState } {
  const decision: NewDecision = {
    app: app.name,
    atMs: now,
    action: wanted > desired ? 'out' : wanted < desired ? 'in' : 'hold',
    from: desired,
    to: wanted,
    reason: reason || 'scaled by hand',
    votes: [],
    limits: [],
    metrics: {},
    by: 'operator',
  }
  const based = rebase(state ?? freshState(desired, now), wanted, now)
  return { decision, state: { ...based, lastOutMs: now, lastInMs: now } }
}
