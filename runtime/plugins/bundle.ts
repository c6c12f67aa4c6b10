/**
 * Compiles a package to one script, the body of `function (module, exports)`. The SDK's `Type` becomes its small twin for
 * guests, so that an activation does not compile 200 KB of schema library that only the host needs.
 */
import { createHash } from 'node:crypto'
import { realpathSync } from 'node:fs'
import { dirname, extname, join, relative, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type BuildFailure, type BuildOptions, build, type OnResolveArgs, type Plugin } from 'esbuild'
import { OrchestryError, type Problem } from '../errors.ts'
import { limits } from '../limits.ts'
import { isNodeBuiltin, replacementFor } from './builtins-of-node.ts'
import { isInside } from './tree.ts'

export interface CompiledBundle {
  /** Sets `module.exports.default` to what the plugin exports by default. */
  readonly source: string
  /** Source map (JSON) from the bundle to the package's files. */
  readonly map: string
  /** sha-256 of `source`, in hex. */
  readonly hash: string
}

const ourPath = (specifier: string) => realpathSync(fileURLToPath(import.meta.resolve(specifier)))
/** The SDK this runtime was built with: a plugin never brings its own, so that hooks and host always agree. */
const sdkEntry = ourPath('@orchestry/sdk')
const sdkDir = dirname(sdkEntry)
const guestType = join(sdkDir, `guest-type${extname(sdkEntry)}`)
const typeboxDir = dirname(ourPath('typebox'))
const inNodeModules = (path: string) => path.includes(`${sep}node_modules${sep}`)

/** The folder whose files go into every bundle beside the plugin's own. */
export const bundledSdkDir = sdkDir

/** @throws ORC_PLUGIN_BUNDLE_FAILED with file, line and column of everything that is wrong. */
export async function bundlePlugin(dir: string, entry: string): Promise<CompiledBundle> {
  const shared: BuildOptions = {
    absWorkingDir: dir,
    bundle: true,
    write: false,
    platform: 'neutral',
    target: 'es2022',
    mainFields: ['module', 'main'],
    conditions: ['@orchestry/source'],
    charset: 'utf8',
    legalComments: 'none',
    logLevel: 'silent',
    // The package's own tsconfig could name files outside of it.
    tsconfigRaw: {},
    supported: { 'top-level-await': false },
    logOverride: { 'unsupported-dynamic-import': 'error', 'unsupported-require-call': 'error' },
  }
  const compiled = await compile(dir, {
    ...shared,
    entryPoints: [{ in: `./${entry}`, out: 'bundle' }],
    outdir: dir,
    format: 'cjs',
    sourcemap: 'external',
    // Comments would name where the package lies, and the same package must give the same bundle everywhere.
    minifyWhitespace: true,
    minifySyntax: true,
    lineLimit: 160,
    plugins: [packageBoundary(dir)],
  })
  const bytes = Buffer.byteLength(compiled.source)
  if (bytes > limits.bundleBytes)
    throw failed(dir, [
      { path: entry, message: `the bundle is ${bytes} bytes; ${limits.bundleBytes} are allowed. Import less.` },
    ])
  return { ...compiled, hash: createHash('sha256').update(compiled.source).digest('hex') }
}

async function compile(dir: string, options: BuildOptions): Promise<{ source: string; map: string }> {
  try {
    const { outputFiles = [], metafile } = await build({ ...options, metafile: true })
    const strays = Object.keys(metafile.inputs).flatMap((input) => strayProblem(dir, input))
    if (strays.length > 0) throw failed(dir, strays)
    const textOf = (ending: string) => outputFiles.find((file) => file.path.endsWith(ending))?.text ?? ''
    return { source: textOf('.js'), map: textOf('.js.map') }
  } catch (thrown) {
    const errors = (thrown as Partial<BuildFailure>).errors
    if (errors === undefined) throw thrown
    throw failed(
      dir,
      errors.map(({ text, location }) =>
        location === null
          ? { path: '', message: text }
          : { path: location.file, message: text, line: location.line, column: location.column + 1 },
      ),
      thrown,
    )
  }
}

/**
 * `import('../x/' + name)` is widened by esbuild to every file that could be meant, without asking the resolver: so what
 * came in is looked at once more.
 */
function strayProblem(dir: string, input: string): Problem[] {
  if (input.startsWith('(disabled):')) return []
  const path = resolve(dir, input)
  const isAllowed = [dir, sdkDir, typeboxDir].some((root) => isInside(root, path)) || inNodeModules(path)
  return isAllowed ? [] : [{ path: input, message: 'is outside of the package' }]
}

function failed(dir: string, problems: readonly Problem[], cause?: unknown): OrchestryError {
  const lines = problems.slice(0, 8).map(({ path, message, line, column }) => {
    return line === undefined ? `${path || dir}: ${message}` : `${path}:${line}:${column}: ${message}`
  })
  const more = problems.length > 8 ? `\n(and ${problems.length - 8} more)` : ''
  return new OrchestryError(
    'ORC_PLUGIN_BUNDLE_FAILED',
    `${lines.join('\n')}${more}\nNothing was installed or changed.`,
    cause === undefined ? { problems } : { problems, cause },
  )
}

/** Decides what a plugin may import: its own files, npm packages, the SDK. */
function packageBoundary(dir: string): Plugin {
  const alreadyAsked = Symbol('already asked')
  return {
    name: 'package-boundary',
    setup(pass) {
      pass.onResolve({ filter: /.*/ }, async (args) => {
        if (args.kind === 'entry-point' || args.pluginData === alreadyAsked) return undefined
        if (args.path === '@orchestry/sdk') return { path: sdkEntry, sideEffects: false }
        if (args.path.startsWith('@orchestry/sdk/'))
          return error(`"${args.path}" is for tests; a plugin imports "@orchestry/sdk"`)
        const isOurs = isInside(sdkDir, args.importer)
        if (isOurs && isTypebox(args.path)) return { path: guestType, sideEffects: false }
        if (isOurs) return undefined
        return await resolveForeign(args)
      })

      const resolveForeign = async (args: OnResolveArgs) => {
        const { path, ...rest } = args
        if (isNodeBuiltin(path) && (path.startsWith('node:') || path === 'undici')) return error(replacementFor(path))
        const found = await pass.resolve(path, { ...rest, pluginData: alreadyAsked })
        const isMissing = found.errors.length > 0
        if (isTypebox(path) && isMissing) return { path: ourPath(path) }
        if (isInside(typeboxDir, found.path)) return found
        if (isMissing && isNodeBuiltin(path)) return error(replacementFor(path))
        if (isMissing) return { errors: found.errors }
        if (found.namespace !== 'file' || found.external) return error(`"${path}" cannot be bundled: it is not a file`)
        if (isInside(dir, found.path) || inNodeModules(found.path)) return found
        return error(
          `"${path}" is ${relative(dir, found.path)}, outside of the package: copy it in, or install it as an npm package`,
        )
      }
    },
  }
}

const isTypebox = (specifier: string) => specifier === 'typebox' || specifier.startsWith('typebox/')
const error = (text: string) => ({ errors: [{ text }] })
