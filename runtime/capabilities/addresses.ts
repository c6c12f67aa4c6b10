/** Which IP addresses a plugin may reach. Pure; everything that is not plainly public needs a grant that says so. */
import ipaddr from 'ipaddr.js'

/** `never`: whatever is granted, nobody's plugin connects there (metadata services, multicast, unspecified, …). */
export type AddressKind = 'public' | 'private' | 'loopback' | 'reserved' | 'never'

export interface AddressGrant {
  readonly kinds: ReadonlySet<AddressKind>
  readonly ranges: readonly Cidr[]
}
type Cidr = readonly [ipaddr.IPv4 | ipaddr.IPv6, number]

/** Cloud metadata and control addresses: they hand out credentials to whoever asks. */
const metadata = new Set(['169.254.169.254', '168.63.129.16', '100.100.100.200', 'fd00:ec2::254', 'fd20:ce::254'])
const kindOfRange: ReadonlyMap<string, AddressKind> = new Map([
  ['unicast', 'public'],
  ['private', 'private'],
  ['uniqueLocal', 'private'],
  ['carrierGradeNat', 'private'],
  ['loopback', 'loopback'],
  ['unspecified', 'never'],
  ['linkLocal', 'never'],
  ['multicast', 'never'],
  ['broadcast', 'never'],
])
const localNat64 = ipaddr.IPv6.parseCIDR('64:ff9b:1::/48')
const globalUnicast = ipaddr.IPv6.parseCIDR('2000::/3')
const ipv4Reserved = ipaddr.IPv4.parseCIDR('240.0.0.0/4')

/** Undefined for what is no IP address in its usual form (four decimal parts, or IPv6 without a zone). */
export function parseAddress(text: string): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text)
  if (!text.includes(':') || !/^[\da-fA-F:.]+$/.test(text)) return undefined
  // The library takes `::127.0.0.1`, as resolvers write it, for `::ffff:127.0.0.1`; in groups of hex it cannot be misread.
  const hex = URL.parse(`http://[${text}]/`)?.hostname.slice(1, -1)
  return hex !== undefined && ipaddr.IPv6.isValid(hex) ? ipaddr.IPv6.parse(hex) : undefined
}

export function kindOf(text: string): AddressKind {
  const address = parseAddress(text)
  return address === undefined ? 'never' : classify(address)
}

function classify(address: ipaddr.IPv4 | ipaddr.IPv6): AddressKind {
  if (metadata.has(address.toString())) return 'never'
  if (address instanceof ipaddr.IPv4) {
    if (address.match(ipv4Reserved)) return 'never'
    return kindOfRange.get(address.range()) ?? 'reserved'
  }
  if (address.isIPv4MappedAddress()) return classify(address.toIPv4Address())
  const inner = embedded(address)
  // The public form of a translated address is as good as the address; any other form only hides where it leads.
  if (inner.some((ipv4) => classify(ipv4) !== 'public')) return 'never'
  const range = address.range()
  if (inner.length > 0)
    return ['rfc6052', '6to4', 'teredo'].includes(range) && !address.match(localNat64) ? 'public' : 'never'
  if (range === 'unicast' && !address.match(globalUnicast)) return 'reserved'
  return kindOfRange.get(range) ?? 'reserved'
}

/** The IPv4 addresses hidden in an IPv6 one: ::/96, ::ffff:0:0/96, 64:ff9b::/96, 64:ff9b:1::/48, 2002::/16, 2001::/32, ISATAP. */
function embedded(address: ipaddr.IPv6): ipaddr.IPv4[] {
  const parts = address.parts
  const at = (index: number, mask = 0) => {
    const [high = 0, low = 0] = [parts[index], parts[index + 1]].map((part) => (part ?? 0) ^ mask)
    return new ipaddr.IPv4([high >> 8, high & 255, low >> 8, low & 255])
  }
  const isZero = (to: number) => parts.slice(0, to).every((part) => part === 0)
  // `::` and `::1` are addresses of their own.
  if (isZero(6)) return isZero(7) && (parts[7] ?? 0) < 2 ? [] : [at(6)]
  if (isZero(4) && parts[4] === 0xffff && parts[5] === 0) return [at(6)]
  if (parts[0] === 0x64 && parts[1] === 0xff9b) return [at(6)]
  if (parts[0] === 0x2002) return [at(1)]
  if (parts[0] === 0x2001 && parts[1] === 0) return [at(2), at(6, 0xffff)]
  if ((parts[4] === 0 || parts[4] === 0x200) && parts[5] === 0x5efe) return [at(6)]
  return []
}

export function isGranted(text: string, grant: AddressGrant): boolean {
  const kind = kindOf(text)
  if (kind === 'never') return false
  if (grant.kinds.has(kind)) return true
  const address = unmapped(text)
  return grant.ranges.some(([base, bits]) => address?.kind() === base.kind() && address.match(base, bits))
}

/** One spelling for each address, so that two texts can be compared: `::ffff:7f00:1` is `127.0.0.1`. */
export function canonicalAddress(text: string): string {
  return unmapped(text)?.toString() ?? text
}

function unmapped(text: string): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  const address = parseAddress(text)
  return address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() ? address.toIPv4Address() : address
}

/** Reads `public`, `private`, `loopback` and CIDR ranges; `instances` are no addresses. What is wrong goes to `problems`. */
export function readAddressGrant(entries: readonly string[], problems: string[]): AddressGrant {
  const kinds = new Set<AddressKind>()
  const ranges: Cidr[] = []
  for (const entry of entries) {
    if (entry === 'instances') continue
    if (entry === 'public' || entry === 'private' || entry === 'loopback') kinds.add(entry)
    else if (ipaddr.isValidCIDR(entry)) {
      const [base, bits] = ipaddr.parseCIDR(entry)
      if (bits === 0) problems.push(`addresses: "${entry}" is everything; name smaller ranges`)
      else ranges.push([base, bits])
    } else
      problems.push(`addresses: "${entry}" is none of public, private, loopback, instances or a range like 10.1.0.0/16`)
  }
  return { kinds, ranges }
}
