/** What this machine offers for confining a process: tools, rights, and the files that a bare Node needs to run. */
import { execFile } from 'node:child_process'
import { accessSync, constants, readFileSync, realpathSync, statSync } from 'node:fs'
import { availableParallelism, release } from 'node:os'
import { delimiter, dirname, isAbsolute, join } from 'node:path'
import { promisify } from 'node:util'

export interface Machine {
  readonly isRoot: boolean
  /** Node itself, without links. */
  readonly node: string
  readonly architecture: string
  readonly processors: number
  /** Absolute path of a program, where it is installed. */
  tool(name: ToolName): string | undefined
  /** A right of ours that root usually has, and root in a container may not. */
  has(capability: keyof typeof capabilityBits): boolean
  /** Whether a limit on processes counts those of one user namespace only (Linux 5.14). */
  readonly countsByNamespace: boolean
  /** Files that the loader maps for these programs, itself included. Throws when the loader cannot tell. */
  libraries(files: readonly string[]): Promise<readonly string[]>
}

export type ToolName = 'bwrap' | 'setpriv' | 'prlimit'
const capabilityBits = { kill: 5, setgid: 6, setuid: 7, setpcap: 8 } as const
const usualPlaces = ['/usr/bin', '/bin', '/usr/sbin', '/sbin', '/usr/local/bin']
const listingMs = 2_000

export function readMachine(env: NodeJS.ProcessEnv = process.env): Machine {
  const places = [...usualPlaces, ...(env.PATH ?? '').split(delimiter).filter(isAbsolute)]
  const rights = effectiveRights()
  const [major = 0, minor = 0] = release().split('.').map(Number)
  return {
    isRoot: process.geteuid?.() === 0,
    node: realpathSync(process.execPath),
    architecture: process.arch,
    processors: availableParallelism(),
    tool: (name) => places.map((place) => join(place, name)).find(isProgram),
    has: (capability) => ((rights >> BigInt(capabilityBits[capability])) & 1n) === 1n,
    countsByNamespace: major > 5 || (major === 5 && minor >= 14),
    async libraries(files) {
      const loader = loaderOfThisProcess()
      const lists = await Promise.all(files.map((file) => listLibraries(loader, file)))
      return [...new Set(lists.flat())]
    },
  }
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

function effectiveRights(): bigint {
  try {
    const hex = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1]
    return hex === undefined ? 0n : BigInt(`0x${hex}`)
  } catch {
    return 0n
  }
}

/** The kernel has mapped it beside Node, which it was asked to start. */
function loaderOfThisProcess(): string {
  const loader = /\/\S*\/ld-(?:linux|musl)\S*/.exec(readFileSync('/proc/self/maps', 'latin1'))?.[0]
  if (loader === undefined) throw new Error('the loader of shared libraries could not be found in /proc/self/maps')
  return loader
}

async function listLibraries(loader: string, file: string): Promise<string[]> {
  const { stdout } = await promisify(execFile)(loader, ['--list', file], { timeout: listingMs, env: {} })
  // `name => path (address)`; the loader itself stands there under the path that programs ask for it by.
  return stdout
    .split('\n')
    .filter((line) => line.includes(' (0x'))
    .flatMap((line) => line.split(/\s+/).filter((word) => word.startsWith('/')))
}

/** The first directory or file on the way that other users may not pass or read; undefined when everybody may. */
export function closedToOthers(path: string): string | undefined {
  const steps = [path]
  while (dirname(steps[0] as string) !== steps[0]) steps.unshift(dirname(steps[0] as string))
  return steps.find((step) => (statSync(step).mode & (step === path ? 0o004 : 0o001)) === 0)
}
