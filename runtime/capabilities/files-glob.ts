/**
 * Which files of a root are granted. `*` stands for any characters within one name, `**` for any number of folders, once.
 * Neither stands for names that begin with a dot: those must be written out. Case counts. Matching takes no backtracking
 * beyond the last star, so that no pattern makes it slow. Pure.
 */
import { segmentProblem } from './files-path.ts'

export interface Glob {
  /** Parts before `**`, or all of them. */
  readonly head: readonly string[]
  /** Parts behind `**`; undefined without one. */
  readonly tail: readonly string[] | undefined
}

/** The pattern made ready, or what is wrong with it, in words. */
export function readGlob(pattern: string): Glob | string {
  if (pattern.startsWith('/')) return 'begins with "/"; patterns begin in their root'
  const parts = pattern.split('/')
  for (const part of parts) {
    const problem = segmentProblem(part)
    if (problem !== undefined) return problem
    if (/[?[\]{}!]/.test(part)) return 'has one of ?[]{}!; only * and ** stand for something'
    if (part !== '**' && part.includes('**')) return 'has ** beside other characters; it stands for whole folders'
  }
  const at = parts.indexOf('**')
  if (at === -1) return { head: parts, tail: undefined }
  if (parts.includes('**', at + 1)) return 'has more than one **'
  return { head: parts.slice(0, at), tail: parts.slice(at + 1) }
}

export function matchesGlob({ head, tail }: Glob, segments: readonly string[]): boolean {
  if (tail === undefined)
    return segments.length === head.length && head.every((part, at) => matches(part, segments[at]))
  const between = segments.length - head.length - tail.length
  if (between < 0 || (tail.length === 0 && between === 0)) return false
  return (
    head.every((part, at) => matches(part, segments[at])) &&
    segments.slice(head.length, head.length + between).every((name) => !name.startsWith('.')) &&
    tail.every((part, at) => matches(part, segments[head.length + between + at]))
  )
}

/** Whether a file beneath this folder (the root itself: no segments) could match. */
export function mayHold({ head, tail }: Glob, folder: readonly string[]): boolean {
  if (tail === undefined && folder.length >= head.length) return false
  return folder.every((name, at) => {
    const part = head[at]
    if (part !== undefined) return matches(part, name)
    // A folder behind `**` may also be one that the tail names.
    return !name.startsWith('.') || tail?.some((own) => matches(own, name)) === true
  })
}

function matches(part: string, name: string | undefined): boolean {
  if (name === undefined || (name.startsWith('.') && !part.startsWith('.'))) return false
  let [inPart, inName] = [0, 0]
  let [star, tried] = [-1, 0]
  while (inName < name.length) {
    if (part[inPart] === '*') {
      star = inPart
      tried = inName
      inPart += 1
    } else if (part[inPart] === name[inName]) {
      inPart += 1
      inName += 1
    } else if (star !== -1) {
      // The last star takes one character more; earlier ones need never be asked again.
      tried += 1
      inPart = star + 1
      inName = tried
    } else return false
  }
  while (part[inPart] === '*') inPart += 1
  return inPart === part.length
}
