/** From what a plugin may touch to what it did touch. Pure. */
import type { GrantOf } from './capability.ts'
import { readGlob } from './files-glob.ts'
import { readPath } from './files-path.ts'
import { isGranted } from './files-rule.ts'

const patternsMost = 64

/** Targets are `read data:conf/app.yaml`. Who listed a root goes on seeing all of it. */
export function narrowFiles(grant: GrantOf<'files'>, targets: readonly string[]): GrantOf<'files'> | undefined {
  const used = targets.flatMap((target) => {
    const match = /^(\w+) (\w+):(.*)$/s.exec(target)
    return match === null ? [] : [{ operation: match[1] ?? '', root: match[2] ?? '', path: match[3] ?? '' }]
  })
  const roots = grant.roots.flatMap((root) => {
    const here = used.filter((one) => one.root === root.name)
    const pathsOf = (...operations: string[]) =>
      here.filter(({ operation }) => operations.includes(operation)).map(({ path }) => path)
    const isListed = pathsOf('list').length > 0
    const looked = pathsOf('stat')
    const read = isListed ? root.read : narrowGlobs(root.read, [...pathsOf('read', 'tail'), ...looked])
    const write = narrowGlobs(root.write, pathsOf('write', 'remove'))
    // Looking at a file is granted by writing it too.
    const kept = write ?? (read === undefined && (isListed || looked.length > 0) ? root.write : undefined)
    const { read: _read, write: _write, ...rest } = root
    if (read === undefined && kept === undefined) return []
    return [{ ...rest, ...(read === undefined ? {} : { read }), ...(kept === undefined ? {} : { write: kept }) }]
  })
  return roots.length === 0 ? undefined : { ...grant, roots }
}

/** The paths themselves where they can stand as patterns; otherwise the patterns that granted them. */
function narrowGlobs(patterns: readonly string[] | undefined, paths: readonly string[]): string[] | undefined {
  if (patterns === undefined) return undefined
  const globs = patterns.map(readGlob).filter((glob) => typeof glob !== 'string')
  const granted = [...new Set(paths)].filter((path) => {
    const segments = readPath(path)
    return typeof segments !== 'string' && isGranted(globs, segments)
  })
  if (granted.length === 0) return undefined
  const canStand = granted.every(
    (path) => path.length <= 256 && !path.includes('*') && typeof readGlob(path) !== 'string',
  )
  return canStand && granted.length <= patternsMost ? granted.sort() : [...patterns]
}
