/** Which apps answer under which host names: exact host before any host, then the longest path. Pure. */
import type { Upstream } from '@orchestry/sdk'
import { appName, hostName, pathPrefix } from './tokens.ts'

export interface RoutedApp {
  readonly app: string
  readonly path: string
}
export interface Server {
  /** Absent: every host that no other server has. */
  readonly host?: string
  /** In order of their paths. */
  readonly apps: readonly RoutedApp[]
}

/** The server for any host is always there, as the last one. Of two apps with one route the first by name keeps it. */
export function serversOf(upstreams: Iterable<Pick<Upstream, 'app' | 'route'>>): Server[] {
  const byHost = new Map<string, Map<string, string>>([['', new Map()]])
  const inOrder = [...upstreams].sort((a, b) => (a.app < b.app ? -1 : 1))
  for (const { app, route } of inOrder) {
    const host = route.host === undefined ? '' : hostName(route.host)
    const path = pathPrefix(route.path)
    const paths = byHost.get(host) ?? new Map<string, string>()
    byHost.set(host, paths)
    if (!paths.has(path)) paths.set(path, appName(app))
  }
  const any = byHost.get('') ?? new Map<string, string>()
  byHost.delete('')
  const named = [...byHost].sort(([a], [b]) => (a < b ? -1 : 1))
  const servers = named.map(([host, paths]) => ({ host, apps: listOf(withFallback(paths, any)) }))
  return [...servers, { apps: listOf(any) }]
}

/** What the host's own apps leave open is answered by those for any host. */
function withFallback(own: ReadonlyMap<string, string>, any: ReadonlyMap<string, string>): Map<string, string> {
  const all = new Map(own)
  for (const [path, app] of any) if (![...own.keys()].some((taken) => path.startsWith(taken))) all.set(path, app)
  return all
}

const listOf = (paths: ReadonlyMap<string, string>): RoutedApp[] =>
  [...paths].map(([path, app]) => ({ app, path })).sort((a, b) => (a.path < b.path ? -1 : 1))
