/** The listener that apps' traffic comes in through. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Clock } from '../clock.ts'
import { limits } from '../limits.ts'
import { createForward, type Exchange } from './forward.ts'
import { sendProblem } from './problem.ts'
import type { Rotation } from './rotation.ts'
import { isWebSocket, joinSockets, responseOn } from './upgrade.ts'

export interface ProxyServer {
  /** Rejects with the system's error when the address cannot be had. */
  listen(host: string, port: number): Promise<number>
  address(): { host: string; port: number } | undefined
  /** Requests under way, and open WebSockets. */
  readonly active: number
  /** Takes no new connections, and resolves when the last request has been answered or the time is over. */
  drain(graceMs: number): Promise<void>
}

const pollMs = 50

export function createProxyServer(deps: { rotation: Rotation; clock: Clock }): ProxyServer {
  const { rotation, clock } = deps
  const forward = createForward(deps)
  let active = 0
  let isDraining = false
  let address: { host: string; port: number } | undefined

  const receive = (
    request: IncomingMessage,
    response: ServerResponse,
    onUpgrade?: { socket: Duplex; handler: Exchange['onUpgrade'] },
  ) => {
    if (isDraining) response.shouldKeepAlive = false
    const { host, target } = addressed(request)
    const found = rotation.match(host, target)
    if (found === undefined)
      return sendProblem(response, 'ORC_DATAPLANE_NO_ROUTE', `No app has a route for ${host}${withoutQuery(target)}.`)
    if ('redirect' in found) {
      response.writeHead(308, { location: found.redirect, 'content-length': '0' }).end()
      return
    }
    const startedAtMs = clock.monotonic()
    const app = found.owner
    const exchange: Exchange = {
      app,
      request,
      response,
      host,
      path: found.path,
      prefix: found.prefix,
      startedAtMs,
      tried: new Set(),
      attempts: 0,
      isBodyTouched: false,
      isClientGone: false,
      ...(onUpgrade?.handler ? { onUpgrade: onUpgrade.handler } : {}),
    }
    active += 1
    app.traffic.opened(startedAtMs)
    // Of an upgraded connection the response ends early: its socket tells when it is over.
    const end = onUpgrade?.socket ?? response
    end.once('close', () => {
      active -= 1
      app.traffic.closed()
      if (response.writableFinished) return
      exchange.isClientGone = true
      exchange.abort?.(new Error('the client has gone'))
    })
    forward.send(exchange)
  }

  const server = createServer({
    // Uploads may take as long as they need; only header fields must come in time.
    requestTimeout: 0,
    headersTimeout: 30_000,
    keepAliveTimeout: 75_000,
    noDelay: true,
    shouldUpgradeCallback: isWebSocket,
  })
  server.maxConnections = limits.proxyConnections
  server.on('request', (request, response) => receive(request, response))
  server.on('checkContinue', (request, response) => receive(request, response))
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy())
    const response = responseOn(request, socket)
    const handler = isWebSocket(request) ? joinSockets(socket, head, response) : undefined
    receive(request, response, { socket, handler })
  })

  return {
    listen: (host, port) => {
      if (address) return Promise.resolve(address.port)
      return listen(server, host, port).then((taken) => {
        address = { host, port: taken }
        return taken
      })
    },
    address: () => address,
    get active() {
      return active
    },
    async drain(graceMs) {
      isDraining = true
      address = undefined
      server.close()
      const untilMs = clock.monotonic() + graceMs
      while (active > 0 && clock.monotonic() < untilMs) {
        server.closeIdleConnections()
        await clock.sleep(pollMs)
      }
      server.closeAllConnections()
    },
  }
}

function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port, backlog: 1024 }, () => {
      server.off('error', reject)
      // From here on an error is one connection that could not be accepted.
      server.on('error', () => {})
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : port)
    })
  })
}

/** Host and path of a request; a target in absolute form wins over the Host field (RFC 9112, 3.2.2). */
function addressed(request: IncomingMessage): { host: string; target: string } {
  const target = request.url ?? '/'
  const absolute = /^https?:\/\/([^/?#]*)(.*)$/i.exec(target)
  if (absolute === null) return { host: request.headers.host ?? '', target }
  const rest = absolute[2] ?? ''
  return { host: absolute[1] ?? '', target: rest.startsWith('/') ? rest : `/${rest}` }
}

function withoutQuery(target: string): string {
  return (target.split('?', 1)[0] ?? '').slice(0, 200)
}
