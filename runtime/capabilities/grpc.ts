/** Lets a plugin make unary gRPC calls of granted methods, described by the proto text of its grant. */
import type { GrpcAnswer, GrpcCall, GrpcHealth } from '@orchestry/sdk'
import * as Type from 'typebox'
import { type ErrorCode, messageOf, OrchestryError } from '../errors.ts'
import type { Invocation } from '../sandbox/sandbox.ts'
import { argumentsOf } from './arguments.ts'
import { failureOf } from './batch.ts'
import { timeLeft } from './call-time.ts'
import type { Caller, Capability, GrantOf } from './capability.ts'
import { createGrpcClient, type GrpcClient } from './grpc-client.ts'
import { decodeMessage, encodeMessage, TooManyValuesError } from './grpc-message.ts'
import type { Method } from './grpc-proto.ts'
import {
  authKey,
  checkMetadata,
  denied,
  type GrpcRule,
  healthCheck,
  matchMethod,
  narrowGrpc,
  readGrpcRule,
} from './grpc-rule.ts'
import type { SecretOf } from './net-auth.ts'
import { isPrintable } from './net-headers.ts'
import { allowedBy, allowedForInstances, type Outside } from './outside.ts'
import { resolveAllowed } from './resolve.ts'
import { createInFlight, type InFlight } from './slots-in-flight.ts'
import { keyOf, matchSocket, type SocketTarget } from './socket-rule.ts'

const atOnce = 64
const waitingMost = 2_000
const longestMs = 15_000
const usualMs = 5_000

const timeoutMs = Type.Optional(Type.Number({ exclusiveMinimum: 0 }))
const Call = Type.Object(
  {
    target: Type.String({ maxLength: 300 }),
    method: Type.String({ maxLength: 256 }),
    message: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
    metadata: Type.Optional(Type.Record(Type.String(), Type.String())),
    timeoutMs,
  },
  { additionalProperties: false },
)
const Check = Type.Object(
  { target: Type.String({ maxLength: 300 }), service: Type.Optional(Type.String({ maxLength: 256 })), timeoutMs },
  { additionalProperties: false },
)
const readUnary = argumentsOf('grpc.unary', Call)
const readCheckAll = argumentsOf('grpc.checkAll', Type.Array(Check, { maxItems: 2_000 }))

interface Deps extends Outside {
  readonly secretOf: SecretOf
}

interface Using {
  readonly grant: GrantOf<'grpc'>
  readonly rule: GrpcRule
  readonly caller: Caller
  readonly client: GrpcClient
  readonly inFlight: InFlight
  readonly deps: Deps
}

export function createGrpcCapability(deps: Deps): Capability<'grpc'> {
  return {
    kind: 'grpc',
    check(grant) {
      const problems: string[] = []
      readGrpcRule(grant, problems)
      return problems
    },
    narrow: narrowGrpc,
    use(grant, caller) {
      const client = createGrpcClient(deps.clock)
      const inFlight = createInFlight(atOnce, waitingMost, 'ctx.grpc')
      const using: Using = { grant, rule: readGrpcRule(grant, []), caller, client, inFlight, deps }
      return {
        operations: {
          unary: (args, invocation) => callOne('unary', readUnary(args)[0], using, invocation),
          async checkAll(args, invocation) {
            const [checks] = readCheckAll(args)
            return await Promise.all(checks.map((check) => checkOne(check, using, invocation)))
          },
        },
        dispose: () => client.close(),
      }
    },
  }
}

async function callOne(operation: string, call: GrpcCall, using: Using, invocation: Invocation): Promise<GrpcAnswer> {
  const { grant, rule, client, inFlight, deps } = using
  const { method, target } = allow(operation, call, using, invocation)
  const metadata = checkMetadata(rule, call.metadata ?? {}, grant.auth)
  const message = encode(method, call.message ?? {})
  if (message.length > rule.messageBytes)
    throw new OrchestryError(
      'ORC_CAPABILITY_LIMIT',
      `ctx.grpc: the message is larger than ${rule.messageBytes / 1024} KB (maxMessageKb)`,
    )
  const secret = secretFor(target, using)
  return await inFlight.run(async () => {
    const isAllowed = target.isInstance ? allowedForInstances(deps) : allowedBy(rule.addresses, deps)
    const addresses = await resolveAllowed('ctx.grpc', target, isAllowed, deps.resolve)
    const timeoutMs = timeLeft('ctx.grpc', invocation, deps.clock, Math.min(call.timeoutMs ?? usualMs, longestMs))
    const reply = await client.call({
      addresses,
      host: target.host,
      port: target.port,
      isTls: grant.tls ?? false,
      method: method.name,
      message,
      metadata: secret === undefined ? metadata : [...metadata, [secret.key, secret.value]],
      timeoutMs,
      messageBytes: rule.messageBytes,
    })
    const hide = (text: string) => (secret === undefined ? text : text.replaceAll(secret.bare, '***'))
    const { status, durationMs } = reply
    const answer = { status, detail: hide(reply.detail), durationMs }
    return reply.message === undefined ? answer : { ...answer, message: decode(method, reply.message, hide) }
  })
}

function allow(
  operation: string,
  call: GrpcCall,
  { rule, caller }: Using,
  { endpoints }: Invocation,
): { method: Method; target: SocketTarget } {
  const tell = (target: string, isAllowed: boolean) => caller.onUse?.(operation, `${target}/${call.method}`, isAllowed)
  try {
    const target = matchSocket(rule, call.target, endpoints)
    if (typeof target === 'string') throw denied(target)
    const method = matchMethod(rule, call.method)
    tell(keyOf(target), true)
    return { method, target }
  } catch (thrown) {
    tell(call.target, false)
    throw thrown
  }
}

/** Instances get none: they are strangers that an app brought. */
function secretFor({ isInstance }: SocketTarget, { grant: { auth }, deps }: Using) {
  if (auth === undefined || isInstance) return undefined
  const bare = deps.secretOf(auth.secret)
  const fail = (what: string) =>
    new OrchestryError('ORC_CAPABILITY_FAILED', `ctx.grpc: the secret "${auth.secret}" ${what}. Nothing was sent`)
  if (bare === undefined || bare === '') throw fail(`is not there; set it with: orchestry secret set ${auth.secret}`)
  if (!isPrintable(bare)) throw fail('holds characters that no metadata can hold')
  return { key: authKey(auth), value: `${auth.prefix ?? ''}${bare}`, bare }
}

function encode(method: Method, message: Readonly<Record<string, unknown>>): Buffer {
  try {
    return encodeMessage(method.input, message)
  } catch (thrown) {
    throw new OrchestryError('ORC_CAPABILITY_ARGUMENT', `ctx.grpc: the message ${messageOf(thrown).slice(0, 200)}`)
  }
}

function decode(method: Method, message: Buffer, hide: (text: string) => string): Record<string, unknown> {
  try {
    return decodeMessage(method.output, message, hide)
  } catch (thrown) {
    const code: ErrorCode = thrown instanceof TooManyValuesError ? 'ORC_CAPABILITY_LIMIT' : 'ORC_CAPABILITY_FAILED'
    throw new OrchestryError(code, `ctx.grpc: the answer of ${method.name} ${messageOf(thrown).slice(0, 100)}`)
  }
}

type Checked =
  | { ok: true; health: GrpcHealth; durationMs: number }
  | { ok: false; status: number; code: string; message: string }
/** What stands for an error of ours among the numbers of gRPC. */
const statusOfCode: Partial<Record<ErrorCode, number>> = {
  ORC_CAPABILITY_DENIED: 7,
  ORC_NET_BLOCKED_ADDRESS: 7,
  ORC_NET_UNREACHABLE: 14,
  ORC_HOOK_OVERLOADED: 8,
  ORC_CAPABILITY_LIMIT: 8,
}
const codeOfStatus: Readonly<Record<number, ErrorCode>> = {
  4: 'ORC_NET_TIMEOUT',
  8: 'ORC_CAPABILITY_LIMIT',
  14: 'ORC_NET_UNREACHABLE',
}
const healths: readonly string[] = ['SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'] satisfies GrpcHealth[]

async function checkOne(check: Type.Static<typeof Check>, using: Using, invocation: Invocation): Promise<Checked> {
  const { service = '', ...call } = check
  try {
    const asked = { ...call, method: healthCheck, message: { service } }
    const { status, detail, message, durationMs } = await callOne('checkAll', asked, using, invocation)
    if (status === 0) {
      const told = String(message?.status)
      return { ok: true, health: healths.includes(told) ? (told as GrpcHealth) : 'UNKNOWN', durationMs }
    }
    return { ok: false, status, code: codeOfStatus[status] ?? 'ORC_CAPABILITY_FAILED', message: detail }
  } catch (thrown) {
    const failure = failureOf(thrown, 'checkAll', using.caller)
    return { ok: false, status: statusOfCode[failure.code] ?? 2, ...failure }
  }
}
