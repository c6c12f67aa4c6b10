/**
 * What goes out to the host and what comes back. Number and size are bounded here, where a flood costs nobody else anything,
 * and again in the host.
 */
import { limits } from '../../limits.ts'
import { stands } from './defences.ts'
import { createTable, defineProperty, GuestError, GuestPromise, parse, stringify } from './primordials.ts'

/** Sends one text out: `r` = answer of a call, `h` = host call. False when its bytes are more than a frame may have. */
export type Post = (kind: 'r' | 'h', call: number, request: number, operation: string, json: string) => boolean

type Pending = { resolve: (value: unknown) => void; reject: (error: unknown) => void }
/** Of one hook call that is under way: the host calls it has made, and the characters of all their arguments. */
type Spent = { hostCalls: number; characters: number }

const isCounted = stands('counted-host-calls')
const isEachBounded = stands('bounded-arguments')
const isTotalBounded = stands('bounded-argument-total')
const doesEnd = stands('calls-that-are-over')

export function createHostCalls(post: Post, hostCallLimit: number, outLimit: number) {
  const underWay = createTable<number, Spent>()
  const pending = createTable<number, Pending>()
  let nextRequest = 1

  function spend(spent: Spent, json: string): boolean {
    if (isTotalBounded && spent.characters + json.length > limits.hostCallCharacters) return false
    spent.characters += json.length
    return true
  }

  const hasCallsLeft = (spent: Spent) => !isCounted || spent.hostCalls < hostCallLimit
  const fits = (json: string) => !isEachBounded || json.length <= outLimit

  return {
    begin: (call: number) => underWay.set(call, { hostCalls: 0, characters: 0 }),
    end(call: number): void {
      if (doesEnd) underWay.delete(call)
    },
    isUnderWay: (call: number) => underWay.has(call),

    ask(call: number, operation: string, args: unknown[]): Promise<unknown> {
      const spent = underWay.get(call)
      // Nobody may act in the name of a call that was answered; the host takes whoever tries for a forgery.
      if (spent === undefined) return refused(`${operation}: its hook call is over`)
      if (!hasCallsLeft(spent)) {
        throw new GuestError(`${operation}: more than ${hostCallLimit} host calls in one call (limits.hostCalls)`)
      }
      spent.hostCalls += 1
      const json = stringify(args)
      const tooLarge = `${operation}: arguments larger than limits.outKb`
      if (!fits(json)) throw new GuestError(tooLarge)
      if (!spend(spent, json)) throw new GuestError(`${operation}: more arguments in one call than a plugin may send`)
      const request = nextRequest
      nextRequest += 1
      const answer = new GuestPromise((resolve, reject) => pending.set(request, { resolve, reject }))
      if (post('h', call, request, operation, json)) return answer
      pending.delete(request)
      throw new GuestError(tooLarge)
    },

    /** Log lines want no answer: nothing waits, nothing is kept. */
    tell(call: number, operation: string, args: unknown[]): void {
      const spent = underWay.get(call)
      if (spent === undefined || !hasCallsLeft(spent)) return
      spent.hostCalls += 1
      const json = stringify(args)
      if (fits(json) && spend(spent, json)) post('h', call, 0, operation, json)
    },

    /** The host's answer to one host call. */
    deliver(request: number, isOk: boolean, json: string): void {
      const waiting = pending.get(request)
      if (waiting === undefined) return
      pending.delete(request)
      const value = json === '' ? undefined : parse(json)
      if (isOk) return waiting.resolve(value)
      const { code, message } = value as { code: string; message: string }
      waiting.reject(coded(code, message))
    },
  }
}
export type HostCalls = ReturnType<typeof createHostCalls>

function coded(code: string, message: string): Error {
  return defineProperty(new GuestError(message), 'code', { value: code, enumerable: true })
}

const refused = (message: string): Promise<never> =>
  new GuestPromise((_resolve, reject) => reject(coded('ORC_CAPABILITY_DENIED', message)))
