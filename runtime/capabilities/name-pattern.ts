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

/** What is wrong with a pattern as such; empty when nothing is. */
export function patternProblems(field: string, patterns: readonly string[]): string[] {
  return patterns.flatMap((pattern) =>
    /^[A-Za-z][A-Za-z0-9._]*\*?$|^\*$/.test(pattern)
      ? []
      : [`${field}: "${pattern}" is neither a name nor the beginning of names (like "queue*")`],
  )
}
