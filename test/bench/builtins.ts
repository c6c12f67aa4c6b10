/** The plugins that come with Orchestry, as folders. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../support/source-tree.ts'

export const builtinDir = join(root, 'plugins-builtin')

/** The folder of a built-in; undefined where it is not there, so that its row can say so. */
export function findBuiltin(name: string): string | undefined {
  const path = join(builtinDir, name)
  return existsSync(join(path, 'plugin.ts')) ? path : undefined
}
