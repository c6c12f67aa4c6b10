/** The narrowest `net` grant that would have allowed what a plugin did. Pure. */
import type { GrantOf } from './capability.ts'
import { matchTarget, type NetRule, type NetTarget, readNetRule, readPath, shownPath } from './net-rule.ts'

/** How `shownTarget` writes instances, and one that stands for them here. */
const shownInstances = '//instances:*'
const anInstance = '192.0.2.1:1'
/** Of hosts and of paths in one grant. */
const most = 64

type Use = NetTarget & { readonly method: string }

export function narrowNet(grant: GrantOf<'net'>, targets: readonly string[]): GrantOf<'net'> | undefined {
  const rule = readNetRule(grant, [])
  const uses = targets.flatMap((target) => readUse(rule, target) ?? [])
  if (uses.length === 0) return undefined
  const named = uses.filter(({ isInstance }) => !isInstance)
  const { hosts: _hosts, ports: _ports, paths: _paths, addresses = ['public'], ...kept } = grant
  const paths = pathsOf(grant, uses)
  const ofHosts = addresses.filter((entry) => entry !== 'instances')
  const hasInstances = named.length < uses.length
  const schemes = distinct(uses.map(({ url }) => (url.protocol === 'https:' ? 'https' : 'http')))
  const ports = distinct(named.map(({ port }) => port))
  // Bare names where one scheme and port go for all; else each with its own.
  const isUniform = ports.length === 1 && schemes.length === 1
  const hosts = distinct(named.map(({ url, host }) => (isUniform ? host : url.origin)))
  if (hosts.length > most) return undefined
  return {
    ...kept,
    ...(named.length === 0 ? {} : { hosts, ports }),
    schemes,
    methods: distinct(uses.map(({ method }) => method)),
    ...(paths === undefined ? {} : { paths }),
    addresses: [...(named.length === 0 ? [] : ofHosts), ...(hasInstances ? ['instances'] : [])],
  }
}

/** Undefined for what the grant does not allow: nothing may come out wider than it. */
function readUse(rule: NetRule, shown: string): Use | undefined {
  const [method = '', address = ''] = shown.split(' ')
  const target = matchTarget(rule, address.replace(shownInstances, `//${anInstance}`), method, new Set([anInstance]))
  return typeof target === 'string' ? undefined : { ...target, method }
}

/** A path that was used, as it stands; where that cannot be written as an exact path, what was granted for it. */
function pathsOf({ paths }: GrantOf<'net'>, uses: readonly Use[]): string[] | undefined {
  const narrowed = new Set<string>()
  for (const { url } of uses) {
    const path = url.pathname
    if (isExact(path)) narrowed.add(path)
    else if (paths === undefined) return undefined
    else for (const granted of paths.filter((pattern) => readPath(pattern, [])?.test(path))) narrowed.add(granted)
  }
  return narrowed.size > most ? paths : [...narrowed].sort()
}

const isExact = (path: string) =>
  path.length < shownPath && !path.includes('*') && !path.endsWith('/') && readPath(path, []) !== undefined

const distinct = <T extends string | number>(values: readonly T[]): T[] => [...new Set(values)].sort()
