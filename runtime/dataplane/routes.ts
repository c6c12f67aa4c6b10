/** Which app a request belongs to: exact host before any host, then the longest path prefix. Pure. */
import type { Route } from '@orchestry/sdk'

export interface Routed<T> {
  readonly owner: T
  /** What was taken off the path, without its last slash; empty when nothing was. */
  readonly prefix: string
  /** Path and query as the replica gets them. */
  readonly path: string
}
export type RouteMatch<T> = Routed<T> | { readonly redirect: string } | undefined

export interface RouteTable<T> {
  readonly byHost: ReadonlyMap<string, ReadonlyMap<string, T>>
  readonly longestPath: number
}

const anyHost = ''

/** Of two owners of one route the first keeps it, so that a mistake elsewhere does not move traffic that already flows. */
export function buildRoutes<T>(routes: Iterable<readonly [Route, T]>): RouteTable<T> {
  const byHost = new Map<string, Map<string, T>>()
  let longestPath = 1
  for (const [route, owner] of routes) {
    const host = route.host === undefined ? anyHost : normalizeHost(route.host)
    const path = normalizePath(route.path)
    const paths = byHost.get(host) ?? new Map<string, T>()
    byHost.set(host, paths)
    if (!paths.has(path)) paths.set(path, owner)
    longestPath = Math.max(longestPath, path.length)
  }
  return { byHost, longestPath }
}

/** `host` as the client sent it; `target` is path and query. The redirect adds the slash that a prefix needs. */
export function matchRoute<T>(table: RouteTable<T>, host: string, target: string): RouteMatch<T> {
  const cut = target.indexOf('?')
  const path = cut < 0 ? target : target.slice(0, cut)
  const query = cut < 0 ? '' : target.slice(cut)
  const named = normalizeHost(host)
  const matchIn = (paths: ReadonlyMap<string, T> | undefined) =>
    paths && matchPath(paths, path, query, table.longestPath)
  return (named === anyHost ? undefined : matchIn(table.byHost.get(named))) ?? matchIn(table.byHost.get(anyHost))
}

function matchPath<T>(paths: ReadonlyMap<string, T>, path: string, query: string, longest: number): RouteMatch<T> {
  if (path.length < longest && paths.has(`${path}/`)) return { redirect: `${path}/${query}` }
  // No prefix is longer than the longest route, so a hostile path of a thousand slashes costs no more than a long one.
  let end = path.lastIndexOf('/', longest - 1)
  while (end >= 0) {
    const owner = paths.get(path.slice(0, end + 1))
    if (owner !== undefined) return { owner, prefix: path.slice(0, end), path: path.slice(end) + query }
    end = end === 0 ? -1 : path.lastIndexOf('/', end - 1)
  }
  return undefined
}

/** Lower case, without port and final dot. An IPv6 literal keeps its brackets. */
export function normalizeHost(host: string): string {
  const bare = host.startsWith('[') ? host.slice(0, host.indexOf(']') + 1) : (host.split(':', 1)[0] ?? '')
  return bare.toLowerCase().replace(/\.$/, '')
}

function normalizePath(path: string): string {
  const inner = path.replace(/^\/+|\/+$/g, '')
  return inner === '' ? '/' : `/${inner}/`
}
