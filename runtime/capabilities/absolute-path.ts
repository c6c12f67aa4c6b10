/** Absolute paths as texts: how they should be written, and how two of them lie to each other. Pure. */
import { normalize } from 'node:path'

/** Whether one of the two is the other, or lies inside it. Both absolute and without `..`. */
export const pathsOverlap = (a: string, b: string): boolean => isWithin(a, b) || isWithin(b, a)

/** Whether `path` is `folder` or lies inside it. */
export function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith('/') ? folder : `${folder}/`)
}

/** What is wrong with an absolute path in a manifest, as a text. */
export function absoluteProblem(path: string): string | undefined {
  if (!path.startsWith('/')) return `"${path}" is not absolute`
  if (path.includes('\0')) return 'the path has a NUL character'
  const plain = normalize(path).replace(/(.)\/$/, '$1')
  return plain === path.replace(/(.)\/$/, '$1') ? undefined : `"${path}" is not plain; write "${plain}"`
}
