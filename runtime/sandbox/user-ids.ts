/** User ids for sandbox processes: nobody else's, and each used for one process only. */
import { randomInt } from 'node:crypto'
import { readFileSync } from 'node:fs'

interface Range {
  readonly from: number
  readonly to: number
}

/** The first is assigned by nobody; the second is left to services that make up users, for where few ids exist. */
const wanted: readonly Range[] = [
  { from: 1_879_048_192, to: 2_147_483_646 },
  { from: 61_184, to: 65_519 },
]

/** Begins somewhere, so that two Orchestries on one machine do not meet. Undefined where no such id exists. */
export function createUserIds(uidMap = readMap()): (() => number) | undefined {
  const range = wanted.find(({ from, to }) => uidMap.some((mapped) => mapped.from <= from && to <= mapped.to))
  if (range === undefined) return undefined
  let next = randomInt(range.from, range.to + 1)
  return () => {
    const uid = next
    next = next === range.to ? range.from : next + 1
    return uid
  }
}

/** Which ids exist in the user namespace of this process: `inside outside length` a line. */
export function parseIdMap(text: string): Range[] {
  return text
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .map(([from = 0, , length = 0]) => ({ from, to: from + length - 1 }))
}

function readMap(): Range[] {
  try {
    return parseIdMap(readFileSync('/proc/self/uid_map', 'latin1'))
  } catch {
    return []
  }
}
