/**
 * What may stand in a configuration. Every text that came from somebody goes through here, and what does not have exactly the
 * form that is expected is refused: nothing is ever quoted, escaped or mended. Pure.
 */

const label = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?'
const nameForm = new RegExp(`^${label}$`)
const hostForm = new RegExp(`^${label}(?:\\.${label})*$`)
const pathForm = /^\/(?:[A-Za-z0-9._~-]+\/)*$/
const shownLength = 60

/** Thrown before anything is written. */
export class RefusedError extends Error {}

const refuse = (what: string, given: unknown, wanted: string): never => {
  const shown = JSON.stringify(given)?.slice(0, shownLength) ?? String(given)
  throw new RefusedError(`${what} ${shown} is not ${wanted}. Nothing was written; what was live stays live.`)
}

/** Of an app: as in a host name. */
export function appName(given: string): string {
  return nameForm.test(given) ? given : refuse('the app name', given, '1 to 63 of a-z, 0-9 and "-"')
}

export function hostName(given: string): string {
  const isFit = given.length <= 253 && hostForm.test(given)
  return isFit ? given : refuse('the host', given, 'a host name in lower case')
}

/** A prefix that begins and ends with a slash. */
export function pathPrefix(given: string): string {
  const isFit = given.length <= 1024 && pathForm.test(given) && !/\/\.{1,2}\//.test(given)
  return isFit ? given : refuse('the path', given, 'a path like /shop/ of A-Z a-z 0-9 . _ ~ - and "/"')
}

/** `127.0.0.1:8080`, `[::1]:8080`. */
export function endpointAddress({ host, port }: { host: string; port: number }): string {
  return `${ipAddress(host)}:${portNumber(port)}`
}

export function portNumber(given: number): number {
  return Number.isInteger(given) && given >= 1 && given <= 65_535 ? given : refuse('the port', given, '1 to 65535')
}

/** IPv6 in brackets. No names: who could change what a name means could move the traffic. */
export function ipAddress(given: string): string {
  if (isIpv4(given)) return given
  if (isIpv6(given)) return `[${given}]`
  return refuse('the address', given, 'an IPv4 or IPv6 address')
}

function isIpv4(text: string): boolean {
  const parts = text.split('.')
  return parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255)
}

/** Groups of hex digits, with one gap at most; neither zones nor an IPv4 address at the end. */
function isIpv6(text: string): boolean {
  if (!/^[0-9a-fA-F:]{2,39}$/.test(text)) return false
  const halves = text.split('::')
  if (halves.length > 2) return false
  const groups = halves.flatMap((half) => (half === '' ? [] : half.split(':')))
  const isFull = halves.length === 2 ? groups.length <= 7 : groups.length === 8
  return isFull && groups.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))
}

/** An absolute path of a directory or file of the machine, as an operator wrote it. */
export function systemPath(given: string): string {
  const isFit = given.length <= 256 && /^(?:\/[A-Za-z0-9_][A-Za-z0-9._-]*)+$/.test(given)
  return isFit ? given : refuse('the path', given, 'absolute, of A-Z a-z 0-9 . _ - and "/"')
}

/** A whole number of a setting. */
export function wholeNumber(given: number): number {
  return Number.isSafeInteger(given) && given >= 0 ? given : refuse('the number', given, 'whole and positive')
}
