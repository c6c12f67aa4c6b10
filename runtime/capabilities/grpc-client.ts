/** The one gRPC client for plugins: unary calls of bytes, to addresses that were checked, over channels that are kept for a while. */
import { getCACertificates } from 'node:tls'
import type { ChannelCredentials, Client, Metadata, ServiceError } from '@grpc/grpc-js'
import type { Clock } from '../clock.ts'
import type { Address } from './resolve.ts'

export interface GrpcRequest {
  /** Checked. They are dialled as they are: no name is ever asked for here, and no service config or proxy with it. */
  readonly addresses: readonly Address[]
  /** As it was granted: what the server is told, and what its certificate must be for. */
  readonly host: string
  readonly port: number
  readonly isTls: boolean
  /** `package.Service/Method`. */
  readonly method: string
  readonly message: Buffer
  readonly metadata: readonly (readonly [string, string])[]
  readonly timeoutMs: number
  readonly messageBytes: number
}

/** `status` is that of gRPC, also where no server was reached (14) or none answered in time (4). */
export interface GrpcReply {
  readonly status: number
  readonly detail: string
  readonly message?: Buffer
  readonly durationMs: number
}

export interface GrpcClient {
  call(request: GrpcRequest): Promise<GrpcReply>
  close(): void
}

interface Channel {
  readonly client: Client
  calls: number
  isDropped: boolean
  cancelIdle: () => void
}

const idleMs = 30_000
const mostChannels = 256
const sessionMemoryMb = 10
const unavailable = 14

export function createGrpcClient(clock: Clock): GrpcClient {
  /** The one used last stands last. */
  const channels = new Map<string, Channel>()
  let secure: ChannelCredentials | undefined
  let isClosed = false

  function secureNow(grpc: typeof import('@grpc/grpc-js')): ChannelCredentials {
    secure ??= grpc.credentials.createSsl(trusted())
    return secure
  }

  function drop(key: string, channel: Channel): void {
    if (channels.get(key) === channel) channels.delete(key)
    channel.cancelIdle()
    channel.isDropped = true
    if (channel.calls === 0) channel.client.close()
  }

  function channelFor(key: string, make: () => Client): Channel {
    const channel = channels.get(key) ?? { client: make(), calls: 0, isDropped: false, cancelIdle: () => {} }
    channels.delete(key)
    channels.set(key, channel)
    for (const [other, candidate] of channels) {
      if (channels.size <= mostChannels) break
      if (candidate.calls === 0 && candidate !== channel) drop(other, candidate)
    }
    return channel
  }

  return {
    async call(request) {
      // A fifth of a second to import, and most plugins never need it.
      const grpc = await import('@grpc/grpc-js')
      const startedMs = performance.now()
      const tellDuration = () => performance.now() - startedMs
      if (isClosed) return { status: unavailable, detail: 'the plugin instance was closed', durationMs: 0 }
      const { host, port, isTls, messageBytes } = request
      const target = targetOf(request)
      const key = JSON.stringify([target, host, isTls])
      const channel = channelFor(key, () => {
        const authority = `${host.includes(':') ? `[${host}]` : host}:${port}`
        return new grpc.Client(target, isTls ? secureNow(grpc) : grpc.credentials.createInsecure(), {
          'grpc.default_authority': authority,
          ...(isTls ? { 'grpc.ssl_target_name_override': host } : {}),
          'grpc.max_receive_message_length': messageBytes,
          'grpc.max_send_message_length': messageBytes,
          'grpc.enable_http_proxy': 0,
          'grpc.service_config_disable_resolution': 1,
          'grpc.enable_retries': 0,
          'grpc.enable_channelz': 0,
          'grpc.use_local_subchannel_pool': 1,
          'grpc-node.max_session_memory': sessionMemoryMb,
          'grpc.primary_user_agent': 'orchestry-plugin',
        })
      })
      channel.cancelIdle()
      channel.calls += 1
      const metadata = new grpc.Metadata()
      for (const [name, value] of request.metadata) metadata.set(name, value)
      try {
        const message = await unary(channel.client, request, metadata, clock.now() + request.timeoutMs)
        return { status: 0, detail: '', message, durationMs: tellDuration() }
      } catch (thrown) {
        const { code, details } = thrown as Partial<ServiceError>
        const status = typeof code === 'number' ? code : grpc.status.UNKNOWN
        // A channel that failed waits before it dials again; the next call is to find out at once whether the server is back.
        if (status === unavailable) drop(key, channel)
        return { status, detail: String(details ?? '').slice(0, 200), durationMs: tellDuration() }
      } finally {
        channel.calls -= 1
        if (channel.calls === 0) {
          if (channel.isDropped || isClosed) channel.client.close()
          else channel.cancelIdle = clock.after(idleMs, () => drop(key, channel))
        }
      }
    },
    close() {
      isClosed = true
      for (const [key, channel] of channels) drop(key, channel)
    },
  }
}

/** Several addresses of one family can be tried one after the other; the first one found decides which family. */
function targetOf({ addresses, port }: GrpcRequest): string {
  const family = addresses[0]?.family === 6 ? 6 : 4
  const same = addresses.filter((address) => address.family === family)
  const dialled = same.map(({ address }) => (family === 6 ? `[${address}]:${port}` : `${address}:${port}`))
  return `ipv${family}:${dialled.join(',')}`
}

/** Those that this process trusts, also those that were added to it; the library by itself leaves the added ones out. */
const trusted = () => Buffer.from(getCACertificates('default').join('\n'))
const asIs = (bytes: Buffer) => bytes

function unary(
  client: Client,
  { method, message }: GrpcRequest,
  metadata: Metadata,
  deadline: number,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const done = (error: ServiceError | null, reply?: Buffer) =>
      error === null ? resolve(reply ?? Buffer.alloc(0)) : reject(error)
    client.makeUnaryRequest(`/${method}`, asIs, asIs, message, metadata, { deadline }, done)
  })
}
