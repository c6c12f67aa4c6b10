/** Servers on loopback that plugins may reach, with everything a hostile one answers, and one that nobody may reach. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { gzipSync } from 'node:zlib'

export interface HostileOrigin {
  readonly grantedPort: number
  readonly forbiddenPort: number
  /** Connections that came to the one nobody may reach. */
  forbiddenConnections(): number
}

export async function startHostileOrigin(test: { after(run: () => void): void }): Promise<HostileOrigin> {
  let connections = 0
  const forbidden = createTcpServer((socket) => {
    connections += 1
    socket.destroy()
  })
  const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024))
  const granted = createServer((request, response) => {
    switch (request.url) {
      case '/gzip-bomb':
        response.writeHead(200, { 'content-encoding': 'gzip' })
        return response.end(bomb)
      case '/header-bomb':
        response.writeHead(200, { 'x-large': 'x'.repeat(64 * 1024) })
        return response.end()
      case '/endless': {
        response.writeHead(200)
        const timer = setInterval(() => response.write('x'), 20)
        return response.on('close', () => clearInterval(timer))
      }
      case '/slow':
        return void setTimeout(() => response.end('ok'), 50)
      case '/to-forbidden':
        response.writeHead(302, { location: `http://127.0.0.1:${portOf(forbidden)}/` })
        return response.end()
      case '/to-file':
        response.writeHead(302, { location: 'file:///etc/passwd' })
        return response.end()
      case '/for-ever':
        response.writeHead(302, { location: '/for-ever' })
        return response.end()
      default:
        return response.end(JSON.stringify(request.headers))
    }
  })
  for (const server of [forbidden, granted]) {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
  }
  test.after(() => {
    forbidden.close()
    granted.close()
    granted.closeAllConnections()
  })
  return {
    grantedPort: portOf(granted),
    forbiddenPort: portOf(forbidden),
    forbiddenConnections: () => connections,
  }
}

const portOf = (server: { address(): AddressInfo | string | null }) => (server.address() as AddressInfo).port
