/** What a record of `tcp` or `grpc` allows, by host and port. Pure. */
import { type AddressGrant, canonicalAddress, parseAddress, readAddressGrant } from './addresses.ts'
import type { GrantOf } from './capability.ts'

export interface SocketTarget {
  /** Lower case, without brackets and without a trailing dot. */
  readonly host: string
  readonly port: number
  readonly isInstance: boolean
}

export interface SocketRule {
  /** `host:port`, as `keyOf` writes it. */
  readonly targets: ReadonlySet<string>
  readonly addresses: AddressGrant
  /** The app instances handed to the very call, at their own ports. */
  readonly hasInstances: boolean
}

const longestTarget = 300

/** Reads a resolved record; what is wrong with it goes to `problems`. */
export function readSocketRule(
  grant: Pick<GrantOf<'tcp' | 'grpc'>, 'targets' | 'addresses'>,
  problems: string[],
): SocketRule {
  const { targets = [], addresses = ['public'] } = grant
  const hasInstances = addresses.includes('instances')
  if (targets.length === 0 && !hasInstances)
    problems.push('targets: is missing; only "addresses": ["instances"] goes without')
  const keys = targets.flatMap((target) => {
    const read = readTarget(target)
    if (read === undefined) problems.push(`targets: "${target}" is no host and port, like "db.internal:5432"`)
    return read === undefined ? [] : [keyOf(read)]
  })
  return { targets: new Set(keys), addresses: readAddressGrant(addresses, problems), hasInstances }
}

export const keyOf = ({ host, port }: { host: string; port: number }): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`

/** `host:port` with a host of the usual form; IPv6 with or without brackets. */
export function readTarget(text: string): { host: string; port: number } | undefined {
  const colon = text.lastIndexOf(':')
  const [name, digits] = [text.slice(0, colon), text.slice(colon + 1)]
  const port = Number(digits)
  if (text.length > longestTarget || colon < 1 || !/^[1-9]\d{0,4}$/.test(digits) || port > 65_535) return undefined
  const bare = name.replace(/^\[(.*)\]$/, '$1')
  if (parseAddress(bare) !== undefined) return { host: canonicalAddress(bare), port }
  // The URL reader knows every way to write a host: what it makes of one is what is compared and connected to.
  if (!/^[\p{L}\p{N}._-]+$/u.test(name)) return undefined
  const host = URL.parse(`http://${name}/`)?.hostname.replace(/\.$/, '')
  return host === undefined || host === '' ? undefined : { host, port }
}

/** Where it may connect, or in words why not. `endpoints` holds `ip:port` of the instances handed to this call. */
export function matchSocket(rule: SocketRule, text: string, endpoints: ReadonlySet<string>): SocketTarget | string {
  const target = readTarget(text)
  if (target === undefined) return `"${text.slice(0, 100)}" is no host and port, like "db.internal:5432"`
  const { host, port } = target
  const isInstance = rule.hasInstances && parseAddress(host) !== undefined && endpoints.has(`${host}:${port}`)
  if (isInstance || rule.targets.has(keyOf(target))) return { host, port, isInstance }
  const granted = [...rule.targets, ...(rule.hasInstances ? ['the instances handed to this call'] : [])]
  return `${keyOf(target)} is not granted (${granted.join(', ')}): add it to "targets" in the manifest`
}
