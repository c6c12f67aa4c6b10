/** What one `grpc` record allows, decided on the call as it will be made. Pure. */
import { messageOf, OrchestryError } from '../errors.ts'
import type { GrantOf } from './capability.ts'
import { type Method, parseProto } from './grpc-proto.ts'
import { isPrintable } from './net-headers.ts'
import { keyOf, readSocketRule, readTarget, type SocketRule } from './socket-rule.ts'

export interface GrpcRule extends SocketRule {
  /** By their names; those that the record allows. */
  readonly methods: ReadonlyMap<string, Method>
  readonly metadata: ReadonlySet<string>
  readonly messageBytes: number
}

const defaultMessageKb = 1024
const usualHeader = 'authorization'
export const healthCheck = 'grpc.health.v1.Health/Check'
const healthProto = `syntax = "proto3";
package grpc.health.v1;
message HealthCheckRequest { string service = 1; }
message HealthCheckResponse {
  enum ServingStatus { UNKNOWN = 0; SERVING = 1; NOT_SERVING = 2; SERVICE_UNKNOWN = 3; }
  ServingStatus status = 1;
}
service Health { rpc Check(HealthCheckRequest) returns (HealthCheckResponse); }`

/** Says where a call goes, whose it is and how it is read: never the plugin's to say. `-bin` values are bytes, not text. */
const reserved =
  /^(grpc-.*|.*-bin|te|host|connection|keep-alive|transfer-encoding|content-.*|user-agent|trailer|upgrade|forwarded|via|accept-encoding|x-forwarded-.*|x-real-ip|proxy-.*)$/
const isMetadataKey = (key: string) => /^[a-z0-9][a-z0-9_.-]{0,63}$/.test(key) && !reserved.test(key)

/** Reads a resolved record; what is wrong with it goes to `problems`. */
export function readGrpcRule(grant: GrantOf<'grpc'>, problems: string[]): GrpcRule {
  for (const key of grant.metadata ?? [])
    if (!isMetadataKey(key))
      problems.push(`metadata: "${key}" cannot be granted; keys are lower case, and not those of gRPC itself`)
  readAuth(grant, problems)
  return {
    ...readSocketRule(grant, problems),
    methods: readMethods(grant, problems),
    metadata: new Set(grant.metadata),
    messageBytes: (grant.maxMessageKb ?? defaultMessageKb) * 1024,
  }
}

function readAuth({ auth, targets }: GrantOf<'grpc'>, problems: string[]): void {
  if (auth === undefined) return
  if (!isMetadataKey(auth.header ?? usualHeader))
    problems.push(`auth: the key ${auth.header} cannot hold a secret; "authorization" can`)
  if (!isPrintable(auth.prefix ?? '')) problems.push('auth: the prefix holds characters that are not printable ASCII')
  // An app's own instances are strangers too.
  if (targets === undefined) problems.push('auth: is sent to "targets" only, and none is named')
}

export const authKey = (auth: NonNullable<GrantOf<'grpc'>['auth']>): string => auth.header ?? usualHeader

function readMethods(grant: GrantOf<'grpc'>, problems: string[]): Map<string, Method> {
  const known = new Map(parseProto(healthProto))
  try {
    for (const [name, method] of grant.proto === undefined ? [] : parseProto(grant.proto)) known.set(name, method)
  } catch (thrown) {
    problems.push(`proto: ${messageOf(thrown)}`)
    return known
  }
  const allowed = new Map<string, Method>()
  for (const wanted of grant.methods) {
    const [service, own] = wanted.split('/')
    const found = [...known.values()].filter(
      ({ name }) => name === wanted || (own === '*' && name.startsWith(`${service}/`)),
    )
    if (found.length === 0)
      problems.push(
        `methods: "${wanted}" is no method that "proto" describes (package.Service/Method or package.Service/*)`,
      )
    if (own !== '*' && found.some(({ isStreaming }) => isStreaming))
      problems.push(`methods: "${wanted}" streams; only calls with one message each way can be made`)
    for (const method of found) if (!method.isStreaming) allowed.set(method.name, method)
  }
  return allowed
}

/** @throws ORC_CAPABILITY_DENIED */
export function matchMethod(rule: GrpcRule, name: string): Method {
  const method = rule.methods.get(name)
  if (method === undefined)
    throw denied(`the method ${shown(name)} is not granted (${[...rule.methods.keys()].join(', ')})`)
  return method
}

const most = { entries: 32, bytes: 8 * 1024 }

/** In lower case. Throws ORC_CAPABILITY_DENIED for keys that are not granted, ORC_CAPABILITY_ARGUMENT for what is no text. */
export function checkMetadata(
  rule: GrpcRule,
  given: Readonly<Record<string, string>>,
  auth: GrantOf<'grpc'>['auth'],
): [string, string][] {
  const entries = Object.entries(given).map(([key, value]): [string, string] => [key.toLowerCase(), value])
  const bytes = entries.reduce((sum, [key, value]) => sum + key.length + value.length, 0)
  if (entries.length > most.entries || bytes > most.bytes)
    throw argument(`the metadata is more than ${most.entries} entries or ${most.bytes / 1024} KB`)
  for (const [key, value] of entries) {
    if (auth !== undefined && key === authKey(auth))
      throw argument(`the metadata ${key} is set by the host, from a secret`)
    // Both: a record that was consented to once must not bring back what turned out to be reserved.
    if (!rule.metadata.has(key) || !isMetadataKey(key)) throw denied(`the metadata ${shown(key)} is not granted`)
    if (!isPrintable(value)) throw argument(`the metadata ${key} has characters that are not printable ASCII`)
  }
  return entries
}

const shown = (text: string) => JSON.stringify(text.slice(0, 100))
export const denied = (why: string) => new OrchestryError('ORC_CAPABILITY_DENIED', `ctx.grpc: ${why}`)
const argument = (why: string) => new OrchestryError('ORC_CAPABILITY_ARGUMENT', `ctx.grpc: ${why}; nothing was sent`)

/** The narrowest record that allows these targets (`host:port/package.Service/Method`). Pure. */
export function narrowGrpc(grant: GrantOf<'grpc'>, used: readonly string[]): GrantOf<'grpc'> {
  const calls = used.map((text) => {
    const slash = text.indexOf('/')
    return { target: text.slice(0, slash), method: text.slice(slash + 1) }
  })
  if (calls.length === 0) return grant
  const spelled = (text: string) => {
    const target = readTarget(text)
    return target && keyOf(target)
  }
  const named = (grant.targets ?? []).filter((text) => calls.some(({ target }) => target === spelled(text)))
  const isNamed = (target: string) => named.some((text) => spelled(text) === target)
  const hasInstances = calls.some(({ target }) => !isNamed(target))
  const { targets: _all, addresses, ...rest } = grant
  const kept = addresses?.filter((entry) => (entry === 'instances' ? hasInstances : named.length > 0))
  return {
    ...rest,
    ...(named.length === 0 ? {} : { targets: named }),
    ...(kept === undefined ? {} : { addresses: kept }),
    methods: [...new Set(calls.map(({ method }) => method))].sort(),
  }
}
