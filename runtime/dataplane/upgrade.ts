/** WebSockets: after the endpoint's 101 two sockets are joined, and count as one active connection until either ends. */
import { type IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { type Duplex, pipeline } from 'node:stream'
import type { Dispatcher } from 'undici'
import { responseHeaders } from './headers.ts'

type OnUpgrade = NonNullable<Dispatcher.DispatchHandler['onRequestUpgrade']>

/** Only WebSockets; anyone may ignore other upgrades, and old clients that offer h2c expect a plain answer. */
export function isWebSocket(request: IncomingMessage): boolean {
  return request.method === 'GET' && request.headers.upgrade?.toLowerCase() === 'websocket'
}

/** An ordinary response on the raw socket, for an endpoint that refuses the upgrade and for our own problems. */
export function responseOn(request: IncomingMessage, socket: Duplex): ServerResponse {
  const response = new ServerResponse(request)
  response.shouldKeepAlive = false
  if (socket instanceof Socket) response.assignSocket(socket)
  response.once('finish', () => socket.end())
  return response
}

/** Passes the endpoint's 101 on and joins the sockets. `head` is what the client sent ahead. */
export function joinSockets(client: Duplex, head: Buffer, response: ServerResponse): OnUpgrade {
  return (controller, status, _headers, endpoint) => {
    if (client.destroyed) {
      endpoint.destroy()
      return
    }
    if (client instanceof Socket) response.detachSocket(client)
    const raw = (controller.rawHeaders ?? []) as (Buffer | string)[]
    const fields = responseHeaders(raw, { host: '', prefix: '' })
    let text = `HTTP/1.1 ${status} Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n`
    for (let index = 0; index + 1 < fields.length; index += 2) text += `${fields[index]}: ${fields[index + 1]}\r\n`
    client.write(`${text}\r\n`, 'latin1')
    if (head.length > 0) client.unshift(head)
    for (const socket of [client, endpoint]) {
      if (!(socket instanceof Socket)) continue
      socket.setTimeout(0)
      socket.setNoDelay(true)
      socket.setKeepAlive(true, 30_000)
    }
    // `pipeline` ends or destroys the other side whichever goes first; how a socket ended is of no interest here.
    pipeline(client, endpoint, () => endpoint.destroy())
    pipeline(endpoint, client, () => client.destroy())
  }
}
