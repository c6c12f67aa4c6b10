/** Turns a place in a bundle into the place in the author's file. */
import { SourceMap, type SourceMapPayload } from 'node:module'

/** The bundle is run as the body of a function, whose head takes two lines. */
const linesBefore = 2

/** `plugin.js:14:7` → `queue.ts:3:12`; what cannot be found stays as it is. */
export function createBlame(map: string): (place: string) => string {
  let parsed: SourceMap | undefined
  return (place) => {
    const match = /^plugin\.js:(\d+):(\d+)$/.exec(place)
    if (match === null || map === '') return place
    try {
      parsed ??= new SourceMap(JSON.parse(map) as SourceMapPayload)
      const entry = parsed.findEntry(Number(match[1]) - 1 - linesBefore, Number(match[2]) - 1)
      if (!('originalSource' in entry) || entry.originalSource === undefined) return place
      return `${entry.originalSource}:${entry.originalLine + 1}:${entry.originalColumn + 1}`
    } catch {
      return place
    }
  }
}
