/** What the answers of one crossing may hold together: each is bounded, but there can be thousands of them. */
import { OrchestryError } from '../errors.ts'
import { limits } from '../limits.ts'

export interface AnswerBudget {
  /** @throws ORC_CAPABILITY_LIMIT when the answers before it have left no room for this one. */
  take(characters: number): void
}

export function createAnswerBudget(what: string): AnswerBudget {
  const most = limits.frameToGuestBytes
  let left: number = most
  return {
    take(characters) {
      if (characters > left)
        throw new OrchestryError(
          'ORC_CAPABILITY_LIMIT',
          `${what}: the answers of one call are larger than ${most / 1024} KB together; ask for fewer at once`,
        )
      left -= characters
    },
  }
}
