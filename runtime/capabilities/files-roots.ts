/** Which directories may be granted at all: by their real paths, and never those that hold more power than files. */
import { normalize } from 'node:path'
import { absoluteProblem } from './absolute-path.ts'
import { overlapping, realPathOf } from './real-path.ts'

/** Where files are doors: to processes, devices, kernel settings and the sockets of other programs. */
const systemPaths = ['/proc', '/sys', '/dev', '/run', '/var/run']

/**
 * Why the directory may not be a root, as the file system is now; undefined when it may. `reserved` are paths of this
 * Orchestry itself.
 */
export function rootProblem(path: string, reserved: readonly string[]): string | undefined {
  const spelled = absoluteProblem(path)
  if (spelled !== undefined) return spelled
  if (realPathOf(path) === '/' || normalize(path) === '/') return 'the whole file system cannot be granted'
  const met = overlapping(path, [...systemPaths, ...reserved])
  if (met === undefined) return undefined
  const whose = reserved.includes(met) ? 'belongs to Orchestry itself' : 'belongs to the system'
  return `"${path}" is, holds or lies in ${met}, which ${whose}; grant a directory that is made for the plugin`
}
