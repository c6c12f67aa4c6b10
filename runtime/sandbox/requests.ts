/**
 * Everything asked of one sandbox process that has not been answered. Each request is settled exactly once: by its answer, by
 * its deadline, or by the death of the process.
 */
import type { ErrorCode } from '../errors.ts'
import type { FailureKind } from './protocol.ts'

export type Reply =
  | { readonly ok: true; readonly body: string }
  | { readonly ok: false; readonly code: ErrorCode; readonly message: string }

/** What a request was for, so that a fault can be blamed. */
export interface Purpose {
  readonly instance?: string
  readonly hook?: string
}

export interface Requests {
  readonly size: number
  /** `send` gets the id to send under. Resolves always. `onOverdue` is called when the deadline passed without an answer. */
  ask(purpose: Purpose, timeoutMs: number, send: (id: number) => void): Promise<Reply>
  has(id: number): boolean
  purposeOf(id: number): Purpose | undefined
  /** What the oldest open request was for: the likeliest culprit of a death. */
  oldest(): Purpose | undefined
  /** False when there is no such request: an answer to a call never made, or a second one. */
  answer(id: number, body: string): boolean
  fail(id: number, kind: FailureKind): boolean
  failAll(code: ErrorCode, message: string, of?: (purpose: Purpose) => boolean): void
}

/** The process is killed this long after a deadline that it did not keep itself. */
export const graceMs = 50

const failures: Record<FailureKind, { code: ErrorCode; message: string }> = {
  guest: { code: 'ORC_SANDBOX_GUEST_ERROR', message: 'the plugin threw' },
  timeout: { code: 'ORC_SANDBOX_TIMEOUT', message: 'the plugin did not answer before its deadline' },
  memory: { code: 'ORC_SANDBOX_OUT_OF_MEMORY', message: 'the plugin used more memory than its limit' },
  tooLarge: { code: 'ORC_SANDBOX_RESULT_TOO_LARGE', message: 'the plugin answered more than its limit' },
  gone: { code: 'ORC_SANDBOX_CRASHED', message: 'the isolate of the plugin ended' },
}

export const failureCode = (kind: FailureKind): ErrorCode => failures[kind].code
export const failureMessage = (kind: FailureKind): string => failures[kind].message

export function createRequests(onOverdue: (purpose: Purpose, timeoutMs: number) => void): Requests {
  const open = new Map<number, { purpose: Purpose; settle: (reply: Reply) => void; timer: NodeJS.Timeout }>()
  let nextId = 1

  const settle = (id: number, reply: Reply): boolean => {
    const request = open.get(id)
    if (request === undefined) return false
    open.delete(id)
    clearTimeout(request.timer)
    request.settle(reply)
    return true
  }

  return {
    get size() {
      return open.size
    },
    ask(purpose, timeoutMs, send) {
      const id = nextId
      nextId += 1
      return new Promise((resolve) => {
        const timer = setTimeout(() => {
          settle(id, { ok: false, ...failures.timeout })
          onOverdue(purpose, timeoutMs)
        }, timeoutMs + graceMs)
        open.set(id, { purpose, settle: resolve, timer })
        send(id)
      })
    },
    has: (id) => open.has(id),
    purposeOf: (id) => open.get(id)?.purpose,
    oldest: () => open.values().next().value?.purpose,
    answer: (id, body) => settle(id, { ok: true, body }),
    fail: (id, kind) => settle(id, { ok: false, ...failures[kind] }),
    failAll(code, message, of = () => true) {
      for (const [id, { purpose }] of open) if (of(purpose)) settle(id, { ok: false, code, message })
    },
  }
}
