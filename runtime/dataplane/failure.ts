/** Why an attempt failed, what the client is told, and whether the request may safely go to another endpoint. Pure. */
import { type ErrorCode, messageOf } from '../errors.ts'

export interface Failure {
  /** `refused` and `connectTimeout`: not a byte was sent. `died`: the connection ended before an answer began. */
  readonly kind: 'refused' | 'connectTimeout' | 'died' | 'slow' | 'garbled' | 'invalid'
  readonly code: ErrorCode
  detail(app: string, attempts: number): string
}

const idempotent = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])
const died = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE', 'ECONNABORTED'])

/** `isSent`: the request was being written when it failed. */
export function failureOf(error: unknown, isSent: boolean): Failure {
  const code = (error as { code?: unknown } | null)?.code
  const because = messageOf(error)
  if (code === 'UND_ERR_INVALID_ARG' || code === 'UND_ERR_NOT_SUPPORTED')
    return {
      kind: 'invalid',
      code: 'ORC_DATAPLANE_REQUEST_INVALID',
      detail: () => `The request cannot be forwarded: ${because}.`,
    }
  if (code === 'UND_ERR_CONNECT_TIMEOUT')
    return {
      kind: 'connectTimeout',
      code: 'ORC_DATAPLANE_ENDPOINT_TIMEOUT',
      detail: (app, attempts) => `No replica of ${app} accepted a connection in time (${attempts} tried).`,
    }
  if (!isSent)
    return {
      kind: 'refused',
      code: 'ORC_DATAPLANE_ENDPOINT_FAILED',
      detail: (app, attempts) => `No replica of ${app} accepted a connection (${attempts} tried): ${because}.`,
    }
  if (code === 'UND_ERR_HEADERS_TIMEOUT')
    return {
      kind: 'slow',
      code: 'ORC_DATAPLANE_ENDPOINT_TIMEOUT',
      detail: (app) => `The replica of ${app} took the request and began no answer in time.`,
    }
  return {
    kind: typeof code === 'string' && died.has(code) ? 'died' : 'garbled',
    code: 'ORC_DATAPLANE_ENDPOINT_FAILED',
    detail: (app) => `The replica of ${app} took the request and gave no valid answer: ${because}.`,
  }
}

/**
 * Any request may be repeated while nothing of it has left us. Once it may have been seen, only one whose method promises that
 * twice is as good as once. A body that was begun cannot be sent again: it is not kept.
 */
export function mayRetry(
  failure: Pick<Failure, 'kind'>,
  exchange: { readonly isBodyTouched: boolean; readonly request: { readonly method?: string | undefined } },
): boolean {
  if (exchange.isBodyTouched) return false
  if (failure.kind === 'refused' || failure.kind === 'connectTimeout') return true
  return failure.kind === 'died' && idempotent.has(exchange.request.method ?? '')
}
