/** What an answer that redirects asks for, by the fetch standard. Pure; whether it may go there is decided elsewhere. */

export interface Sent {
  readonly url: URL
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
}

export type NextHop = Omit<Sent, 'url'> & {
  /** Absolute where it can be read, and without a fragment; else as the answer had it. */
  readonly address: string
}

const statuses = new Set([301, 302, 303, 307, 308])
const ofBody = new Set(['content-encoding', 'content-language', 'content-location', 'content-type'])
const ofOrigin = new Set(['authorization', 'cookie'])

export const isRedirect = (status: number, location: string | undefined): location is string =>
  statuses.has(status) && location !== undefined

/** `secretHeaders` hold what was meant for the first origin alone. */
export function nextHop(sent: Sent, status: number, location: string, secretHeaders: ReadonlySet<string>): NextHop {
  const url = URL.parse(location, sent.url.href)
  if (url !== null) url.hash = ''
  const becomesGet =
    (status === 303 && sent.method !== 'GET' && sent.method !== 'HEAD') ||
    ((status === 301 || status === 302) && sent.method === 'POST')
  const isForeign = url?.origin !== sent.url.origin
  const headers = Object.entries(sent.headers).filter(
    ([name]) => !(becomesGet && ofBody.has(name)) && !(isForeign && (ofOrigin.has(name) || secretHeaders.has(name))),
  )
  return {
    address: url?.href ?? location,
    method: becomesGet ? 'GET' : sent.method,
    headers: Object.fromEntries(headers),
    body: becomesGet ? undefined : sent.body,
  }
}
