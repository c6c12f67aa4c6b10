/** Pure: many votes become one wanted size. */
import type { Limit, VoteRecord } from './decision.ts'

export interface Combined {
  /** Absent when nobody said anything about the size. */
  readonly wanted?: number
  /** Scaler whose vote won. */
  readonly winner?: string
  readonly reason: string
  readonly limits: readonly Limit[]
  /** What the failing scalers said, for people; absent when none fails without a fallback. */
  readonly failure?: string
}

/**
 * min(ceilings, max(replicas, floors)). Floors and ceilings are bounds, not sizes: as long as somebody has no opinion (a hold,
 * an error) and nobody votes a size, a floor only ever raises and a ceiling only ever lowers what is there.
 */
export function combine(votes: readonly VoteRecord[], current: number): Combined {
  let size: number | undefined
  let sizeBy: Pick<Combined, 'winner' | 'reason'> | undefined
  let floor: { value: number; scaler: string; reason: string } | undefined
  let ceiling: { value: number; scaler: string; reason: string } | undefined
  let hold: string | undefined
  let failure: string | undefined
  for (const record of votes) {
    const { scaler } = record
    if ('error' in record) {
      if (record.fallback === undefined) {
        failure ??= `scaler ${scaler} failed (${record.error.code}): ${record.error.message}`
      } else if (size === undefined || record.fallback > size) {
        size = record.fallback
        sizeBy = { winner: scaler, reason: `${scaler} has failed for too long: its fallback is ${replicas(size)}` }
      }
      continue
    }
    const { vote } = record
    if ('hold' in vote) hold ??= vote.reason
    else if ('replicas' in vote) {
      if (size !== undefined && vote.replicas <= size) continue
      size = vote.replicas
      sizeBy = { winner: scaler, reason: vote.reason }
    } else if ('floor' in vote) {
      if (floor === undefined || vote.floor > floor.value) floor = { value: vote.floor, scaler, reason: vote.reason }
    } else if (ceiling === undefined || vote.ceiling < ceiling.value) {
      ceiling = { value: vote.ceiling, scaler, reason: vote.reason }
    }
  }
  const shared = failure === undefined ? {} : { failure }
  if (size === undefined && floor === undefined && ceiling === undefined) {
    return { reason: hold ?? failure ?? 'no scaler is named for this app and none is installed', limits: [], ...shared }
  }

  const limits: Limit[] = []
  const isFloorAlone = size === undefined && ceiling === undefined && hold === undefined && failure === undefined
  let wanted = size ?? (isFloorAlone && floor !== undefined ? floor.value : current)
  let won = sizeBy ?? (isFloorAlone && floor !== undefined ? { winner: floor.scaler, reason: floor.reason } : undefined)
  if (floor !== undefined && floor.value > wanted) {
    limits.push({ kind: 'floor', from: wanted, to: floor.value, reason: floor.reason })
    won = { winner: floor.scaler, reason: floor.reason }
    wanted = floor.value
  }
  if (ceiling !== undefined && ceiling.value < wanted) {
    limits.push({ kind: 'ceiling', from: wanted, to: ceiling.value, reason: ceiling.reason })
    won = { winner: ceiling.scaler, reason: ceiling.reason }
    wanted = ceiling.value
  }
  return {
    wanted,
    reason: hold ?? failure ?? 'the size lies within the floors and ceilings',
    ...won,
    limits,
    ...shared,
  }
}

export function replicas(count: number): string {
  return count === 1 ? '1 replica' : `${count} replicas`
}
