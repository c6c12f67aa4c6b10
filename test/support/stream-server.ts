/** A server of plain sockets, by TCP on loopback or at a path, that counts who comes. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'

export interface StreamServer {
  /** 0 where it listens at a path. */
  readonly port: number
  /** How many were made. */
  connections(): number
  /** How many are open. */
  open(): number
}

export async function startStreamServer(
  t: { after(run: () => void): void },
  onSocket: (socket: Socket) => void,
  where: { path: string } | { host: string; port: number } = { host: '127.0.0.1', port: 0 },
): Promise<StreamServer> {
  const sockets = new Set<Socket>()
  let connections = 0
  const server = createServer((socket) => {
    connections += 1
    sockets.add(socket)
    socket.on('error', () => {}).on('close', () => sockets.delete(socket))
    onSocket(socket)
  }).listen(where)
  await once(server, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address() as AddressInfo | string
  return {
    port: typeof address === 'string' ? 0 : address.port,
    connections: () => connections,
    open: () => sockets.size,
  }
}
