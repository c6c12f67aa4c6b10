/** Did you mean …? Pure. */

/** The one of `known` that `given` is probably a slip of: other capitals, a few letters off, or cut short (`cpu`, `cpuPercent`). */
export function nearest(given: string, known: readonly string[]): string | undefined {
  const lower = given.toLowerCase()
  const allowed = Math.max(1, Math.floor(given.length / 3))
  let best: { name: string; distance: number } | undefined
  for (const name of known) {
    // Lengths that differ by more than is allowed cannot be near: keeps the work small for absurdly long names.
    if (Math.abs(name.length - given.length) > allowed) continue
    const distance = editDistance(lower, name.toLowerCase())
    if (distance <= allowed && distance < (best?.distance ?? Number.POSITIVE_INFINITY)) best = { name, distance }
  }
  return best?.name ?? known.find((name) => isCutShort(lower, name.toLowerCase()))
}

const isCutShort = (one: string, other: string) =>
  Math.min(one.length, other.length) >= 3 && (one.startsWith(other) || other.startsWith(one))

/** Letters put in, left out, replaced, or swapped with their neighbour. */
function editDistance(from: string, to: string): number {
  const rows: number[][] = [Array.from({ length: to.length + 1 }, (_, index) => index)]
  const at = (row: number, column: number) => rows[row]?.[column] ?? Number.POSITIVE_INFINITY
  for (let row = 1; row <= from.length; row++) {
    const current = [row]
    rows.push(current)
    for (let column = 1; column <= to.length; column++) {
      const isSame = from[row - 1] === to[column - 1]
      const isSwapped = from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]
      current.push(
        Math.min(
          at(row - 1, column) + 1,
          at(row, column - 1) + 1,
          at(row - 1, column - 1) + (isSame ? 0 : 1),
          isSwapped ? at(row - 2, column - 2) + 1 : Number.POSITIVE_INFINITY,
        ),
      )
    }
  }
  return at(from.length, to.length)
}
