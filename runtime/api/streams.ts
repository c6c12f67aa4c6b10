/** Server-sent events: bounded in number, at the reader's pace, and over at once when the server closes. */
import type { Context } from 'hono'
import { streamSSE } from 'hono/streaming'
import { messageOf, OrchestryError } from '../errors.ts'
import type { ApiDeps, ApiEnv } from './deps.ts'
import { securityHeaders } from './reply.ts'

const streamsAtOnce = 64

export interface Message {
  /** Absent for `message`, which readers hear without knowing all names beforehand. */
  readonly event?: string
  readonly data: unknown
  readonly id?: string
}
export interface Sink {
  /** Resolves when the reader's connection has taken it. */
  send(message: Message): Promise<void>
  /** Keeps proxies and readers from giving up on a quiet stream. */
  beat(): Promise<void>
  /** Aborted when the reader has gone or the server closes. */
  readonly signal: AbortSignal
}
export interface Streams {
  open(c: Context<ApiEnv>, run: (sink: Sink) => Promise<void>): Response
}

export function createStreams({ log }: Pick<ApiDeps, 'log'>): Streams {
  let open = 0
  return {
    open(c, run) {
      if (open >= streamsAtOnce)
        throw new OrchestryError(
          'ORC_API_TOO_MANY_STREAMS',
          `${streamsAtOnce} event streams are open, which is the most there may be. Close one, or read the route without /stream.`,
        )
      open += 1
      for (const [name, value] of Object.entries(securityHeaders)) c.header(name, value)
      const gone = new AbortController()
      const leave = () => gone.abort()
      const closing = c.env?.closing
      closing?.addEventListener('abort', leave, { once: true })
      if (closing?.aborted) leave()
      return streamSSE(c, async (stream) => {
        stream.onAbort(leave)
        try {
          await run({
            signal: gone.signal,
            send: ({ event, data, id }) =>
              stream.writeSSE({
                data: JSON.stringify(data),
                ...(event !== undefined && { event }),
                ...(id !== undefined && { id }),
              }),
            beat: async () => void (await stream.write(': still here\n\n')),
          })
        } catch (thrown) {
          // The status line is long gone: the stream ends, and a reader comes back with its last id.
          log.warn({ path: c.req.path, cause: messageOf(thrown) }, 'an event stream ended early')
        } finally {
          open -= 1
          closing?.removeEventListener('abort', leave)
        }
      })
    },
  }
}
