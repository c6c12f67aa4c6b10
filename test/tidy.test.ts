/** The rules of the house. Each test lists who breaks its rule; an empty list is what is right. */
import assert from 'node:assert/strict'
import { globSync, readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { catalogue } from '../runtime/errors.ts'
import { exists, type Import, readSources, root, type SourceFile } from './support/source-tree.ts'

const sources = readSources()
const inside = (...prefixes: string[]) =>
  sources.filter(({ path }) => prefixes.some((prefix) => path.startsWith(prefix)))
const runtime = inside('runtime/')
const plugins = inside('plugins-builtin/', 'plugins-examples/')

const rule = (title: string, violators: () => string[]) => test(title, () => assert.deepEqual(violators(), []))
/** One line for every import that breaks a rule. */
const imports = (files: readonly SourceFile[], isWrong: (found: Import, file: SourceFile) => boolean): string[] =>
  files.flatMap((file) =>
    file.imports.filter((found) => isWrong(found, file)).map(({ target }) => `${file.path} imports ${target}`),
  )
const matches = (files: readonly SourceFile[], pattern: RegExp): string[] =>
  files.flatMap(({ path, code }) => [...code.matchAll(pattern)].map(([found]) => `${path}: ${found.trim()}`))

/** The room of a file of the runtime; its floor, and what puts the rooms together, are in none. */
const roomOf = (path: string) => /^runtime\/([^/]+)\//.exec(path)?.[1]
const composition = new Set(['runtime/main.ts', 'runtime/host.ts'])
const isFloor = (path: string) => /^runtime\/[^/]+\.ts$/.test(path) && !composition.has(path)
const isOurs = (target: string) => /^(runtime|sdk|plugins-builtin|plugins-examples|test)\//.test(target)
const isSdk = (target: string) => /^@orchestry\/sdk(\/testing)?$/.test(target)

/** What a room shows to the others: types only. */
const ports = new Set([
  'runtime/apps/app.ts',
  'runtime/backtest/backtest.ts',
  'runtime/balancing/balancing.ts',
  'runtime/capabilities/capability.ts',
  'runtime/dashboard/dashboard.ts',
  'runtime/dataplane/dataplane.ts',
  'runtime/drivers/driver.ts',
  'runtime/events/events.ts',
  'runtime/health/health.ts',
  'runtime/hooks/hooks.ts',
  'runtime/metrics/metrics.ts',
  'runtime/plugins/plugins.ts',
  'runtime/reconcile/reconcile.ts',
  'runtime/sandbox/sandbox.ts',
  'runtime/scaling/decision.ts',
  'runtime/secrets/secrets.ts',
  'runtime/store/store.ts',
])

/** The only imports of another room that are there at run time, and why. */
const runtimeImports: readonly { from: string; to: string; why: string }[] = [
  {
    from: 'runtime/api/',
    to: 'runtime/apps/schema.ts',
    why: 'the OpenAPI shows the very schema that specs are checked with',
  },
  { from: 'runtime/capabilities/', to: 'runtime/sandbox/json.ts', why: 'one bounded reader for JSON of strangers' },
  { from: 'runtime/plugins/', to: 'runtime/sandbox/json.ts', why: 'one bounded reader for JSON of strangers' },
]

rule('every import is understood by these tests', () =>
  sources
    .filter(({ code, imports }) => (code.match(/^import\b(?!\()/gm) ?? []).length > imports.length)
    .map(({ path }) => path),
)

rule('at the top level stands what the design prescribes, and nothing else', () => {
  const prescribed = [
    'runtime',
    'sdk',
    'plugins-builtin',
    'plugins-examples',
    'test',
    'package.json',
    'package-lock.json',
    'tsconfig.json',
    'biome.json',
    'README.md',
    'CHANGELOG.md',
    'LICENSE',
  ]
  return readdirSync(root).filter(
    (name) => !name.startsWith('.') && name !== 'node_modules' && !prescribed.includes(name),
  )
})

rule('README, CHANGELOG and LICENSE are there', () =>
  ['README.md', 'CHANGELOG.md', 'LICENSE'].filter((name) => !exists(name)),
)

rule('the sdk imports typebox and itself', () =>
  imports(inside('sdk/'), ({ target }) => !/^(typebox(\/.*)?$|sdk\/)/.test(target)),
)

rule('a plugin imports the sdk, its own folder and libraries that can be bundled', () =>
  imports(plugins, ({ target }, { path }) => {
    const folder = path.split('/').slice(0, 2).join('/')
    if (isOurs(target)) return !target.startsWith(`${folder}/`)
    return target.startsWith('node:') || target === 'orchestry' || (target.startsWith('@orchestry/') && !isSdk(target))
  }),
)

rule('the runtime imports no plugin', () => imports(runtime, ({ target }) => target.startsWith('plugins-')))

rule('the runtime reaches the sdk by its name and itself by path', () =>
  imports(runtime, ({ target }) => isOurs(target) && !target.startsWith('runtime/')),
)

rule('nothing but tests imports tests', () =>
  imports([...runtime, ...plugins, ...inside('sdk/')], ({ target }) => target.startsWith('test/')),
)

rule('the floor imports no room', () =>
  imports(
    runtime.filter(({ path }) => isFloor(path)),
    ({ target }) => isOurs(target) && !isFloor(target),
  ),
)

rule('a room imports of another room only types', () =>
  imports(runtime, ({ target, isType }, { path }) => {
    const isForeign = roomOf(path) !== undefined && roomOf(target) !== undefined && roomOf(path) !== roomOf(target)
    return isForeign && !isType && !runtimeImports.some(({ from, to }) => path.startsWith(from) && target === to)
  }),
)

rule('a room imports of another room only its port', () =>
  imports(runtime, ({ target, isType }, { path }) => {
    const isForeign = roomOf(path) !== undefined && roomOf(target) !== undefined && roomOf(path) !== roomOf(target)
    return (
      isForeign &&
      isType &&
      !ports.has(target) &&
      !runtimeImports.some(({ from, to }) => path.startsWith(from) && target === to)
    )
  }),
)

rule('no room imports api or cli', () =>
  imports(
    runtime,
    ({ target }, { path }) =>
      ['api', 'cli'].includes(roomOf(target) ?? '') && roomOf(path) !== roomOf(target) && !composition.has(path),
  ),
)

rule('only the process, the command line and tests put the rooms together', () =>
  imports(
    runtime,
    ({ target }, { path }) => composition.has(target) && !composition.has(path) && roomOf(path) !== 'cli',
  ),
)

test('no import leads back to where it began', () => {
  const files = new Map(sources.map((file) => [file.path, file]))
  const done = new Set<string>()
  const cycles: string[] = []
  const visit = (path: string, trail: readonly string[]) => {
    if (trail.includes(path)) cycles.push([...trail.slice(trail.indexOf(path)), path].join(' → '))
    if (done.has(path) || trail.includes(path)) return
    for (const { target } of files.get(path)?.imports ?? []) visit(target, [...trail, path])
    done.add(path)
  }
  for (const path of files.keys()) visit(path, [])
  assert.deepEqual(cycles, [])
})

/** Libraries that only one file knows, so that another can take their place; here those that a whole folder wraps. */
const wrapped: Readonly<Record<string, string | undefined>> = {
  'isolated-vm': 'runtime/sandbox/guest/',
  'prom-client': 'runtime/metrics/',
  lmdb: undefined,
  pino: undefined,
  dockerode: undefined,
  ioredis: undefined,
  '@grpc/grpc-js': undefined,
  '@datadog/sketches-js': undefined,
  'cli-table3': undefined,
}
for (const [library, folder] of Object.entries(wrapped))
  rule(`${library} is known to ${folder ?? 'one file'} only`, () => {
    const users = [...runtime, ...plugins].filter(({ imports }) =>
      imports.some(({ target, isType }) => !isType && (target === library || target.startsWith(`${library}/`))),
    )
    const wrong = folder ? users.filter(({ path }) => !path.startsWith(folder)) : users.length > 1 ? users : []
    return wrong.map(({ path }) => path)
  })

const builtins = readdirSync(join(root, 'plugins-builtin'), { withFileTypes: true }).filter((entry) =>
  entry.isDirectory(),
)

rule('the runtime names no plugin', () => {
  const names = globSync('plugins-*/*/package.json', { cwd: root }).map((path) =>
    String((JSON.parse(readFileSync(join(root, path), 'utf8')) as { name: unknown }).name),
  )
  // A folder such as `proxy` is also a word of our own; one with a hyphen is not.
  const folders = builtins.map(({ name }) => name)
  const forbidden = [
    ...names,
    ...folders.map((name) => `plugins-builtin/${name}`),
    ...folders.filter((name) => name.includes('-')),
  ]
  return runtime.flatMap(({ path, text }) =>
    forbidden.filter((name) => text.includes(name)).map((name) => `${path} names ${name}`),
  )
})

rule('every plugin folder has a package, a plugin and a page that explains it', () =>
  globSync('plugins-{builtin,examples}/*/', { cwd: root })
    .flatMap((folder) =>
      ['package.json', 'plugin.ts', 'README.md'].map((file) => `${folder.replace(/[\\/]$/, '')}/${file}`),
    )
    .filter((path) => !exists(path)),
)

rule('a plugin has one default export, in plugin.ts; nobody else has any', () => [
  ...matches(
    [...runtime, ...inside('sdk/'), ...plugins.filter(({ path }) => basename(path) !== 'plugin.ts')],
    /^export default\b.*/gm,
  ),
  ...plugins
    .filter(({ path, code }) => /^plugins-[^/]+\/[^/]+\/plugin\.ts$/.test(path) && !/^export default\b/m.test(code))
    .map(({ path }) => `${path} has none`),
])

rule('files and folders are named in kebab-case', () =>
  sources
    .map(({ path }) => path)
    .filter(
      (path) => !path.split('/').every((part) => /^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+(-[a-z0-9]+)*)*$/.test(part)),
    ),
)

rule('no file and no folder is named after nothing in particular', () =>
  sources
    .map(({ path }) => path)
    .filter((path) => /(^|[/-])(utils?|helpers?|common|shared|misc|managers?|services?)(?=[./-])/.test(path)),
)

rule('no export is named after nothing in particular', () =>
  matches(
    sources,
    /^export (?:abstract )?(?:async )?(?:function|const|class|interface|type) (?:I[A-Z][a-z]\w*|\w*(?:Manager|Service|Helper|Util|Utils)\b).*/gm,
  ),
)

rule('nothing is left to do', () => {
  const marks = new RegExp(
    `\\b(${['TO', 'FIX', 'XX'].map((mark, index) => mark + ['DO', 'ME', 'X'][index]).join('|')})\\b.*`,
    'g',
  )
  return sources.flatMap(({ path, text }) => [...text.matchAll(marks)].map(([found]) => `${path}: ${found}`))
})

rule('no test is switched off without saying why, and none switches off the others', () =>
  matches(
    inside('test/', 'plugins-'),
    /\b(?:test|it|describe|suite)\.(?:skip|only|todo)\(|[{,]\s*(?:only|todo|skip): true\b/g,
  ),
)

rule('there is a folder of tests for what is there, and for nothing else', () => {
  const kinds = [
    'support',
    'conformance',
    'hostile',
    'scenarios',
    'browser',
    'bench',
    'fuzz',
    'soak',
    'simulation',
    'release',
    'plugins-builtin',
    'plugins-examples',
    'sdk',
  ]
  return [...new Set(inside('test/').flatMap(({ path }) => /^test\/([^/]+)\//.exec(path)?.[1] ?? []))].filter(
    (folder) => !kinds.includes(folder) && !exists(`runtime/${folder}`),
  )
})

rule('every test of an attack stands in the table of promises, and every test named there is there', () => {
  const table = readFileSync(join(root, 'test/hostile/README.md'), 'utf8')
  const named = [...table.matchAll(/`([\w./-]+\.test\.ts)`/g)].map(([, name]) => join('test/hostile', String(name)))
  const there = globSync('test/hostile/*.test.ts', { cwd: root })
  return [
    ...there.filter((path) => !named.includes(path)).map((path) => `${path} is not in the table`),
    ...named.filter((path) => !exists(path)).map((path) => `${path} is not there`),
  ]
})

rule('the page makes no markup out of text', () =>
  matches(inside('runtime/dashboard/page/'), /\b(?:inner|outer)HTML\b|dangerouslySetInnerHTML|insertAdjacentHTML/g),
)

rule('node:vm is no sandbox and is not used as one', () =>
  imports(sources, ({ target }) => /^(node:)?vm$/.test(target)),
)

rule('nothing is run through a shell', () => [
  ...imports(
    sources,
    ({ target, names }) => /^(node:)?child_process$/.test(target) && /\b(exec|execSync)\b|\*/.test(names),
  ),
  ...matches([...runtime, ...plugins], /\bshell: (?!false\b).*/g),
])

rule('Node built-ins are imported with their prefix', () =>
  imports(sources, ({ target }) =>
    /^(fs|path|os|http|https|net|url|util|crypto|events|stream|child_process|worker_threads|timers|assert)(\/.*)?$/.test(
      target,
    ),
  ),
)

const codesIn = (files: readonly SourceFile[]) =>
  new Set(files.flatMap(({ text }) => text.match(/\bORC(?:_[A-Z]+){2,}\b/g) ?? []))
rule('every error code of the catalogue is given by someone', () => {
  const used = codesIn(runtime.filter(({ path }) => path !== 'runtime/errors.ts'))
  return Object.keys(catalogue).filter((code) => !used.has(code))
})

rule('every error code that is given stands in the catalogue', () =>
  [...codesIn([...runtime, ...plugins, ...inside('sdk/')])].filter((code) => !(code in catalogue)),
)
