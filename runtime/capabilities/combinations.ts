/** Grants that are harmless one by one and not together: who may write what another grant runs may do anything. Pure. */
import { basename, dirname } from 'node:path'
import { type CapabilityRecord, instanceDir } from '@orchestry/sdk'
import { isWithin, pathsOverlap } from './absolute-path.ts'

/** Programs that run what a file tells them. */
const interpreters =
  /^(?:python|pypy|node|nodejs|deno|bun|perl|ruby|irb|php|lua|luajit|tclsh|wish|guile|gawk|mawk|awk|sed|make|java|osascript)[\d.]*$/

/** What is wrong with these grants of one plugin, in words; empty when nothing is. `realPath` resolves what links lead to. */
export function combinationProblems(
  grants: readonly CapabilityRecord[],
  realPath: (path: string) => string = (path) => path,
): string[] {
  const writable = grants.flatMap((grant) => (grant.kind === 'files' ? grant.roots : [])).filter(({ write }) => write)
  const commands = grants.flatMap((grant) => (grant.kind === 'exec' ? grant.commands : []))
  const sockets = grants.flatMap((grant) => (grant.kind === 'unix' ? grant.paths : []))
  const both = (path: string) => [path, realPath(path)]
  // What works in the plugin's own directory runs what it finds there.
  const own = commands.flatMap(({ name, path, workingDir }) =>
    workingDir !== undefined && writable.length > 0 && both(path).some((one) => interpreters.test(basename(one)))
      ? [`the command "${name}" is an interpreter and works where the plugin writes: it would run what it finds there`]
      : [],
  )
  const met = writable
    .filter(({ path }) => path !== instanceDir)
    .flatMap((root) => {
      const folders = both(root.path)
      const meets = (path: string) =>
        folders.some((folder) => both(path).some((one) => pathsOverlap(folder, dirname(one))))
      const holds = (path: string) => folders.some((folder) => both(path).some((one) => isWithin(one, folder)))
      const ran = commands.flatMap((command) => {
        const pair = `the root "${root.name}" (${root.path}) can be written, and the command "${command.name}"`
        if (meets(command.path))
          return [
            `${pair} runs ${command.path}: a plugin must not write what it may run; use a directory apart from it`,
          ]
        if (!both(command.path).some((path) => interpreters.test(basename(path)))) return []
        const told = command.args?.find((arg) => /\{[^}]*:token\}/.test(arg) || pathsIn(arg).some(holds))
        return told === undefined
          ? []
          : [`${pair} runs what "${told}" names: a plugin must not write a program that it may run`]
      })
      const bound = sockets
        .filter(holds)
        .map((path) => `the root "${root.name}" (${root.path}) can be written, and the socket ${path} lies in it`)
      return [...ran, ...bound]
    })
  return [...own, ...met]
}

/** Absolute paths in an argument such as `--config=/etc/x`. */
const pathsIn = (arg: string) => [...arg.matchAll(/\/[^\s'":=,{}]*/g)].map(([path]) => path)
