/** What a plugin uses instead of a Node built-in: there are none where plugins run. */
import { builtinModules } from 'node:module'

const builtins = new Set(builtinModules.map((name) => name.replace(/^node:/, '')))

const net = 'use ctx.net (capability "net"); its hosts are granted by the operator'
const files = 'there is no file system; keep data in ctx.kv (capability "kv"), settings in the config'
const packaged = 'bundle a plain JavaScript package that does the same'
const nothing = 'a plugin is one script in one isolate; there is no replacement'

const replacements: ReadonlyMap<string, string> = new Map([
  ...['fs', 'path/posix', 'path/win32'].map((name) => [name, files] as const),
  ...['http', 'https', 'http2', 'net', 'tls', 'dgram', 'dns', 'undici'].map((name) => [name, net] as const),
  ['timers', 'use ctx.timers (capability "timers")'],
  ['crypto', 'use ctx.random (capability "random") for chance; for hashes, bundle a plain JavaScript package'],
  ['perf_hooks', 'use ctx.clock (capability "clock")'],
  ['console', 'use ctx.log (capability "log")'],
  ['process', 'settings come in the config; the time from ctx.clock'],
  ['os', 'settings come in the config'],
  ['sqlite', 'use ctx.kv (capability "kv")'],
  ...['child_process', 'cluster', 'worker_threads', 'vm', 'v8', 'module', 'inspector', 'wasi', 'repl'].map(
    (name) => [name, nothing] as const,
  ),
])

/** Node's own modules, with or without `node:`; also packages that only wrap one. */
export function isNodeBuiltin(specifier: string): boolean {
  if (specifier.startsWith('node:')) return true
  return builtins.has(specifier) || builtins.has(rootOf(specifier)) || replacements.has(specifier)
}

/** Why the import is refused and what to write instead. */
export function replacementFor(specifier: string): string {
  const name = rootOf(specifier.replace(/^node:/, ''))
  const instead = replacements.get(name) ?? packaged
  return `"${specifier}" needs Node, and plugins run without it: ${instead}`
}

const rootOf = (specifier: string) => specifier.split('/')[0] ?? specifier
