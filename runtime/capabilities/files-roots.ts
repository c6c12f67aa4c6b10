/** Which directories may be granted at all: by their real paths, and never those that hold more power than files. */
import { realpathSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { absoluteProblem, pathsOverlap } from './path-overlap.ts'

/** Where files are doors: to processes, devices, kernel settings and the sockets of other programs. */
const systemPaths = ['/proc', '/sys', '/dev', '/run', '/var/run']

/** The path with every symlink resolved, as far as it exists. */
export function realPathOf(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    const above = dirname(path)
    return above === path ? path : join(realPathOf(above), path.slice(above.length))
  }
}

/**
 * Why the directory may not be a root, as the file system is now; undefined when it may. `reserved` are paths of this
 * Orchestry itself.
 */
export function rootProblem(path: string, reserved: readonly string[]): string | undefined {
  const spelled = absoluteProblem(path)
  if (spelled !== undefined) return spelled
  const real = realPathOf(path)
  if (real === '/' || normalize(path) === '/') return 'the whole file system cannot be granted'
  const forbidden = [...systemPaths, ...reserved]
  const met = forbidden.find((one) =>
    [one, realPathOf(one)].some((there) => pathsOverlap(real, there) || pathsOverlap(path, there)),
  )
  if (met === undefined) return undefined
  const whose = reserved.includes(met) ? 'belongs to Orchestry itself' : 'belongs to the system'
  return `"${path}" is, holds or lies in ${met}, which ${whose}; grant a directory that is made for the plugin`
}
