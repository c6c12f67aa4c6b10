/** From a name to addresses that were all checked: asked for once, so that what was checked is what is connected to. */
import { lookup } from 'node:dns/promises'
import { OrchestryError } from '../errors.ts'
import { parseAddress } from './addresses.ts'

export interface Address {
  readonly address: string
  readonly family: number
}
export type Resolve = (host: string) => Promise<readonly Address[]>
const systemResolve: Resolve = (host) => lookup(host, { all: true, verbatim: true })

/** Decides about an IP address and port. */
export type IsAllowed = (address: string, port: number) => boolean

/**
 * At least one address; a literal one is not asked for, but checked all the same. `what` begins the errors, like `ctx.net`.
 *
 * @throws ORC_NET_BLOCKED_ADDRESS when a single one of them is not allowed, ORC_NET_UNREACHABLE when there is none.
 */
export async function resolveAllowed(
  what: string,
  target: { readonly host: string; readonly port: number },
  isAllowed: IsAllowed,
  resolve: Resolve = systemResolve,
): Promise<readonly [Address, ...Address[]]> {
  const { host, port } = target
  const literal = parseAddress(host)
  const found = literal
    ? [{ address: host, family: literal.kind() === 'ipv6' ? 6 : 4 }]
    : await resolve(host).catch(() => {
        throw new OrchestryError('ORC_NET_UNREACHABLE', `${what}: the name ${host} cannot be resolved`)
      })
  if (found.some(({ address }) => !isAllowed(address, port))) throw blocked(what, host)
  const [first, ...others] = found
  if (first === undefined) throw new OrchestryError('ORC_NET_UNREACHABLE', `${what}: ${host} has no address`)
  return [first, ...others]
}

export const blocked = (what: string, host: string): OrchestryError =>
  new OrchestryError(
    'ORC_NET_BLOCKED_ADDRESS',
    `${what}: ${host} leads to an address that is not granted ("addresses")`,
  )
