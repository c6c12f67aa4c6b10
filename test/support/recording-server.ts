/** An HTTP server on loopback that keeps what came to it: what it has not seen was not sent. */
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface SeenRequest {
  readonly url: string
  readonly method: string
  readonly headers: NodeJS.Dict<string | string[]>
  readonly body: string
}

export interface RecordingServer {
  readonly port: number
  readonly seen: SeenRequest[]
  /** How many were made, whether anything was asked on them or not. */
  connections(): number
  at(path?: string): string
}

export async function startRecordingServer(
  t: { after(run: () => void): void },
  answer: RequestListener = (_request, response) => void response.end('ok'),
  host = '127.0.0.1',
): Promise<RecordingServer> {
  const seen: SeenRequest[] = []
  let connections = 0
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { url = '', method = '', headers } = request
      seen.push({ url, method, headers, body: Buffer.concat(chunks).toString() })
      answer(request, response)
    })
  })
  server.on('connection', () => {
    connections += 1
  })
  server.listen(0, host)
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { port, seen, connections: () => connections, at: (path = '/') => `http://127.0.0.1:${port}${path}` }
}
