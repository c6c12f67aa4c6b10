/** What happens to header fields on their way through. Pure; fields are flat lists of name, value, name, value. */

/** Fields that are about one connection (RFC 9110, 7.6.1) and never go further. */
const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])
/** What only the proxy may say of the client. Anything of this name that a client sends is a forgery. */
const ours = /^(x-forwarded-.*|forwarded|x-real-ip|host|expect)$/

export interface Forwarded {
  /** As the client sent it; empty for HTTP/1.0 without one. */
  readonly host: string
  readonly remoteAddress: string
  readonly protocol: 'http' | 'https'
  readonly prefix: string
}

export function requestHeaders(raw: readonly string[], forwarded: Forwarded): string[] {
  const fields: string[] = []
  const named = connectionTokens(raw)
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index] ?? ''
    const lower = name.toLowerCase()
    // Many app servers read x_forwarded_for as x-forwarded-for.
    if (hopByHop.has(lower) || ours.test(lower.replaceAll('_', '-')) || named?.has(lower)) continue
    fields.push(name, raw[index + 1] ?? '')
  }
  if (forwarded.host !== '') fields.push('Host', forwarded.host, 'X-Forwarded-Host', forwarded.host)
  fields.push('X-Forwarded-For', forwarded.remoteAddress, 'X-Forwarded-Proto', forwarded.protocol)
  if (forwarded.prefix !== '') fields.push('X-Forwarded-Prefix', forwarded.prefix)
  return fields
}

export function responseHeaders(raw: readonly (Buffer | string)[], origin: { host: string; prefix: string }): string[] {
  const texts = raw.map((field) => (typeof field === 'string' ? field : field.toString('latin1')))
  const fields: string[] = []
  const named = connectionTokens(texts)
  for (let index = 0; index + 1 < texts.length; index += 2) {
    const name = texts[index] ?? ''
    const lower = name.toLowerCase()
    if (hopByHop.has(lower) || named?.has(lower)) continue
    const value = texts[index + 1] ?? ''
    fields.push(name, lower === 'location' ? prefixedLocation(value, origin) : value)
  }
  return fields
}

/**
 * A server that believes to live at `/` redirects to `/login`; under a prefix the client must be told `/shop/login`.
 * One that honours X-Forwarded-Prefix says so already and is left alone, as is every other host.
 */
export function prefixedLocation(location: string, origin: { host: string; prefix: string }): string {
  if (origin.prefix === '') return location
  const start = /^https?:\/\/([^/?#]+)/i.exec(location)
  if (start !== null && start[1]?.toLowerCase() !== origin.host.toLowerCase()) return location
  const authority = start?.[0] ?? ''
  const path = location.slice(authority.length)
  if (!path.startsWith('/') || (authority === '' && path.startsWith('//'))) return location
  const isPrefixed = path.startsWith(`${origin.prefix}/`) || path === origin.prefix
  return isPrefixed ? location : authority + origin.prefix + path
}

/** The fields that a `Connection` field names as its own; undefined in the usual case that it names none. */
function connectionTokens(raw: readonly string[]): ReadonlySet<string> | undefined {
  let tokens: Set<string> | undefined
  for (let index = 0; index + 1 < raw.length; index += 2) {
    if (raw[index]?.toLowerCase() !== 'connection') continue
    for (const token of (raw[index + 1] ?? '').split(',')) {
      const name = token.trim().toLowerCase()
      if (name === '' || name === 'keep-alive' || name === 'close') continue
      tokens ??= new Set()
      tokens.add(name)
    }
  }
  return tokens
}
