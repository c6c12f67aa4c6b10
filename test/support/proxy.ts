/** The embedded proxy inside the test's own process, and real HTTP servers as its replicas. */
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import type { Endpoint, Upstream } from '@orchestry/sdk'
import { systemClock } from '../../runtime/clock.ts'
import { createRotation, type Rotation, type Timeouts } from '../../runtime/dataplane/rotation.ts'
import { createProxyServer, type ProxyServer } from '../../runtime/dataplane/server.ts'

type After = Pick<TestContext, 'after'>

export interface TestReplica {
  readonly endpoint: Endpoint
  readonly server: Server
  readonly url: string
  /** Drops all connections and stops listening. */
  stop(): Promise<void>
}

export async function startReplica(
  test: After,
  id: string,
  listener?: RequestListener,
  port = 0,
): Promise<TestReplica> {
  const server = createServer(listener ?? ((_request, response) => response.end(id)))
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve))
  const endpoint = { id, host: '127.0.0.1', port: (server.address() as AddressInfo).port }
  const stop = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  test.after(stop)
  return { endpoint, server, url: `http://127.0.0.1:${endpoint.port}`, stop }
}

export interface TestProxy {
  readonly url: string
  readonly port: number
  readonly rotation: Rotation
  readonly server: ProxyServer
  /** Routes `/<app>/` to the replicas. */
  route(app: string, replicas: readonly TestReplica[], changes?: Partial<Upstream>): void
}

export async function startProxy(test: After, timeouts: Partial<Timeouts> = {}): Promise<TestProxy> {
  const rotation = createRotation({ clock: systemClock, timeouts })
  const server = createProxyServer({ rotation, clock: systemClock })
  const port = await server.listen('127.0.0.1', 0)
  test.after(async () => {
    await server.drain(0)
    await rotation.destroy()
  })
  let generation = 0
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    rotation,
    server,
    route(app, replicas, changes = {}) {
      generation += 1
      const endpoints = replicas.map(({ endpoint }) => endpoint)
      rotation.apply({ app, generation, route: { path: `/${app}/` }, endpoints, draining: [], ...changes })
    },
  }
}

/** A port on which nobody listens. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
