/** Names granted to a plugin: exact, or everything behind a `*` at the end (`queue*`, `acme.*`). Pure. */
export function matchesName(patterns: readonly string[], name: string): boolean {
  return patterns.some((pattern) => (pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : pattern === name))
}

/** Whether any name could fit both patterns. */
export function overlaps(a: string, b: string): boolean {
  const [stemA, stemB] = [a.replace(/\*$/, ''), b.replace(/\*$/, '')]
  if (a.endsWith('*') && b.endsWith('*')) return stemA.startsWith(stemB) || stemB.startsWith(stemA)
  return matchesName([a], b) || matchesName([b], a)
}

/** More names than this are no narrower a list than the patterns they stand for. */
const mostNames = 64

/** The names that were used instead of the patterns that allowed them; nothing where none was. */
export function narrowNames(
  patterns: readonly string[] | undefined,
  used: readonly string[],
): readonly string[] | undefined {
  const names = [...new Set(used)].filter((name) => matchesName(patterns ?? [], name)).sort()
  if (names.length === 0) return undefined
  return names.length > mostNames ? patterns : names
}

/** Of targets that begin with a word (`emit acme.jobDone`), what follows it. */
export function targetsOf(word: string, targets: readonly string[]): string[] {
  return targets.flatMap((target) => (target.startsWith(`${word} `) ? [target.slice(word.length + 1)] : []))
}

/** What is wrong with a pattern as such; empty when nothing is. */
export function patternProblems(field: string, patterns: readonly string[]): string[] {
  return patterns.flatMap((pattern) =>
    /^[A-Za-z][A-Za-z0-9._]*\*?$|^\*$/.test(pattern)
      ? []
      : [`${field}: "${pattern}" is neither a name nor the beginning of names (like "queue*")`],
  )
}
