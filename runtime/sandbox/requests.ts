/**
 * Everything asked of one sandbox process that has not been answered. Each request is settled exactly once: by its answer, by
 * its deadline, or by the death of the process.
 */
import type { ErrorCode } from '../errors.ts'
import type { Spender } from './cpu-watch.ts'
import type { FailureKind } from './protocol.ts'

/** `cpuMs`: of an answer what the sandbox process says, of a failure what the host charged it with. */
export type Reply =
  | { readonly ok: true; readonly body: string; readonly cpuMs: number }
  | { readonly ok: false; readonly code: ErrorCode; readonly message: string; readonly cpuMs: number }

/** What a request was for, so that a fault can be blamed. */
export interface Purpose {
  readonly instance?: string
  readonly hook?: string
  readonly app?: string
}

/** A request as the watch over processor time sees it. */
export interface OpenRequest extends Spender {
  readonly purpose: Purpose
}

export interface Asked {
  readonly purpose: Purpose
  readonly timeoutMs: number
  /** Processor time it may take; without it the deadline alone is its bound. */
  readonly cpuLimitMs?: number
}

export interface Requests {
  readonly size: number
  /** `send` gets the id to send under. Resolves always. `onOverdue` is called when the deadline passed without an answer. */
  ask(asked: Asked, send: (id: number) => void): Promise<Reply>
  has(id: number): boolean
  purposeOf(id: number): Purpose | undefined
  /** It runs no longer but awaits something. */
  setAwaiting(id: number): void
  open(): OpenRequest[]
  /** How long nothing was asked, and the time of all requests added up, since the process was taken. */
  times(): { idleMs: number; askedMs: number }
  /** Whom a death is to be blamed on: what runs, where it is one instance alone. */
  suspect(): Purpose
  /** False when there is no such request: an answer to a call never made, or a second one. */
  answer(id: number, body: string, cpuMs: number): boolean
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

type Settled = { ok: true; body: string; cpuMs: number } | { ok: false; code: ErrorCode; message: string }
interface Entry extends OpenRequest {
  isAwaiting: boolean
  readonly settle: (reply: Reply) => void
  readonly timer: NodeJS.Timeout
}

export function createRequests(onOverdue: (purpose: Purpose, timeoutMs: number) => void): Requests {
  const open = new Map<number, Entry>()
  let nextId = 1
  let countedMs = performance.now()
  let idleMs = 0
  let askedMs = 0

  /** Before each change of what is open. */
  function count(nowMs: number): void {
    const tookMs = nowMs - countedMs
    countedMs = nowMs
    if (open.size === 0) idleMs += tookMs
    else askedMs += tookMs * open.size
  }

  const settle = (id: number, reply: Settled): boolean => {
    const request = open.get(id)
    if (request === undefined) return false
    count(performance.now())
    open.delete(id)
    clearTimeout(request.timer)
    request.settle(reply.ok ? reply : { ...reply, cpuMs: request.cpuMs })
    return true
  }

  return {
    get size() {
      return open.size
    },
    ask({ purpose, timeoutMs, cpuLimitMs }, send) {
      const id = nextId
      nextId += 1
      return new Promise((resolve) => {
        const timer = setTimeout(() => {
          settle(id, { ok: false, ...failures.timeout })
          onOverdue(purpose, timeoutMs)
        }, timeoutMs + graceMs)
        const startedMs = performance.now()
        count(startedMs)
        open.set(id, { purpose, startedMs, cpuLimitMs, cpuMs: 0, isAwaiting: false, settle: resolve, timer })
        send(id)
      })
    },
    has: (id) => open.has(id),
    purposeOf: (id) => open.get(id)?.purpose,
    setAwaiting(id) {
      const request = open.get(id)
      if (request !== undefined) request.isAwaiting = true
    },
    open: () => [...open.values()],
    times() {
      count(performance.now())
      return { idleMs, askedMs }
    },
    suspect() {
      const all = [...open.values()]
      const running = all.filter(({ isAwaiting }) => !isAwaiting)
      const [first, ...others] = running.length > 0 ? running : all
      const isAlone = others.every(({ purpose }) => purpose.instance === first?.purpose.instance)
      return first !== undefined && isAlone ? first.purpose : {}
    },
    answer: (id, body, cpuMs) => settle(id, { ok: true, body, cpuMs }),
    fail: (id, kind) => settle(id, { ok: false, ...failures[kind] }),
    failAll(code, message, of = () => true) {
      for (const [id, { purpose }] of open) if (of(purpose)) settle(id, { ok: false, code, message })
    },
  }
}
