/** Where an app answers, as a link a browser may follow. */
import type { Snapshot } from '../dashboard.ts'

type Route = Snapshot['apps'][number]['route']

/**
 * The app's own URL through the proxy, or undefined where there is none. An app without a host of its own is under the name
 * by which this page was reached: what listens everywhere (0.0.0.0) is no name to go to.
 */
export function appUrl({ host, path }: Route, proxy: Snapshot['proxy'], pageHost: string): string | undefined {
  if (!proxy) return undefined
  const isEverywhere = proxy.host === '0.0.0.0' || proxy.host === '::'
  const bare = host ?? (isEverywhere ? pageHost : proxy.host)
  const name = bare.includes(':') && !bare.startsWith('[') ? `[${bare}]` : bare
  const base = `http://${name}:${proxy.port}`
  const url = URL.canParse(base) ? new URL(base) : undefined
  // Whatever else was in the name would have become a user, a path or another host.
  if (url?.hostname !== name.toLowerCase() || url.username !== '' || url.pathname !== '/') return undefined
  url.pathname = path
  return url.href
}
