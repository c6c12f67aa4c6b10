/**
 * Makes the program of the sandbox process: one plain JavaScript file. Plain, because the process runs without a JIT and so
 * without the WebAssembly that type stripping needs; one file, because it may read nothing else of ours.
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

/** `.ts` in a source tree, `.js` in the published package, which has no sources to be compiled from. */
const extension = extname(fileURLToPath(import.meta.url))
const conditions = extension === '.ts' ? ['@orchestry/source'] : []
const beside = (name: string) => fileURLToPath(new URL(`./guest/${name}${extension}`, import.meta.url))

async function bundle(entry: string, options: Parameters<typeof build>[0]): Promise<string> {
  const result = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    target: 'node24',
    conditions,
    logLevel: 'silent',
    legalComments: 'none',
    ...options,
  })
  const text = result.outputFiles?.[0]?.text
  if (text === undefined) throw new Error(`${entry} was compiled to nothing`)
  return text
}

/**
 * Returns the path of the program inside `directory`; made once for each content. Only tests name defences of the bootstrap
 * to leave out.
 */
export async function buildSandboxProgram(directory: string, removedDefences = ''): Promise<string> {
  const bootstrap = await bundle(beside('bootstrap'), {
    format: 'iife',
    globalName: 'bootstrap',
    platform: 'neutral',
    define: { REMOVED_DEFENCES: JSON.stringify(removedDefences) },
  })
  const program = await bundle(beside('main'), {
    format: 'cjs',
    platform: 'node',
    define: { BOOTSTRAP_SOURCE: JSON.stringify(bootstrap) },
  })
  const hash = createHash('sha256').update(program).digest('hex').slice(0, 16)
  const path = join(directory, `sandbox-host-${hash}.cjs`)
  if (!existsSync(path)) {
    mkdirSync(directory, { recursive: true, mode: 0o755 })
    const partial = `${path}.${process.pid}`
    writeFileSync(partial, program, { mode: 0o644 })
    renameSync(partial, path)
  }
  return path
}
