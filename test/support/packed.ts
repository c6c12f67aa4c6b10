/** The two packages as npm would publish them, made from a copy of the sources: what others read meanwhile stays as it is. */
import { execFile } from 'node:child_process'
import { cp, mkdir, symlink } from 'node:fs/promises'
import { basename, delimiter, dirname, join, sep } from 'node:path'
import { promisify } from 'node:util'
import { root } from './source-tree.ts'

export interface PackedPackage {
  readonly name: string
  readonly version: string
  /** Path of the tarball. */
  readonly tarball: string
  /** What is in it, from the root of the package. */
  readonly files: readonly string[]
}

const needed = [
  ...['sdk', 'runtime', 'plugins-builtin', 'test/release/build.ts'],
  ...['package.json', 'tsconfig.json', '.gitignore', '.npmrc', 'LICENSE'],
]
const run = promisify(execFile)

/** As npm and the test runner hand it to what they run; a user's shell has none of it. */
const inherited = /^(NODE_TEST_CONTEXT$|INIT_CWD$|npm_(?!config_(registry|cache|userconfig|cafile|\w*proxy)$))/

/** The environment of a user's shell: with the Node and npm of the machine, not those of this project. */
export function userEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !inherited.test(name))
  const path = (process.env.PATH ?? '').split(delimiter).filter((part) => !part.endsWith(`node_modules${sep}.bin`))
  return { ...Object.fromEntries(kept), PATH: path.join(delimiter) }
}

/** Builds and packs in `directory`, which must be empty. */
export async function packPackages(directory: string): Promise<readonly PackedPackage[]> {
  const filter = (path: string) => !['node_modules', 'dist'].includes(basename(path))
  for (const path of needed) await cp(join(root, path), join(directory, path), { recursive: true, filter })
  await symlink(join(root, 'node_modules'), join(directory, 'node_modules'), 'junction')
  // Nearer than the link of the workspace, which leads back to the sources that were copied.
  const ownSdk = join(directory, 'runtime/node_modules/@orchestry/sdk')
  await mkdir(dirname(ownSdk), { recursive: true })
  await symlink(join(directory, 'sdk'), ownSdk, 'junction')

  await run(process.execPath, [join(directory, 'test/release/build.ts')], { cwd: directory })
  const pack = ['pack', '--ignore-scripts', '--json', './sdk', './runtime']
  const { stdout } = await run('npm', pack, { cwd: directory, env: userEnvironment() })
  const packed = JSON.parse(stdout) as (Omit<PackedPackage, 'tarball' | 'files'> & {
    filename: string
    files: { path: string }[]
  })[]
  return packed.map(({ name, version, filename, files }) => ({
    name,
    version,
    tarball: join(directory, filename),
    files: files.map(({ path }) => path),
  }))
}
