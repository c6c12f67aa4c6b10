/**
 * `npm run build`: makes what is published, from nothing. `sdk/dist` and `runtime/dist` are compiled; beside the compiled
 * runtime go what it reads as files (the built-in plugins, the demo's app), and into both packages goes the licence.
 */
import { execFileSync } from 'node:child_process'
import { cpSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const at = (path: string) => join(root, path)
const compiler = createRequire(import.meta.url).resolve('typescript/package.json')

/** The SDK first: the runtime is checked against what of it is published. */
const packages = ['sdk', 'runtime']
/** Where the runtime looks for them when it is installed. */
const copies: readonly (readonly [from: string, to: string])[] = [
  ['plugins-builtin', 'runtime/dist/plugins-builtin'],
  ['runtime/demo/app-server.js', 'runtime/dist/demo/app-server.js'],
  ...packages.map((name) => ['LICENSE', `${name}/LICENSE`] as const),
]

for (const name of packages) {
  rmSync(at(`${name}/dist`), { recursive: true, force: true })
  const project = at(`${name}/tsconfig.build.json`)
  execFileSync(process.execPath, [join(dirname(compiler), 'bin/tsc'), '-p', project], { stdio: 'inherit', cwd: root })
}
for (const [from, to] of copies) cpSync(at(from), at(to), { recursive: true, filter: isPublished })

function isPublished(path: string): boolean {
  return basename(path) !== 'node_modules' && !path.endsWith('.test.ts')
}
