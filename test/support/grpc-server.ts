/** Real gRPC servers for tests, with the library's own reading of a proto text. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import {
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type sendUnaryData,
  type UntypedHandleCall,
} from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { HealthImplementation } from 'grpc-health-check'
import { tempDir } from './temp-dir.ts'

export type Unary = (
  call: ServerUnaryCall<Record<string, unknown>, Record<string, unknown>>,
  done: sendUnaryData<Record<string, unknown>>,
) => void

export interface GrpcServer {
  readonly port: number
  readonly target: string
  readonly health: HealthImplementation
  stop(): void
}

/** `handlers` are those of the one `service` of `proto`, by method. */
export async function startGrpc(
  t: TestContext,
  options: {
    proto?: string
    service?: string
    handlers?: Readonly<Record<string, Unary>>
    health?: ConstructorParameters<typeof HealthImplementation>[0]
    port?: number
    credentials?: ServerCredentials
  } = {},
): Promise<GrpcServer> {
  const { proto, service = '', handlers = {}, credentials = ServerCredentials.createInsecure() } = options
  const server = new Server({ 'grpc.max_send_message_length': -1, 'grpc.max_receive_message_length': -1 })
  const health = new HealthImplementation(options.health ?? { '': 'SERVING' })
  if (options.health !== undefined || proto === undefined) health.addToServer(server)
  if (proto !== undefined) {
    const file = join(await tempDir(t), 'test.proto')
    writeFileSync(file, proto)
    const loaded = loadSync(file, { keepCase: true, longs: String, enums: String, bytes: String, defaults: true })
    server.addService(
      loaded[service] as Parameters<Server['addService']>[0],
      handlers as Record<string, UntypedHandleCall>,
    )
  }
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync(`127.0.0.1:${options.port ?? 0}`, credentials, (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  )
  const stop = () => server.forceShutdown()
  t.after(stop)
  return { port, target: `127.0.0.1:${port}`, health, stop }
}
