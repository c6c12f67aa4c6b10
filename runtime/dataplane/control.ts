/** How the proxy process is driven: HTTP on a unix socket that only its owner can open. */
import { rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Upstream } from '@orchestry/sdk'
import { messageOf } from '../errors.ts'
import { limits } from '../limits.ts'
import type { Rotation } from './rotation.ts'
import type { ProxyServer } from './server.ts'

/** The answer to a ping: enough for a controller to know whether this process is the one it wants. */
export interface Pong {
  readonly pid: number
  readonly build: string
  /** Where traffic comes in; absent until told to listen. */
  readonly listening?: { readonly host: string; readonly port: number }
  readonly isDraining: boolean
  readonly active: number
  readonly generations: Readonly<Record<string, number>>
}

export interface ControlServer {
  listen(): Promise<void>
  close(): void
}

interface Deps {
  readonly socketPath: string
  readonly build: string
  readonly rotation: Rotation
  readonly proxy: ProxyServer
  /** Ends the process when everything under way is answered, at the latest after the time. */
  shutdown(graceMs: number): void
}

type Reply = { status: number; body?: unknown }
type Call = { path: string; rest: string; query: URLSearchParams; body: unknown }

export function createControlServer(deps: Deps): ControlServer {
  const { rotation, proxy, socketPath } = deps
  let isDraining = false

  const shutdown = (graceMs: number) => {
    isDraining = true
    // Given up at once, so that a successor finds the address and this socket's path free.
    server.close()
    deps.shutdown(graceMs)
  }

  const routes: Record<string, (call: Call) => Reply | Promise<Reply>> = {
    'GET ping': () => {
      const listening = proxy.address()
      const pong: Pong = {
        pid: process.pid,
        build: deps.build,
        ...(listening ? { listening } : {}),
        isDraining,
        active: proxy.active,
        generations: rotation.generations(),
      }
      return { status: 200, body: pong }
    },
    'GET traffic': () => ({ status: 200, body: rotation.samples() }),
    // Not a GET: what is told is told once.
    'POST signals': () => ({ status: 200, body: rotation.takeSignals() }),
    'PUT upstreams': ({ rest, body }) => {
      // Checked against its schema where it came from: here the schema library would cost every restart 150 ms.
      const upstream = body as Upstream
      if (upstream?.app !== rest) return { status: 400, body: { detail: 'The body is of another app than the path.' } }
      return { status: 200, body: { isTaken: rotation.apply(upstream) } }
    },
    'GET upstreams': ({ rest }) => {
      const status = rotation.status(rest)
      return status ? { status: 200, body: status } : { status: 404 }
    },
    'DELETE upstreams': ({ rest }) => ({ status: rotation.remove(rest) ? 200 : 404 }),
    'POST listen': async ({ query }) => {
      try {
        return { status: 200, body: { port: await proxy.listen(query.get('host') ?? '', Number(query.get('port'))) } }
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code
        return { status: code === 'EADDRINUSE' ? 409 : 422, body: { code, detail: messageOf(error) } }
      }
    },
    'POST shutdown': ({ query }) => {
      shutdown(Number(query.get('graceMs')) || 0)
      return { status: 202 }
    },
  }

  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const url = new URL(request.url ?? '/', 'http://dataplane')
    const [path = '', rest = ''] = url.pathname.slice(1).split('/').map(decodeURIComponent)
    // Never answered: that it ends is how a controller learns at once that this process has died.
    if (request.method === 'GET' && path === 'watch') {
      response.writeHead(200).flushHeaders()
      return
    }
    const route = routes[`${request.method} ${path}`]
    const body = await readJson(request)
    const reply = route ? await route({ path, rest, query: url.searchParams, body }) : { status: 404 }
    response.writeHead(reply.status, { 'content-type': 'application/json' }).end(JSON.stringify(reply.body ?? null))
  }

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      if (response.headersSent) return response.destroy()
      response.writeHead(400).end(JSON.stringify({ detail: messageOf(error) }))
    })
  })

  // Longer than the controller pauses between two pings.
  server.keepAliveTimeout = 60_000

  return {
    async listen() {
      // The controller has made sure that nobody listens here: what is left is of a dead process.
      await rm(socketPath, { force: true })
      // The socket must be nobody else's from its first moment.
      const umask = process.umask(0o177)
      try {
        await new Promise<void>((resolve, reject) => {
          server.once('error', reject).listen(socketPath, resolve)
        })
      } finally {
        process.umask(umask)
      }
    },
    close() {
      isDraining = true
      server.close()
    },
  }
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request) {
    bytes += (chunk as Buffer).length
    if (bytes > limits.apiBodyBytes) throw new Error('The body is too large.')
    chunks.push(chunk as Buffer)
  }
  return bytes === 0 ? undefined : JSON.parse(Buffer.concat(chunks).toString('utf8'))
}
