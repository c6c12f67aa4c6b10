import type { LogLine } from '../drivers/driver.ts'

/**
 * What `now` has that `seen` had not, where both are the newest lines of one replica: as few as fit, because a quiet
 * replica is the usual case. Lines carry no number, so of a replica that repeats one line for ever some repetitions are lost.
 */
export function newLines(seen: readonly LogLine[], now: readonly LogLine[]): readonly LogLine[] {
  if (seen.length === 0) return now
  for (let count = Math.max(0, now.length - seen.length); count <= now.length; count += 1) {
    const kept = now.length - count
    if (endsWith(seen, now, kept)) return now.slice(kept)
  }
  return now
}

/** Whether `seen` ends with the first `length` lines of `now`. */
function endsWith(seen: readonly LogLine[], now: readonly LogLine[], length: number): boolean {
  const start = seen.length - length
  for (let index = length - 1; index >= 0; index -= 1) {
    const before = seen[start + index]
    const after = now[index]
    if (before?.line !== after?.line || before?.stream !== after?.stream) return false
  }
  return true
}
