/** Pure: turns what the scalers answered in this tick into votes to combine, with the memory that this needs. */
import type { Scaling } from '../apps/app.ts'
import type { VoteRecord } from './decision.ts'
import { emptyRecord, type KeptVote, type ScalingState } from './state.ts'

export interface Gathered {
  readonly votes: readonly VoteRecord[]
  readonly failingSinceMs: ScalingState['failingSinceMs']
  readonly keptVotes: ScalingState['keptVotes']
}

/**
 * A scaler that has failed for `fallback.afterSeconds` without a break gets its fallback. A vote with `ttlSeconds` stands in,
 * beside the error, for a scaler that fails before the time is over: it goes on asking for what it asked, while the error
 * goes on vetoing scale-in. An answer of any kind replaces it.
 */
export function gather(
  answers: readonly VoteRecord[],
  state: Pick<ScalingState, 'failingSinceMs' | 'keptVotes'>,
  fallback: Scaling['fallback'],
  now: number,
): Gathered {
  let failingSinceMs: Record<string, number> | undefined
  let keptVotes: Record<string, KeptVote> | undefined
  let votes: VoteRecord[] | undefined
  for (const [index, answer] of answers.entries()) {
    if ('error' in answer) {
      votes ??= answers.slice(0, index)
      const sinceMs = Math.min(state.failingSinceMs[answer.scaler] ?? now, now)
      failingSinceMs ??= {}
      failingSinceMs[answer.scaler] = sinceMs
      const isOver = fallback !== undefined && now - sinceMs >= fallback.afterSeconds * 1000
      votes.push(isOver ? { ...answer, fallback: fallback.replicas } : answer)
      const kept = state.keptVotes[answer.scaler]
      if (kept !== undefined && kept.untilMs > now) {
        keptVotes ??= {}
        keptVotes[answer.scaler] = kept
        votes.push({ scaler: answer.scaler, vote: kept.vote })
      }
      continue
    }
    votes?.push(answer)
    if ('ttlSeconds' in answer.vote && answer.vote.ttlSeconds) {
      keptVotes ??= {}
      keptVotes[answer.scaler] = { vote: answer.vote, untilMs: now + answer.vote.ttlSeconds * 1000 }
    }
  }
  return {
    votes: votes ?? answers,
    failingSinceMs: failingSinceMs ?? emptyRecord,
    keptVotes: keptVotes ?? emptyRecord,
  }
}
