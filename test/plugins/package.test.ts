import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { OrchestryError } from '../../runtime/errors.ts'
import { readManifest } from '../../runtime/plugins/manifest.ts'
import { readPackage } from '../../runtime/plugins/package.ts'
import { hashTree } from '../../runtime/plugins/tree.ts'
import { goodManifest, type PluginFolder, writePlugin } from '../support/plugin-folder.ts'
import { tempDir } from '../support/temp-dir.ts'

const readWhole = async (dir: string) => await readManifest(await readPackage(dir))
const net = { kind: 'net', hosts: ['api.example.org'], why: 'reads the depth of the queue' }
const withCapability = (...capabilities: unknown[]): PluginFolder => ({ manifest: { capabilities } })
const at = (rest: string) => `/orchestry/${rest}`

/** [what is wrong, the package, path of the first problem, what the text says] */
const badManifests: [string, PluginFolder, string, RegExp][] = [
  ['a grammar of the future', { manifest: { manifest: 2 } }, at('manifest'), /must be 1, and is 2/],
  ['no grammar version', { manifest: { manifest: undefined } }, at('manifest'), /is missing/],
  ['no engine', { manifest: { engine: undefined } }, at('engine'), /is missing/],
  ['an engine that is a number', { manifest: { engine: 1 } }, at('engine'), /must be string/],
  ['an engine that is no range', { manifest: { engine: 'newest' } }, at('engine'), /version range.*newest/],
  ['an empty engine', { manifest: { engine: '' } }, at('engine'), /fewer than 1/],
  ['no entry', { manifest: { entry: undefined } }, at('entry'), /is missing/],
  ['an absolute entry', { manifest: { entry: '/etc/passwd.js' } }, at('entry'), /pattern/],
  ['an entry above the package', { manifest: { entry: '../plugin.ts' } }, at('entry'), /pattern/],
  ['an entry that climbs inside', { manifest: { entry: 'a/../../plugin.ts' } }, at('entry'), /pattern/],
  ['an entry of another kind', { manifest: { entry: 'plugin.py' } }, at('entry'), /pattern/],
  ['an entry that is not there', { manifest: { entry: 'other.ts' } }, at('entry'), /no file "other.ts"/],
  ['an entry that is a folder', { manifest: { entry: 'x.ts' }, files: { 'x.ts/a': '' } }, at('entry'), /not a file/],
  ['an unknown field', { manifest: { entyr: 'plugin.ts' } }, at('entyr'), /did you mean "entry"\?/],
  ['a field far from any', { manifest: { permissions: [] } }, at('permissions'), /known: manifest, engine/],
  ['capabilities that are no list', { manifest: { capabilities: {} } }, at('capabilities'), /must be an array/],
  ['33 capabilities', withCapability(...Array(33).fill(net)), at('capabilities'), /more than 32/],
  ['a capability that is a text', withCapability('net'), at('capabilities/0'), /object with a "kind"/],
  ['a capability without a kind', withCapability({}), at('capabilities/0/kind'), /must be a text/],
  [
    'an unknown kind',
    withCapability({ kind: 'filez' }),
    at('capabilities/0/kind'),
    /did you mean "files"\?; the kinds are net, tcp/,
  ],
  ['a misspelt kind', withCapability({ kind: 'metric' }), at('capabilities/0/kind'), /did you mean "metrics"\?/],
  ['a kind like a method of objects', withCapability({ kind: 'toString' }), at('capabilities/0/kind'), /unknown/],
  ['a misspelt scope', withCapability({ ...net, host: ['x'] }), at('capabilities/0/host'), /did you mean "hosts"\?/],
  ['net without a reason', withCapability({ kind: 'net', hosts: ['a.b'] }), at('capabilities/0/why'), /is missing/],
  ['an empty reason', withCapability({ ...net, why: '' }), at('capabilities/0/why'), /fewer than 1/],
  ['no hosts in the list', withCapability({ ...net, hosts: [] }), at('capabilities/0/hosts'), /fewer than 1/],
  [
    'a scheme that is none',
    withCapability({ ...net, schemes: ['ftp'] }),
    at('capabilities/0/schemes/0'),
    /"http", "https"/,
  ],
  ['port 0', withCapability({ ...net, ports: [0] }), at('capabilities/0/ports/0'), />= 1/],
  ['port 65536', withCapability({ ...net, ports: [65_536] }), at('capabilities/0/ports/0'), /<= 65535/],
  [
    'a body too large to grant',
    withCapability({ ...net, maxBodyKb: 99_999 }),
    at('capabilities/0/maxBodyKb'),
    /<= 1024/,
  ],
  [
    'a fault in the second record',
    withCapability(net, { kind: 'kv', quotaKb: 0 }),
    at('capabilities/1/quotaKb'),
    />= 1/,
  ],
  [
    'a quota that is a text',
    withCapability({ kind: 'kv', quotaKb: '9' }),
    at('capabilities/0/quotaKb'),
    /must be integer/,
  ],
  ['timers faster than any', withCapability({ kind: 'timers', minMs: 1 }), at('capabilities/0/minMs'), />= 100/],
  ['too many timers', withCapability({ kind: 'timers', max: 17 }), at('capabilities/0/max'), /<= 16/],
  ['two of a kind without names', withCapability(net, net), at('capabilities/1/as'), /ctx.net is already/],
  [
    'one name for two',
    withCapability({ ...net, as: 'a' }, { kind: 'kv', as: 'a' }),
    at('capabilities/1/as'),
    /ctx.a is/,
  ],
  ['a name with capitals first', withCapability({ ...net, as: 'Prom' }), at('capabilities/0/as'), /pattern/],
  ['the name of another kind', withCapability({ ...net, as: 'kv' }), at('capabilities/0/as'), /means something else/],
  ['a name ctx has itself', withCapability({ ...net, as: 'has' }), at('capabilities/0/as'), /means something else/],
  [
    'a name every object has',
    withCapability({ ...net, as: 'toString' }),
    at('capabilities/0/as'),
    /means something else/,
  ],
  [
    'a name that makes a promise',
    withCapability({ ...net, as: 'then' }),
    at('capabilities/0/as'),
    /means something else/,
  ],
  ['limits that are a list', { manifest: { limits: [] } }, at('limits'), /must be object/],
  ['an unknown limit', { manifest: { limits: { memoryMB: 32 } } }, at('limits/memoryMB'), /did you mean "memoryMb"\?/],
  ['too little memory', { manifest: { limits: { memoryMb: 4 } } }, at('limits/memoryMb'), />= 8/],
  ['half a millisecond', { manifest: { limits: { cpuMs: 0.5 } } }, at('limits/cpuMs'), /must be integer/],
  ['endless time', { manifest: { limits: { timeoutMs: 1e9 } } }, at('limits/timeoutMs'), /<= 60000/],
  ['a JIT without a reason', { manifest: { limits: { jit: {} } } }, at('limits/jit/why'), /is missing/],
]

for (const [what, folder, path, text] of badManifests) {
  test(`a manifest with ${what} is refused at ${path}`, async (t) => {
    const dir = await writePlugin(await tempDir(t), folder)
    await assert.rejects(readWhole(dir), (error: OrchestryError) => {
      assert.equal(error.code, 'ORC_PLUGIN_MANIFEST_INVALID')
      assert.equal(error.problems[0]?.path, path)
      assert.match(error.problems[0]?.message ?? '', text)
      assert.match(error.message, /Nothing was installed/)
      return true
    })
  })
}

const packageJson = (fields: object) =>
  JSON.stringify({ name: 'a', version: '1.0.0', orchestry: goodManifest, ...fields })

/** [what is wrong, text of package.json, path of the first problem, what the text says] */
const badPackages: [string, string, string | undefined, RegExp][] = [
  ['that is empty', '', undefined, /cannot be read/],
  ['that is broken', '{"name": "a",}', undefined, /line 1 column 14/],
  ['with a byte order mark', `\ufeff${packageJson({})}`, undefined, /byte order mark/],
  ['that holds a list', '[]', undefined, /must hold an object/],
  ['nested deeper than anybody needs', `{"a":${'['.repeat(40)}${']'.repeat(40)}}`, undefined, /nested deeper than 32/],
  ['with __proto__', packageJson({}).replace('"name"', '"__proto__": {"x": 1}, "name"'), undefined, /reserved key/],
  [
    'with an escaped __proto__',
    packageJson({}).replace('"name"', '"__pr\\u006fto__": {}, "name"'),
    undefined,
    /reserved/,
  ],
  ['with constructor in the manifest', packageJson({ orchestry: { constructor: {} } }), undefined, /reserved key/],
  ['larger than 256 KB', packageJson({ readme: 'x'.repeat(300_000) }), undefined, /larger than 256 KB/],
  ['without a name', packageJson({ name: undefined }), '/name', /npm name/],
  ['with capitals in the name', packageJson({ name: 'Scaler' }), '/name', /lower-case/],
  ['with a look-alike letter in the name', packageJson({ name: 'sc\u0430ler' }), '/name', /ASCII/],
  ['with a name that climbs', packageJson({ name: '@x/../../y' }), '/name', /npm name/],
  ['with a name that is a path', packageJson({ name: 'a/b/c' }), '/name', /npm name/],
  ['with an endless name', packageJson({ name: 'a'.repeat(200) }), '/name', /npm name/],
  ['without a version', packageJson({ version: undefined }), '/version', /like 1.2.0/],
  ['with half a version', packageJson({ version: '1.2' }), '/version', /like 1.2.0/],
  ['with a version that is a range', packageJson({ version: '^1.2.0' }), '/version', /like 1.2.0/],
  ['without the key orchestry', packageJson({ orchestry: undefined }), '/orchestry', /is missing/],
]

for (const [what, text, path, words] of badPackages) {
  test(`a package.json ${what} is refused`, async (t) => {
    const dir = await writePlugin(await tempDir(t), { files: { 'package.json': text } })
    await assert.rejects(readPackage(dir), (error: OrchestryError) => {
      assert.equal(error.code, 'ORC_PLUGIN_PACKAGE_INVALID')
      assert.equal(error.problems[0]?.path, path)
      assert.match(error.message, words)
      return true
    })
    assert.equal(({} as Record<string, unknown>).x, undefined)
  })
}

test('a manifest that is no object is refused', async (t) => {
  const dir = await writePlugin(await tempDir(t), { files: { 'package.json': packageJson({ orchestry: 'yes' }) } })
  await assert.rejects(readWhole(dir), { code: 'ORC_PLUGIN_MANIFEST_INVALID' })
})

test('every problem is told at once', async (t) => {
  const dir = await writePlugin(await tempDir(t), { manifest: { entry: 'none.ts', limits: { cpuMs: 0 }, x: 1 } })
  await assert.rejects(readWhole(dir), (error: OrchestryError) => {
    assert.deepEqual(error.problems.map(({ path }) => path).sort(), [at('entry'), at('limits/cpuMs'), at('x')])
    return true
  })
})

for (const engine of ['>=2', '<1.0.0', '0.x', '^3.1']) {
  test(`a plugin for plugin API ${engine} is refused before its code is read`, async (t) => {
    const dir = await writePlugin(await tempDir(t), { manifest: { engine }, code: 'this is no code (' })
    await assert.rejects(readWhole(dir), { code: 'ORC_PLUGIN_ENGINE_MISMATCH' })
  })
}

test('a good package is read as it is', async (t) => {
  const dir = await writePlugin(await tempDir(t), withCapability(net, { ...net, as: 'prom' }, { kind: 'kv' }))
  const pkg = await readPackage(dir)
  assert.deepEqual([pkg.name, pkg.version, pkg.dir], ['@test/fixed', '1.0.0', dir])
  assert.equal((await readManifest(pkg)).capabilities?.length, 3)
})

test('a directory that is not there, is a file, or has no package.json says so', async (t) => {
  const dir = await tempDir(t)
  await writeFile(join(dir, 'file'), '')
  await mkdir(join(dir, 'package'))
  await mkdir(join(dir, 'odd', 'package.json'), { recursive: true })
  for (const [path, text] of [
    [join(dir, 'none'), /There is no directory/],
    [join(dir, 'file'), /is not a directory/],
    [join(dir, 'package'), /has no package.json/],
    [join(dir, 'odd'), /is not a file/],
    ['relative/path', /not an absolute path/],
  ] as const)
    await assert.rejects(readPackage(path), { code: 'ORC_PLUGIN_PACKAGE_INVALID', message: text })
})

test('a pipe in place of package.json is refused and does not hang', { timeout: 5_000 }, async (t) => {
  const dir = await tempDir(t)
  execFileSync('mkfifo', [join(dir, 'package.json')])
  await assert.rejects(readPackage(dir), { code: 'ORC_PLUGIN_PACKAGE_INVALID', message: /is not a file/ })
})

for (const [what, target] of [
  ['to a file outside', '/etc/hostname'],
  ['to a folder outside', '/etc'],
  ['to the folder above', '..'],
  ['to nothing', 'nowhere'],
] as const) {
  test(`a link ${what} is refused by name`, async (t) => {
    const dir = await writePlugin(join(await tempDir(t), 'plugin'))
    await mkdir(join(dir, 'lib'))
    await symlink(target === '..' ? '../..' : target, join(dir, 'lib', 'link'))
    await assert.rejects(readPackage(dir), { code: 'ORC_PLUGIN_PACKAGE_INVALID', message: /lib\/link (leaves|leads)/ })
  })
}

test('an entry that is a link out of the package is refused', async (t) => {
  const root = await tempDir(t)
  await writeFile(join(root, 'secret.ts'), 'export default {}')
  const dir = await writePlugin(join(root, 'plugin'))
  await rm(join(dir, 'plugin.ts'))
  await symlink(join(root, 'secret.ts'), join(dir, 'plugin.ts'))
  await assert.rejects(readPackage(dir), { code: 'ORC_PLUGIN_PACKAGE_INVALID', message: /plugin.ts leaves/ })
})

test('a package.json that is a link out of the package is refused', async (t) => {
  const root = await tempDir(t)
  await writeFile(join(root, 'other.json'), packageJson({}))
  await mkdir(join(root, 'plugin'))
  await symlink(join(root, 'other.json'), join(root, 'plugin', 'package.json'))
  await assert.rejects(readPackage(join(root, 'plugin')), { code: 'ORC_PLUGIN_PACKAGE_INVALID', message: /leaves/ })
})

test('more files than a package has are refused', async (t) => {
  const dir = await writePlugin(await tempDir(t))
  for (let index = 0; index < 5_001; index += 1) await writeFile(join(dir, `f${index}`), '')
  await assert.rejects(readPackage(dir), { code: 'ORC_PLUGIN_PACKAGE_INVALID', message: /more than 5000 files/ })
})

test('the hash of a package changes with any file, name or link, and with nothing else', async (t) => {
  const root = await tempDir(t)
  const dir = await writePlugin(join(root, 'one'), { files: { 'lib/a.ts': 'a', 'lib/b.ts': 'b' } })
  const same = await writePlugin(join(root, 'two'), { files: { 'lib/b.ts': 'b', 'lib/a.ts': 'a' } })
  const first = await hashTree(dir)
  assert.equal(await hashTree(same), first)
  await mkdir(join(dir, 'node_modules', 'x'), { recursive: true })
  await writeFile(join(dir, 'node_modules', 'x', 'index.js'), '')
  assert.equal(await hashTree(dir), first, 'dependencies are in the hash of the bundle')
  const seen = new Set([first])
  const changes = [
    () => writeFile(join(dir, 'lib', 'a.ts'), 'b'),
    () => writeFile(join(dir, 'lib', 'c.ts'), ''),
    () => symlink('a.ts', join(dir, 'lib', 'd.ts')),
    () => rm(join(dir, 'lib', 'b.ts')),
  ]
  for (const change of changes) {
    await change()
    const now = await hashTree(dir)
    assert.ok(!seen.has(now))
    seen.add(now)
  }
})
