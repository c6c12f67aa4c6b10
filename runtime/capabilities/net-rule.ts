/** What one `net` record allows, decided on the parsed URL and never on its text. Pure. */

import { type AddressGrant, parseAddress, readAddressGrant } from './addresses.ts'
import type { GrantOf } from './capability.ts'

export interface NetRule {
  readonly hosts: readonly HostRule[]
  /** Undefined: https to hosts that name no scheme, either to the instances of the call. */
  readonly schemes: ReadonlySet<string> | undefined
  readonly ports: ReadonlySet<number> | undefined
  readonly methods: ReadonlySet<string>
  readonly paths: readonly RegExp[] | undefined
  readonly addresses: AddressGrant
  /** The app instances handed to the very call, at their own ports. */
  readonly hasInstances: boolean
  readonly bodyBytes: number
  readonly instanceBodyBytes: number
  /** How many redirects are followed. */
  readonly redirects: number
}

interface HostRule {
  /** Without `*`; of a suffix, with its leading dot. */
  readonly name: string
  readonly isSuffix: boolean
  /** Given when the entry was a whole origin, as `${config.url}` often is. */
  readonly scheme?: string
  readonly port?: number
}

const defaults = { bodyKb: 256, instanceBodyKb: 64, methods: ['GET', 'HEAD'] }
const neverMethods = new Set(['CONNECT', 'TRACE', 'TRACK'])

/** Reads a resolved record; what is wrong with it goes to `problems`. */
export function readNetRule(grant: GrantOf<'net'>, problems: string[]): NetRule {
  const { hosts = [], methods = defaults.methods, paths, maxBodyKb } = grant
  const addresses = grant.addresses ?? ['public']
  const hasInstances = addresses.includes('instances')
  if (hosts.length === 0 && !hasInstances)
    problems.push('hosts: is missing; only "addresses": ["instances"] goes without')
  for (const method of methods)
    if (!/^[A-Z]{1,16}$/.test(method) || neverMethods.has(method))
      problems.push(`methods: "${method}" cannot be granted; methods are written in capitals, like GET`)
  const rules = hosts.flatMap((host) => readHost(host, problems) ?? [])
  return {
    hosts: rules,
    schemes: grant.schemes === undefined ? undefined : new Set(grant.schemes),
    ports: grant.ports === undefined ? undefined : new Set(grant.ports),
    methods: new Set(methods),
    paths: paths?.flatMap((path) => readPath(path, problems) ?? []),
    addresses: readAddressGrant(addresses, problems),
    hasInstances,
    bodyBytes: (maxBodyKb ?? defaults.bodyKb) * 1024,
    instanceBodyBytes: (maxBodyKb ?? defaults.instanceBodyKb) * 1024,
    redirects: grant.redirects ?? 0,
  }
}

function readHost(entry: string, problems: string[]): HostRule | undefined {
  const refuse = (why: string) => {
    problems.push(`hosts: "${entry}" ${why}`)
    return undefined
  }
  const isSuffix = entry.startsWith('*.')
  if (entry.includes('*', isSuffix ? 2 : 0))
    return refuse('has a star elsewhere than at its beginning ("*.example.org")')
  const hasScheme = /^https?:\/\//.test(entry)
  const text = isSuffix ? entry.slice(2) : entry
  const isBareIpv6 = !text.startsWith('[') && parseAddress(text)?.kind() === 'ipv6'
  const url = URL.parse(hasScheme ? text : `http://${isBareIpv6 ? `[${text}]` : text}`)
  if (url === null || url.hostname === '') return refuse('is no host name')
  if (url.username !== '' || url.password !== '') return refuse('must not hold a user or password')
  // An origin from a config may have a path; a bare host with one is a mistake about what is matched.
  if (!hasScheme && (url.pathname !== '/' || url.search !== '' || url.hash !== ''))
    return refuse('is more than a host; grant paths under "paths"')
  const name = bareHost(url)
  if (isSuffix && (parseAddress(name) !== undefined || !name.includes('.')))
    return refuse('is too wide; name at least two labels, like "*.example.org"')
  return {
    name: isSuffix ? `.${name}` : name,
    isSuffix,
    ...(hasScheme ? { scheme: url.protocol.slice(0, -1) } : {}),
    ...(hasScheme || url.port !== '' ? { port: portOf(url) } : {}),
  }
}

export function readPath(pattern: string, problems: string[]): RegExp | undefined {
  const isFit = /^\/[A-Za-z0-9._~\-/*+:@!$,;=]*$/.test(pattern) && !/\/\.{1,2}(\/|$)/.test(pattern)
  // More than this many stars could make one match take for ever.
  const stars = pattern.match(/\*+/g) ?? []
  const isBounded = stars.length <= 4 && stars.filter((star) => star.length > 1).length <= 1
  if (!isFit || !isBounded || stars.some((star) => star.length > 2)) {
    problems.push(`paths: "${pattern}" is no path like "/api/v1/**" (one ** and at most four stars)`)
    return undefined
  }
  const body = pattern
    .split(/(\*+)/)
    .map((part) => (part === '**' ? '.*' : part === '*' ? '[^/]*' : part.replace(/[.+$\\]/g, '\\$&')))
    .join('')
  // A path without stars that ends in a slash is a prefix; any other is exact.
  return new RegExp(`^${body}${stars.length === 0 && pattern.endsWith('/') ? '.*' : ''}$`, 's')
}

/** Lower case already; without the brackets of IPv6 and without one trailing dot. */
function bareHost(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '')
}

export function portOf(url: URL): number {
  return url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port)
}

export type NetTarget = {
  readonly url: URL
  readonly host: string
  readonly port: number
  readonly isInstance: boolean
}

/** For the capability trace: without the query, which may hold anything; instances come and go and are one target. */
export function shownTarget(method: string, url: URL, isInstance = false): string {
  const host = url.hostname.replace(/\.$/, '')
  const where = isInstance ? 'instances:*' : host === '' ? '' : `${host}:${portOf(url)}`
  return `${method} ${url.protocol}//${where}${url.pathname.slice(0, shownPath)}`
}
export const shownPath = 200

/** Where the request may go, or in words why not. `endpoints` holds `ip:port` of the instances handed to this call. */
export function matchTarget(
  rule: NetRule,
  address: string,
  method: string,
  endpoints: ReadonlySet<string>,
): NetTarget | string {
  const url = address.length > 8_192 ? null : URL.parse(address)
  if (url === null) return `"${address.slice(0, 100)}" is no URL`
  const scheme = url.protocol.slice(0, -1)
  if (url.username !== '' || url.password !== '') return 'the URL holds a user or password; use a header'
  // The same host, and so the same name for whoever is asked and for whoever answers.
  if (url.hostname.endsWith('.')) url.hostname = url.hostname.slice(0, -1)
  if (url.hash !== '') return 'the URL holds a fragment (#…), which no server would see'
  if (scheme !== 'http' && scheme !== 'https') return `the scheme ${scheme} cannot be used`
  if (rule.schemes?.has(scheme) === false)
    return `the scheme ${scheme} is not granted (${[...rule.schemes].join(', ')})`
  if (!rule.methods.has(method)) return `the method ${method} is not granted (${[...rule.methods].join(', ')})`
  const [host, port] = [bareHost(url), portOf(url)]
  const isInstance = rule.hasInstances && parseAddress(host) !== undefined && endpoints.has(`${host}:${port}`)
  if (!isInstance && !rule.hosts.some((granted) => fits(granted, rule, host, port, scheme)))
    return hostRefusal(rule, host, port, scheme)
  if (rule.paths !== undefined) {
    // Two servers may read these differently, so a rule about paths cannot be kept with them.
    if (/%(2f|5c|2e|00)/i.test(url.pathname)) return 'the path holds encoded slashes or dots'
    if (!rule.paths.some((path) => path.test(url.pathname)))
      return `the path ${url.pathname.slice(0, 100)} is not granted`
  }
  return { url, host, port, isInstance }
}

function fits(granted: HostRule, rule: NetRule, host: string, port: number, scheme: string): boolean {
  const isHost = granted.isSuffix
    ? host.endsWith(granted.name) && host.length > granted.name.length
    : host === granted.name
  if (!isHost || (granted.scheme !== undefined && granted.scheme !== scheme)) return false
  if (rule.schemes === undefined && granted.scheme === undefined && scheme !== 'https') return false
  if (granted.port !== undefined) return granted.port === port
  return rule.ports === undefined ? port === (scheme === 'https' ? 443 : 80) : rule.ports.has(port)
}

function hostRefusal(rule: NetRule, host: string, port: number, scheme: string): string {
  const hosts = rule.hosts.map(({ name, isSuffix }) => (isSuffix ? `*${name}` : name))
  const granted = [...hosts, ...(rule.hasInstances ? ['the instances handed to this call'] : [])]
  const fields = scheme === 'http' && rule.schemes === undefined ? '"hosts", "ports", "schemes"' : '"hosts", "ports"'
  return `${scheme}://${host}:${port} is not granted (${granted.join(', ')}): add it to ${fields} in the manifest`
}
