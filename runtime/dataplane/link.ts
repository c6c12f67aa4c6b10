/** The controller's end of the control socket: every call bounded in time. */
import type { EndpointSignal, Sample, Upstream, UpstreamStatus } from '@orchestry/sdk'
import { Client, Pool } from 'undici'
import { OrchestryError } from '../errors.ts'
import type { Pong } from './control.ts'

export interface Link {
  ping(): Promise<Pong>
  put(upstream: Upstream): Promise<void>
  remove(app: string): Promise<void>
  status(app: string): Promise<UpstreamStatus | null>
  traffic(): Promise<Sample[]>
  signals(): Promise<EndpointSignal[]>
  /** The port it listens on, or the system's code of why it cannot. */
  listen(host: string, port: number): Promise<{ port: number } | { code: string; detail: string }>
  shutdown(graceMs: number): Promise<void>
  /** Calls back once, as soon as the process has ended or closed its end. */
  watch(onEnded: () => void): void
  close(): void
}

const callTimeoutMs = 2_000
const pingTimeoutMs = 1_000

export function createLink(socketPath: string): Link {
  const calls = new Pool('http://dataplane', {
    socketPath,
    connections: 4,
    connect: { timeout: callTimeoutMs },
    headersTimeout: callTimeoutMs,
    bodyTimeout: callTimeoutMs,
  })
  const watcher = new Client('http://dataplane', { socketPath, headersTimeout: callTimeoutMs, bodyTimeout: 0 })
  let isClosed = false

  const call = async (
    method: 'GET' | 'PUT' | 'POST' | 'DELETE',
    path: string,
    body?: unknown,
    timeoutMs = callTimeoutMs,
  ) => {
    try {
      const response = await calls.request({
        method,
        path,
        signal: AbortSignal.timeout(timeoutMs),
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      return { status: response.statusCode, body: (await response.body.json()) as unknown }
    } catch (error) {
      // The cause may name paths, and this text reaches plugins.
      throw new OrchestryError(
        'ORC_DATAPLANE_UNAVAILABLE',
        'The proxy process does not answer. It is restarted when it is gone, and told again all that it should know.',
        { cause: error },
      )
    }
  }
  const expect = (what: string, answer: { status: number; body: unknown }, ...allowed: number[]): unknown => {
    if (allowed.includes(answer.status)) return answer.body
    const detail = (answer.body as { detail?: string } | null)?.detail ?? `status ${answer.status}`
    throw new OrchestryError('ORC_DATAPLANE_UNAVAILABLE', `The proxy process refused to ${what}: ${detail}`)
  }
  const pathOf = (app: string) => `/upstreams/${encodeURIComponent(app)}`

  return {
    ping: async () => expect('answer a ping', await call('GET', '/ping', undefined, pingTimeoutMs), 200) as Pong,
    async put(upstream) {
      expect(`take the upstream of ${upstream.app}`, await call('PUT', pathOf(upstream.app), upstream), 200)
    },
    async remove(app) {
      expect(`drop the upstream of ${app}`, await call('DELETE', pathOf(app)), 200, 404)
    },
    async status(app) {
      return expect(`tell the status of ${app}`, await call('GET', pathOf(app)), 200, 404) as UpstreamStatus | null
    },
    traffic: async () => expect('tell the traffic', await call('GET', '/traffic'), 200) as Sample[],
    signals: async () => expect('tell of its endpoints', await call('POST', '/signals'), 200) as EndpointSignal[],
    async listen(host, port) {
      const answer = await call('POST', `/listen?host=${encodeURIComponent(host)}&port=${port}`)
      return expect('listen', answer, 200, 409, 422) as { port: number } | { code: string; detail: string }
    },
    async shutdown(graceMs) {
      expect('end', await call('POST', `/shutdown?graceMs=${graceMs}`), 202)
    },
    watch(onEnded) {
      const ended = () => {
        if (!isClosed) onEnded()
      }
      watcher
        .request({ method: 'GET', path: '/watch' })
        .then(async ({ body }) => {
          for await (const _ of body);
        })
        .then(ended, ended)
    },
    close() {
      isClosed = true
      for (const dispatcher of [calls, watcher]) dispatcher.destroy().catch(() => {})
    },
  }
}
