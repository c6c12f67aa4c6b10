/** Redis and gRPC in a test: answers that the test wrote down, and a refusal of everything else. */
import type { GrpcAnswer, GrpcCall, GrpcCapability, RedisCapability, RedisReply } from './capabilities.ts'
import { coded } from './testing-coded.ts'

/** An `Error` is a server that cannot be reached, or what its own `code` says. */
export type RedisFixture = RedisReply | Error
/** Replies by command as it is written (`LLEN queue:jobs`), or by a function. A command that is not there is refused. */
export type RedisFixtures =
  | Readonly<Record<string, RedisFixture>>
  | ((name: string, ...args: (string | number)[]) => RedisFixture | Promise<RedisFixture>)

/** What is left out is a status 0 without a message. An `Error` is a refusal of the host, as for a target not granted. */
export type GrpcFixture = Partial<GrpcAnswer> | Error
/** Answers by `host:port/package.Service/Method`, or by a function of the call. A call that is not there is refused. */
export type GrpcFixtures =
  | Readonly<Record<string, GrpcFixture>>
  | ((call: GrpcCall) => GrpcFixture | Promise<GrpcFixture>)

export function redisOf(fixtures: RedisFixtures): RedisCapability {
  const command: RedisCapability['command'] = async (name, ...args) => {
    const written = [name.toUpperCase(), ...args].join(' ')
    const found = typeof fixtures === 'function' ? await fixtures(name, ...args) : fixtures[written]
    if (found === undefined)
      throw coded('ORC_CAPABILITY_DENIED', `ctx.redis: the test has no reply for ${written} (grants.redis)`)
    if (found instanceof Error) throw 'code' in found ? found : coded('ORC_NET_UNREACHABLE', found.message)
    return found
  }
  return {
    command,
    pipeline: (commands) =>
      Promise.all(
        commands.map(async ([name = '', ...args]) => {
          try {
            return { ok: true as const, reply: await command(String(name), ...args) }
          } catch (error) {
            const { code, message } = error as Error & { code: string }
            return { ok: false as const, code, message }
          }
        }),
      ),
  }
}

const healths = ['SERVING', 'NOT_SERVING', 'UNKNOWN', 'SERVICE_UNKNOWN'] as const

export function grpcOf(fixtures: GrpcFixtures): GrpcCapability {
  const unary = async (call: GrpcCall): Promise<GrpcAnswer> => {
    const written = `${call.target}/${call.method}`
    const found = typeof fixtures === 'function' ? await fixtures(call) : fixtures[written]
    if (found === undefined)
      throw coded('ORC_CAPABILITY_DENIED', `ctx.grpc: the test has no answer for ${written} (grants.grpc)`)
    if (found instanceof Error) throw 'code' in found ? found : coded('ORC_NET_UNREACHABLE', found.message)
    return { status: 0, detail: '', durationMs: 1, ...found }
  }
  return {
    unary,
    checkAll: (checks) =>
      Promise.all(
        checks.map(async ({ service = '', ...check }) => {
          try {
            const call = { ...check, method: 'grpc.health.v1.Health/Check', message: { service } }
            const { status, detail, message, durationMs } = await unary(call)
            const health = healths.find((one) => one === message?.status) ?? 'UNKNOWN'
            if (status === 0) return { ok: true as const, health, durationMs }
            return {
              ok: false as const,
              status,
              code: codeOfStatus[status] ?? 'ORC_CAPABILITY_FAILED',
              message: detail,
            }
          } catch (error) {
            const { code, message } = error as Error & { code: string }
            return { ok: false as const, status: code === 'ORC_NET_UNREACHABLE' ? 14 : 7, code, message }
          }
        }),
      ),
  }
}

const codeOfStatus: Readonly<Record<number, string>> = {
  4: 'ORC_NET_TIMEOUT',
  8: 'ORC_CAPABILITY_LIMIT',
  14: 'ORC_NET_UNREACHABLE',
}
