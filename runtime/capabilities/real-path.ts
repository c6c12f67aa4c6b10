/** Where paths lead on this machine, as its file system is now. */
import { realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pathsOverlap } from './absolute-path.ts'

/** The path with every symlink resolved, as far as it exists. */
export function realPathOf(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    const above = dirname(path)
    return above === path ? path : join(realPathOf(above), path.slice(above.length))
  }
}

/** The first of these that the path is, holds or lies in, as both are written or where they lead. */
export function overlapping(path: string, others: readonly string[]): string | undefined {
  const real = realPathOf(path)
  return others.find((one) =>
    [one, realPathOf(one)].some((there) => pathsOverlap(real, there) || pathsOverlap(path, there)),
  )
}
