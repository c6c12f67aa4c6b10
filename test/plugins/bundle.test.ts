// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the code of plugins holds template strings
import assert from 'node:assert/strict'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { OrchestryError } from '../../runtime/errors.ts'
import { createBlame } from '../../runtime/plugins/blame.ts'
import { bundlePlugin } from '../../runtime/plugins/bundle.ts'
import { fixedScaler, writePlugin } from '../support/plugin-folder.ts'
import { tempDir } from '../support/temp-dir.ts'

function run(source: string): Record<string, unknown> {
  const module: { exports: Record<string, unknown> } = { exports: {} }
  // oxlint-disable-next-line typescript/no-implied-eval -- what sandboxes do with a bundle, without the sandbox
  new Function('module', 'exports', source)(module, module.exports)
  return module.exports.default as Record<string, unknown>
}

/** [what is imported, the code, where, what the text says] */
const refused: [string, string, [string, number, number], RegExp][] = [
  ['fs', `import { readFileSync } from 'fs'\nexport default { x: readFileSync }`, ['plugin.ts', 1, 30], /ctx\.kv/],
  ['node:fs/promises', `import 'node:fs/promises'`, ['plugin.ts', 1, 8], /no file system/],
  ['node:http', `import 'node:http'`, ['plugin.ts', 1, 8], /use ctx\.net/],
  ['https', `import 'https'`, ['plugin.ts', 1, 8], /use ctx\.net/],
  ['net', `import 'net'`, ['plugin.ts', 1, 8], /use ctx\.net/],
  ['undici', `import { fetch } from 'undici'\nexport default { fetch }`, ['plugin.ts', 1, 23], /use ctx\.net/],
  ['timers/promises', `import 'timers/promises'`, ['plugin.ts', 1, 8], /use ctx\.timers/],
  ['node:crypto', `import 'node:crypto'`, ['plugin.ts', 1, 8], /use ctx\.random/],
  ['perf_hooks', `import 'perf_hooks'`, ['plugin.ts', 1, 8], /use ctx\.clock/],
  ['console', `import 'node:console'`, ['plugin.ts', 1, 8], /use ctx\.log/],
  ['child_process', `const c = require('child_process')\nexport default { c }`, ['plugin.ts', 1, 19], /no replacement/],
  ['node:zlib', `import 'node:zlib'`, ['plugin.ts', 1, 8], /plain JavaScript package/],
  ['a built-in there is not', `import 'node:nothing'`, ['plugin.ts', 1, 8], /without it/],
  ['the test harness', `import '@orchestry/sdk/testing'`, ['plugin.ts', 1, 8], /is for tests/],
  ['a file that is not there', `import './none.ts'`, ['plugin.ts', 1, 8], /Could not resolve/],
  ['a package that is not there', `import 'left-pad'`, ['plugin.ts', 1, 8], /Could not resolve/],
  ['a file above', `import '../secret.json'`, ['plugin.ts', 1, 8], /outside of the package/],
  ['an address', `import 'https://example.org/x.js'`, ['plugin.ts', 1, 8], /not a file|Could not/],
  ['a data address', `import 'data:text/javascript,1'`, ['plugin.ts', 1, 8], /not a file/],
  [
    'a name made at run time',
    `declare const n: string\nexport default { x: import(n) }`,
    ['plugin.ts', 2, 21],
    /not a string/,
  ],
  [
    'a require made at run time',
    `declare const n: string\nexport default { x: require(n) }`,
    ['plugin.ts', 2, 21],
    /not a string/,
  ],
  ['nothing, but does not parse', `export default {{`, ['plugin.ts', 1, 17], /Expected/],
  ['nothing, but waits at top level', `await 1`, ['plugin.ts', 1, 1], /[Tt]op-level await/],
]

for (const [what, code, [path, line, column], text] of refused) {
  test(`a plugin that imports ${what} is refused at ${path}:${line}:${column}`, async (t) => {
    const dir = await writePlugin(join(await tempDir(t), 'plugin'), { code })
    await writeFile(join(dir, '..', 'secret.json'), '{"secret":1}')
    await assert.rejects(bundlePlugin(dir, 'plugin.ts'), (error: OrchestryError) => {
      assert.equal(error.code, 'ORC_PLUGIN_BUNDLE_FAILED')
      const [problem] = error.problems
      assert.deepEqual([problem?.path, problem?.line, problem?.column], [path, line, column])
      assert.match(problem?.message ?? '', text)
      assert.match(error.message, new RegExp(`^plugin\\.ts:${line}:${column}: `))
      return true
    })
  })
}

for (const [what, code] of [
  ['import(`../${x}.json`)', 'declare const x: string\nexport default { a: () => import(`../${x}.json`) }'],
  ["require('../' + x)", "declare const x: string\nexport default { a: () => require('../' + x) }"],
] as const) {
  test(`${what} does not bring files from outside in`, async (t) => {
    const dir = await writePlugin(join(await tempDir(t), 'plugin'), { code })
    await writeFile(join(dir, '..', 'secret.json'), '{"secret":1}')
    await assert.rejects(bundlePlugin(dir, 'plugin.ts'), { code: 'ORC_PLUGIN_BUNDLE_FAILED', message: /outside/ })
  })
}

test('a link in node_modules does not bring files from outside in', async (t) => {
  const root = await tempDir(t)
  const dir = await writePlugin(join(root, 'plugin'), { code: `import s from 'lib/secret.json'\nexport default { s }` })
  await mkdir(join(root, 'lib'))
  await mkdir(join(dir, 'node_modules'))
  await writeFile(join(root, 'lib', 'secret.json'), '{"secret":1}')
  await symlink(join(root, 'lib'), join(dir, 'node_modules', 'lib'))
  await assert.rejects(bundlePlugin(dir, 'plugin.ts'), { code: 'ORC_PLUGIN_BUNDLE_FAILED', message: /outside/ })
})

test('the bundle is a function body whose module exports the plugin, and is small although Type is in it', async (t) => {
  const { source, hash, map } = await bundlePlugin(await writePlugin(await tempDir(t)), 'plugin.ts')
  const plugin = run(source)
  assert.deepEqual(JSON.parse(JSON.stringify(plugin.config)), {
    type: 'object',
    properties: { replicas: { type: 'integer', minimum: 1, default: 3 } },
    required: ['replicas'],
    additionalProperties: false,
  })
  assert.ok(source.length < 24_000, `${source.length} bytes`)
  assert.match(hash, /^[0-9a-f]{64}$/)
  assert.ok((JSON.parse(map) as { sources: string[] }).sources.includes('plugin.ts'))
})

test('every builder of TypeBox can be used, also by its own name', async (t) => {
  const code = `
    import { definePlugin, Type as T } from '@orchestry/sdk'
    import * as Own from 'typebox'
    const { Partial } = T
    export default definePlugin({ config: Partial(T.Record(T.String(), Own.Union([Own.Literal('a'), T.Null()]))) })`
  const { source } = await bundlePlugin(await writePlugin(await tempDir(t), { code }), 'plugin.ts')
  assert.equal((run(source).config as { type: string }).type, 'object')
})

test('the same package gives the same bundle wherever it lies', async (t) => {
  const root = await tempDir(t)
  const files = { 'lib/a.ts': 'export const a: number = 1', 'lib/b.json': '{"b":2}' }
  const code = `import { a } from './lib/a.ts'\nimport b from './lib/b.json'\nexport default { a, b }`
  const one = await bundlePlugin(await writePlugin(join(root, 'one'), { code, files }), 'plugin.ts')
  const two = await bundlePlugin(await writePlugin(join(root, 'deep', 'er', 'two'), { code, files }), 'plugin.ts')
  assert.equal(one.hash, two.hash)
  assert.deepEqual(run(one.source), { a: 1, b: { b: 2 } })
})

test('npm packages come along, ES modules and CommonJS', async (t) => {
  const files = {
    'node_modules/esm/package.json': '{"name":"esm","type":"module","exports":"./i.js"}',
    'node_modules/esm/i.js': 'export const one = 1',
    'node_modules/cjs/package.json': '{"name":"cjs","main":"i.js"}',
    'node_modules/cjs/i.js': 'const { one } = require("esm"); exports.two = one + one',
    'node_modules/events/package.json': '{"name":"events","main":"i.js"}',
    'node_modules/events/i.js': 'exports.EventEmitter = "from npm"',
  }
  const code = `import { two } from 'cjs'\nimport { EventEmitter } from 'events'\nexport default { two, EventEmitter }`
  const { source } = await bundlePlugin(await writePlugin(await tempDir(t), { code, files }), 'plugin.ts')
  assert.deepEqual(run(source), { two: 2, EventEmitter: 'from npm' })
})

test('the SDK is the one of the runtime, whatever the plugin brings', async (t) => {
  const files = {
    'node_modules/@orchestry/sdk/package.json': '{"name":"@orchestry/sdk","main":"i.js"}',
    'node_modules/@orchestry/sdk/i.js': 'exports.definePlugin = () => ({ forged: true })',
  }
  const { source } = await bundlePlugin(await writePlugin(await tempDir(t), { files }), 'plugin.ts')
  assert.deepEqual(Object.keys(run(source)).sort(), ['config', 'scaler'])
})

test("the package's tsconfig.json is not read", async (t) => {
  const files = { 'tsconfig.json': '{ "extends": "../../outside.json", "compilerOptions": {' }
  await bundlePlugin(await writePlugin(await tempDir(t), { files }), 'plugin.ts')
})

test('a bundle larger than 2 MB is refused', async (t) => {
  const files = { 'data.json': JSON.stringify('x'.repeat(2_200_000)) }
  const dir = await writePlugin(await tempDir(t), { code: `import d from './data.json'\nexport default { d }`, files })
  await assert.rejects(bundlePlugin(dir, 'plugin.ts'), {
    code: 'ORC_PLUGIN_BUNDLE_FAILED',
    message: /2097152 are allowed/,
  })
})

test('a place in the bundle is found in the file of the author', async (t) => {
  const code = `${fixedScaler.replace('export default', 'const plugin =')}
export default { ...plugin, fail() {
  throw new Error('here')
} }`
  const { source, map } = await bundlePlugin(await writePlugin(await tempDir(t), { code }), 'plugin.ts')
  const place = placeOfError(`${source}\n//# sourceURL=plugin.js`)
  const line = code.split('\n').findIndex((text) => text.includes('throw')) + 1
  assert.match(createBlame(map)(place), new RegExp(`^plugin\\.ts:${line}:\\d+$`))
  assert.equal(createBlame(map)('elsewhere'), 'elsewhere')
  assert.equal(createBlame('no map')(place), place)
})

function placeOfError(source: string): string {
  try {
    ;(run(source).fail as () => void)()
  } catch (thrown) {
    return /plugin\.js:\d+:\d+/.exec((thrown as Error).stack ?? '')?.[0] ?? ''
  }
  return ''
}
