/** The body of a request, read from the client only when an endpoint is there to take it. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'

interface BodyOwner {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  isBodyTouched: boolean
}

export function hasBody({ headers }: Pick<IncomingMessage, 'headers'>): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

/**
 * Null when the request has no body. Each attempt gets a stream of its own: the first read marks the body as touched and, where
 * the client waits for it, says `100 Continue`. So a refused connection costs the client nothing, and can be tried elsewhere.
 */
export function requestBody(owner: BodyOwner): Readable | null {
  const { request } = owner
  if (!hasBody(request)) return null
  let isFlowing = false
  const begin = (body: Readable) => {
    isFlowing = true
    owner.isBodyTouched = true
    if (request.headers.expect?.toLowerCase() === '100-continue') owner.response.writeContinue()
    request.on('data', onData).once('end', onEnd).on('error', onError)
    body.once('close', () => {
      // Its error keeps a listener: one that is on its way would otherwise find nobody and end the process.
      request.off('data', onData).off('end', onEnd)
      // What the endpoint did not want is read and dropped, so that the connection can go on.
      request.resume()
    })
  }
  const onData = (chunk: Buffer) => {
    if (!body.push(chunk)) request.pause()
  }
  const onEnd = () => body.push(null)
  const onError = (error: Error) => body.destroy(error)
  const body = new Readable({
    read() {
      if (isFlowing) request.resume()
      else begin(this)
    },
  })
  // Nobody listens when an attempt ended before its body was asked for.
  body.on('error', () => {})
  return body
}
