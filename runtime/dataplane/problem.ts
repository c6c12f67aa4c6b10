/** What a client gets when there is no answer to pass on: problem+json that says why. */
import type { ServerResponse } from 'node:http'
import { catalogue, type ErrorCode } from '../errors.ts'

/** `fields` are further header fields, such as Retry-After. Does nothing when an answer has begun. */
export function sendProblem(
  response: ServerResponse,
  code: ErrorCode,
  detail: string,
  fields: Record<string, string> = {},
): void {
  if (response.headersSent || response.destroyed) return
  const { status, title, fault } = catalogue[code]
  const body = JSON.stringify({ type: 'about:blank', title, status, code, detail, fault })
  response.writeHead(status, {
    'content-type': 'application/problem+json',
    'content-length': String(Buffer.byteLength(body)),
    'cache-control': 'no-store',
    ...fields,
  })
  response.end(response.req.method === 'HEAD' ? undefined : body)
}
