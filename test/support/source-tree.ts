/** The repository as the house rules see it: its files, and who imports whom. */
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, posix, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface SourceFile {
  /** From the root of the repository, with forward slashes. */
  readonly path: string
  readonly text: string
  /** The text without comments. */
  readonly code: string
  readonly imports: readonly Import[]
}

export interface Import {
  /** As written, or for a file of ours its path from the root. */
  readonly target: string
  /** `import type`, `export type … from` or `import('…')` in a type: gone at run time. */
  readonly isType: boolean
  readonly names: string
}

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

const folders = ['runtime', 'sdk', 'plugins-builtin', 'plugins-examples', 'test']

/** Every source file (`.ts`, `.tsx`, `.js`) below the given folders, without what was installed or built. */
export function readSources(below: readonly string[] = folders): SourceFile[] {
  return below
    .flatMap((folder) => globSync(`${folder}/**/*.{ts,tsx,js}`, { cwd: root, exclude: isForeign }))
    .map((path) => path.split(sep).join('/'))
    .sort()
    .map((path) => {
      const text = readFileSync(join(root, path), 'utf8')
      const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '')
      return { path, text, code, imports: importsOf(path, code) }
    })
}

const isForeign = (path: string) => /(^|[\\/])(node_modules|dist|public)([\\/]|$)/.test(path)

/**
 * Expressions are enough here, because the formatter puts every import at the beginning of a line, keeps `from` with its quoted
 * name, and the type checker refuses an import that is not marked as a type although it is only one (verbatimModuleSyntax).
 */
function importsOf(path: string, code: string): Import[] {
  const statements = code.matchAll(
    /^(?:import|export)(?:(?<type> type)? (?<names>[^'";=()]*?) from)? ['"](?<target>[^'"\n]+)['"]/gm,
  )
  const inline = code.matchAll(/(?<await>\bawait )?\bimport\(\s*['"](?<target>[^'"\n]+)['"]\s*\)/g)
  return [
    ...[...statements].map(({ groups }) => ({
      isType: groups?.type !== undefined,
      names: groups?.names ?? '',
      target: groups?.target,
    })),
    ...[...inline].map(({ groups }) => ({ isType: groups?.await === undefined, names: '', target: groups?.target })),
  ].map(({ isType, names, target = '' }) => ({
    isType,
    names,
    target: target.startsWith('.') ? resolveFrom(path, target) : target,
  }))
}

const resolveFrom = (path: string, target: string) => posix.normalize(posix.join(posix.dirname(path), target))

export const exists = (path: string): boolean => existsSync(join(root, path))
export const fromRoot = (path: string): string => relative(root, path).split(sep).join('/')
