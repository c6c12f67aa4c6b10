/** Many requests in one crossing: each has its own outcome, and what they bring is bounded together. */
import { codeOf, type ErrorCode, messageOf, OrchestryError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { Caller } from './capability.ts'
import { isRefusal } from './refusals.ts'

type Outcome<R> = { ok: true; response: R } | { ok: false; code: ErrorCode; message: string }

/**
 * Never rejects. Each answer is bounded by itself, but there can be thousands: those for which the ones before them left no
 * room fail with ORC_CAPABILITY_LIMIT. `what` begins that error, like `ctx.net`.
 */
export async function answerEach<Q, R>(
  requests: readonly Q[],
  answer: (request: Q) => Promise<R>,
  options: {
    what: string
    operation: string
    caller: Pick<Caller, 'onDenied'>
    charactersOf: (response: R) => number
  },
): Promise<Outcome<R>[]> {
  const { what, operation, caller, charactersOf } = options
  const most = limits.frameToGuestBytes
  let left: number = most
  const one = async (request: Q): Promise<Outcome<R>> => {
    try {
      const response = await answer(request)
      const characters = charactersOf(response)
      if (characters > left) throw tooMuch(what, most)
      left -= characters
      return { ok: true, response }
    } catch (thrown) {
      return { ok: false, ...failureOf(thrown, operation, caller) }
    }
  }
  return await Promise.all(requests.map(one))
}

/** What a guest gets of one that failed beside others. A refusal is a violation although the others go on. */
export function failureOf(
  thrown: unknown,
  operation: string,
  caller: Pick<Caller, 'onDenied'>,
): { code: ErrorCode; message: string } {
  const [code, message] = [codeOf(thrown), messageOf(thrown)]
  if (isRefusal(code)) caller.onDenied?.(operation, message)
  return { code, message }
}

const tooMuch = (what: string, most: number) =>
  new OrchestryError(
    'ORC_CAPABILITY_LIMIT',
    `${what}: the answers of one call are larger than ${most / 1024} KB together; ask for fewer at once`,
  )
