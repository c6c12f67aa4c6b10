/** Reads a path inside a granted root. It is taken as it stands: nothing in it is decoded, folded or resolved. Pure. */

const pathBytes = 1024
const segmentBytes = 255
const segmentsMost = 64

/** The names between the slashes, or what is wrong with the path, in words. The text may come from anybody. */
export function readPath(path: string): readonly string[] | string {
  // The length comes first, so that a huge path costs nothing.
  if (path.length > pathBytes || Buffer.byteLength(path) > pathBytes) return `is longer than ${pathBytes} bytes`
  const segments = path.split('/')
  if (segments.length > segmentsMost) return `has more than ${segmentsMost} parts`
  if (path.startsWith('/')) return 'is absolute; paths begin in their root'
  for (const segment of segments) {
    const problem = segmentProblem(segment)
    if (problem !== undefined) return problem
  }
  return segments
}

/** Also for parts of globs, which may name nothing that a path may not. */
export function segmentProblem(segment: string): string | undefined {
  if (segment === '') return 'has an empty part'
  if (segment === '.' || segment === '..') return 'has a part "." or ".."'
  if (segment.includes('\\')) return 'has a backslash'
  if (!segment.isWellFormed() || hasControls(segment)) return 'has characters that no name should have'
  // Such names are only ever tried to see whether somebody decodes them.
  if (/%(2e|2f|5c|00)/i.test(segment)) return 'has encoded characters; they would not be decoded'
  if (Buffer.byteLength(segment) > segmentBytes) return `has a part longer than ${segmentBytes} bytes`
  return undefined
}

const hasControls = (text: string) => Array.from(text).some((character) => character < ' ' || character === '\x7f')
