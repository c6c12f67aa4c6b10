/** Names of secrets: exact ones, because a pattern would grant what nobody has thought of yet. Pure. */

const form = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

export const isSecretName = (name: string): boolean => form.test(name)
export const secretNameRule =
  '1 to 64 letters, digits, dots, hyphens and underscores, of which the first is a letter or digit'

/** What is wrong with the names in a field of a grant; empty when nothing is. */
export function secretNameProblems(field: string, names: readonly string[]): string[] {
  return names
    .filter((name) => !isSecretName(name))
    .map((name) => `${field}: ${JSON.stringify(name)} is no name of a secret; it has ${secretNameRule}`)
}
