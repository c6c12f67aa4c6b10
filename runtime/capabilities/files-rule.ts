/** A grant of files made ready to be asked, and what is wrong with it. */
import { instanceDir } from '@orchestry/sdk'
import { OrchestryError } from '../errors.ts'
import type { GrantOf } from './capability.ts'
import { type Glob, matchesGlob, mayHold, readGlob } from './files-glob.ts'
import { readPath } from './files-path.ts'
import { rootProblem } from './files-roots.ts'

type Access = 'read' | 'write'

export interface RootRule {
  readonly name: string
  /** As the operator wrote it. */
  readonly path: string
  readonly read: readonly Glob[]
  readonly write: readonly Glob[]
  /** It is the directory that was made for the instance, which is known only when it is used. */
  readonly isOwn: boolean
}

export interface FilesRule {
  readonly roots: ReadonlyMap<string, RootRule>
  readonly quotaBytes: number
  readonly fileBytes: number
  readonly filesMost: number
}

/** A granted place: the root and the way from it. */
export interface Place {
  readonly rule: RootRule
  readonly segments: readonly string[]
  /** `data:conf/app.yaml` */
  readonly label: string
}

const defaults = { quotaKb: 1_024, maxFileKb: 256, maxFiles: 256 }
/** Files take their space in blocks; counting them so, many tiny ones cannot take more than was granted. */
export const blockBytes = 4_096
const temporary = /^\.orchestry-[0-9a-f-]{36}\.tmp$/
const labelLength = 200

/** Of files that are being written. No pattern grants them. */
export const temporaryName = (id: string) => `.orchestry-${id}.tmp`
export const isTemporary = (name: string) => temporary.test(name)

export function readFilesRule(grant: GrantOf<'files'>, reserved: readonly string[], problems: string[]): FilesRule {
  const quotaKb = grant.quotaKb ?? defaults.quotaKb
  const maxFileKb = grant.maxFileKb ?? defaults.maxFileKb
  const roots = new Map<string, RootRule>()
  for (const { name, path, read = [], write = [] } of grant.roots) {
    if (roots.has(name)) problems.push(`two roots have the name "${name}"`)
    if (read.length + write.length === 0) problems.push(`the root "${name}" grants nothing; it needs read or write`)
    const isOwn = path === instanceDir
    const problem = isOwn ? undefined : rootProblem(path, reserved)
    if (problem !== undefined) problems.push(`the root "${name}": ${problem}`)
    const globs = (patterns: readonly string[]) =>
      patterns.flatMap((pattern) => {
        const glob = readGlob(pattern)
        if (typeof glob !== 'string') return [glob]
        problems.push(`the root "${name}": the pattern "${pattern}" ${glob}`)
        return []
      })
    roots.set(name, { name, path, read: globs(read), write: globs(write), isOwn })
  }
  const isWritable = grant.roots.some(({ write }) => write !== undefined)
  if (isWritable && quotaKb * 1024 < blockBytes)
    problems.push(`quotaKb is ${quotaKb}; every file counts as at least ${blockBytes / 1024} KB`)
  return {
    roots,
    quotaBytes: quotaKb * 1024,
    fileBytes: maxFileKb * 1024,
    filesMost: grant.maxFiles ?? defaults.maxFiles,
  }
}

export const labelOf = (root: string, path: string) => `${root}:${path}`.slice(0, labelLength)

export const denied = (label: string, why: string) =>
  new OrchestryError('ORC_CAPABILITY_DENIED', `ctx.files: ${label} ${why}`)

/** The place of a file, when the grant allows this with it. @throws ORC_CAPABILITY_DENIED */
export function findFile(rule: FilesRule, access: readonly Access[], root: string, path: string): Place {
  const place = findPlace(rule, root, path)
  const isFit = access.some((one) => isGranted(place.rule[one], place.segments))
  if (isFit) return place
  throw denied(place.label, `is not granted for ${access.join(' or ')}`)
}

/** The place of a folder that may hold granted files. The root itself is the empty path. @throws ORC_CAPABILITY_DENIED */
export function findFolder(rule: FilesRule, root: string, path: string): Place {
  const place = findPlace(rule, root, path)
  if (path === '' || mayBeWithin([...place.rule.read, ...place.rule.write], place.segments)) return place
  throw denied(place.label, 'holds nothing that is granted')
}

function findPlace(rule: FilesRule, root: string, path: string): Place {
  const label = labelOf(root, path)
  const found = rule.roots.get(root)
  if (found === undefined) throw denied(label, `has no granted root; there are: ${[...rule.roots.keys()].join(', ')}`)
  if (path === '') return { rule: found, segments: [], label }
  const segments = readPath(path)
  if (typeof segments === 'string') throw denied(label, segments)
  return { rule: found, segments, label }
}

export function isGranted(globs: readonly Glob[], segments: readonly string[]): boolean {
  return !isTemporary(segments.at(-1) ?? '') && globs.some((glob) => matchesGlob(glob, segments))
}

export const mayBeWithin = (globs: readonly Glob[], folder: readonly string[]): boolean =>
  globs.some((glob) => mayHold(glob, folder))
