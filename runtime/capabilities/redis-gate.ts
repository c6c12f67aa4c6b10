/**
 * Reads along what a Redis server answers, before anything is kept of it: how long, how many and how deep its replies say
 * they are. Speaks RESP2 only, which is what we ask for.
 */
import { OrchestryError } from '../errors.ts'

/** What the replies to one operation may still take, together. */
export interface ReplyBudget {
  bytesLeft: number
  elementsLeft: number
}

export interface ReplyGate {
  /** One reply is due, behind those that are due already. */
  expect(budget: ReplyBudget): void
  /** Throws ORC_CAPABILITY_LIMIT, or ORC_CAPABILITY_FAILED for what is no reply or was not asked for. */
  take(chunk: Buffer): void
}

const deepest = 8
const lineBytes = 4 * 1024
const lineFeed = 10

export const createBudget = (bytes: number): ReplyBudget => ({ bytesLeft: bytes, elementsLeft: 65_536 })

export function createReplyGate(): ReplyGate {
  const due: ReplyBudget[] = []
  /** How many elements are still to come, of each array that we are inside of. */
  const open: number[] = []
  let line = ''
  let bulkLeft = 0

  const budget = (): ReplyBudget => {
    const [current] = due
    if (current === undefined) throw failed('the server sent what nobody asked for')
    return current
  }

  function charge(bytes: number): void {
    const current = budget()
    current.bytesLeft -= bytes
    if (current.bytesLeft < 0) throw tooMuch('larger than maxReplyKb')
  }

  /** A value is whole: the last of its array perhaps, which is then whole too. */
  function ended(): void {
    for (;;) {
      const left = open.pop()
      if (left === undefined) {
        due.shift()
        return
      }
      if (left > 1) {
        open.push(left - 1)
        return
      }
    }
  }

  function readHeader(): void {
    const [kind, rest] = [line[0], line.slice(1, -2)]
    if (!line.endsWith('\r\n')) throw failed('the server does not speak RESP2')
    line = ''
    if (kind === '+' || kind === '-') return ended()
    const count = /^[+-]?\d{1,19}$/.test(rest) ? Number(rest) : Number.NaN
    if (Number.isNaN(count)) throw failed('the server does not speak RESP2')
    if (kind === ':' || ((kind === '$' || kind === '*') && count === -1)) return ended()
    if (count < 0) throw failed('the server does not speak RESP2')
    if (kind === '$') {
      if (count > budget().bytesLeft) throw tooMuch('larger than maxReplyKb')
      bulkLeft = count + 2
    } else if (kind === '*') {
      const current = budget()
      current.elementsLeft -= count
      if (current.elementsLeft < 0) throw tooMuch('of too many elements')
      if (count === 0) return ended()
      if (open.length >= deepest) throw tooMuch(`nested deeper than ${deepest}`)
      open.push(count)
    } else throw failed('the server does not speak RESP2')
  }

  return {
    expect: (expected) => void due.push(expected),
    take(chunk) {
      for (let at = 0; at < chunk.length; ) {
        if (bulkLeft > 0) {
          const taken = Math.min(bulkLeft, chunk.length - at)
          charge(taken)
          bulkLeft -= taken
          at += taken
          if (bulkLeft === 0) ended()
          continue
        }
        const end = chunk.indexOf(lineFeed, at)
        const next = end === -1 ? chunk.length : end + 1
        charge(next - at)
        if (line.length + next - at > lineBytes) throw tooMuch('a line longer than any of Redis')
        line += chunk.toString('latin1', at, next)
        at = next
        if (end !== -1) readHeader()
      }
    },
  }
}

const tooMuch = (how: string) =>
  new OrchestryError('ORC_CAPABILITY_LIMIT', `ctx.redis: the reply is ${how}; the connection was closed`)
const failed = (why: string) => new OrchestryError('ORC_CAPABILITY_FAILED', `ctx.redis: ${why}`)
