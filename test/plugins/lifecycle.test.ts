// biome-ignore-all lint/suspicious/noTemplateCurlyInString: this is how manifests write references to the config
import assert from 'node:assert/strict'
import { cp, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { systemClock } from '../../runtime/clock.ts'
import type { OrchestryError } from '../../runtime/errors.ts'
import { fixedScaler, type PluginFolder, writePlugin } from '../support/plugin-folder.ts'
import { waitFor } from '../support/wait-for.ts'
import { scaler, world } from './world.ts'

const needsConfig = fixedScaler.replace(', default: 3', '')
test('a plugin is installed from a directory, serves, and is there again after a restart without its directory', async (t) => {
  const w = await world(t)
  await w.plugins.start()
  const path = await w.folder('fixed', {})
  const view = await w.plugins.install({ path, config: { replicas: 7 } })
  assert.equal(view.state, 'serving')
  assert.deepEqual(view.hooks, ['scaler'])
  assert.deepEqual(
    view.instances.map(({ name, config, isDefault }) => ({ name, config, isDefault })),
    [{ name: 'fixed', config: { replicas: 7 }, isDefault: false }],
  )
  assert.equal(await w.ask('fixed'), 7)
  await rm(path, { recursive: true })
  await w.restart()
  assert.equal(w.plugins.show('fixed').state, 'serving')
  assert.equal(await w.ask('fixed'), 7)
  assert.deepEqual(w.typesOf('@test/fixed'), ['plugin.installed'])
})

test('built-ins come in by themselves, as defaults, under their unscoped name', async (t) => {
  const w = await world(t, { builtins: { fixed: { name: '@orchestry/fixed' } } })
  await w.plugins.start()
  const view = w.plugins.show('@orchestry/fixed')
  assert.deepEqual([view.state, view.source.kind], ['serving', 'builtin'])
  assert.deepEqual(w.plugins.liveInstances()[0], {
    ...w.plugins.liveInstances()[0],
    plugin: '@orchestry/fixed',
    name: 'fixed',
    isDefault: true,
    version: '1.0.0',
  })
  assert.equal(await w.ask('fixed'), 3)
})

test('a built-in is upgraded when its files changed, keeps its config, and is left alone when not', async (t) => {
  const w = await world(t, { builtins: { fixed: {} } })
  await w.plugins.start()
  await w.plugins.configure('fixed', { replicas: 4 })
  await w.restart()
  assert.deepEqual(w.typesOf('@test/fixed'), ['plugin.installed', 'plugin.configured'])
  await writePlugin(join(w.builtinDir, 'fixed'), {
    version: '1.1.0',
    code: fixedScaler.replace('config.replicas', 'config.replicas * 10'),
  })
  await w.restart()
  assert.equal(w.plugins.show('fixed').version, '1.1.0')
  assert.equal(await w.ask('fixed'), 40)
})

test('a built-in that needs a config is listed as unconfigured, and serves once it has one', async (t) => {
  const w = await world(t, { builtins: { fixed: { code: needsConfig } } })
  await w.plugins.start()
  assert.equal(w.plugins.show('fixed').state, 'unconfigured')
  assert.match(w.plugins.show('fixed').problem ?? '', /needs a config/)
  assert.deepEqual(w.plugins.liveInstances(), [])
  assert.equal(w.sandbox.loaded.length, 0, 'nothing runs for it')
  const view = await w.plugins.configure('fixed', { replicas: 2 })
  assert.deepEqual([view.state, view.problem, view.instances[0]?.isDefault], ['serving', undefined, true])
  assert.equal(await w.ask('fixed'), 2)
})

test('one that fails hinders nobody, is visible, and says why', async (t) => {
  const w = await world(t, {
    builtins: {
      'a-broken': { name: 'broken', code: 'export default {{' },
      'b-throws': { name: 'throws', code: scaler(1, `activate() { throw new Error('no') },`) },
      'c-unreadable': { files: { 'package.json': '{' } },
      'd-good': { name: 'good' },
    },
  })
  await w.plugins.start()
  assert.deepEqual(
    w.plugins.list().map(({ id, state }) => [id, state]),
    [
      ['broken', 'failed'],
      ['builtin:c-unreadable', 'failed'],
      ['good', 'serving'],
      ['throws', 'failed'],
    ],
  )
  assert.match(w.plugins.show('broken').problem ?? '', /plugin\.ts:1:17/)
  assert.equal(w.plugins.show('throws').incidents[0]?.code, 'ORC_PLUGIN_ACTIVATE_FAILED')
  assert.deepEqual(w.typesOf('throws'), ['plugin.failed'])
  assert.equal(w.sandbox.loaded.length, 1, 'what failed half way is closed again')
})

test('an upgrade swaps only when the new one is up; calls under way end on the old one', async (t) => {
  const w = await world(t)
  const path = await w.folder('s', {
    name: 's',
    code: scaler(1).replace('() => (', 'async () => (await globalThis.gate, '),
  })
  const gate = Promise.withResolvers<void>()
  Object.assign(globalThis, { gate: gate.promise })
  t.after(() => Reflect.deleteProperty(globalThis, 'gate'))
  await w.plugins.install({ path })
  const underWay = w.ask('s')
  await w.folder('s', { name: 's', version: '2.0.0', code: scaler(2) })
  const view = await w.plugins.install({ path })
  assert.deepEqual([view.version, view.state, await w.ask('s')], ['2.0.0', 'serving', 2])
  assert.equal(w.sandbox.loaded.length, 2, 'the old one still has a call')
  gate.resolve()
  assert.equal(await underWay, 1)
  await waitFor(() => w.sandbox.loaded.length === 1)
  assert.equal(w.events.at(-1)?.data.previousVersion, '1.0.0')
})

const badUpgrades: [string, PluginFolder, string][] = [
  ['does not compile', { code: 'export default {{' }, 'ORC_PLUGIN_BUNDLE_FAILED'],
  ['throws at its top level', { code: `throw new Error('top')` }, 'ORC_'],
  [
    'throws when activated',
    { code: fixedScaler.replace('scaler:', `activate() { throw new Error('no') }, scaler:`) },
    'ORC_PLUGIN_ACTIVATE_FAILED',
  ],
  ['does not take the config', { code: needsConfig.replaceAll('replicas', 'size') }, 'ORC_PLUGIN_CONFIG_INVALID'],
  ['has a bad manifest', { manifest: { entry: 'none.ts' } }, 'ORC_PLUGIN_MANIFEST_INVALID'],
  ['wants another API', { manifest: { engine: '>=2' } }, 'ORC_PLUGIN_ENGINE_MISMATCH'],
  ['misspells its hook', { code: scaler(2).replace('scaler:', 'scalr:') }, 'ORC_PLUGIN_MANIFEST_INVALID'],
  ['misspells its function', { code: scaler(2).replace('decide:', 'decides:') }, 'ORC_PLUGIN_MANIFEST_INVALID'],
  [
    'complains of its config',
    { code: fixedScaler.replace('scaler:', `validateConfig: () => ['no'], scaler:`) },
    'ORC_PLUGIN_CONFIG_INVALID',
  ],
  [
    'asks for what cannot be granted',
    { manifest: { capabilities: [{ kind: 'net', hosts: ['*'], why: 'all' }] } },
    'ORC_PLUGIN_MANIFEST_INVALID',
  ],
  ['asks for what is not offered', { manifest: { capabilities: [{ kind: 'proxy' }] } }, 'ORC_PLUGIN_MANIFEST_INVALID'],
]
for (const [what, folder, code] of badUpgrades) {
  test(`an upgrade that ${what} leaves the old one serving and nothing stored`, async (t) => {
    const w = await world(t)
    const path = await w.folder('fixed', {})
    await w.plugins.install({ path, config: { replicas: 6 } })
    const stored = await w.store.list({ prefix: ['plugins'] })
    const files = await readdir(join(w.root, 'data', 'bundles'))
    await w.folder('fixed', { version: '2.0.0', ...folder })
    await assert.rejects(w.plugins.install({ path }), (error: OrchestryError) => {
      assert.ok(String(error.code ?? 'ORC_').startsWith(code), String(error.code))
      return true
    })
    assert.deepEqual(await w.store.list({ prefix: ['plugins'] }), stored)
    assert.deepEqual(await readdir(join(w.root, 'data', 'bundles')), files)
    const { version, state, problem } = w.plugins.show('fixed')
    assert.deepEqual([version, state, problem], ['1.0.0', 'serving', undefined])
    assert.equal(await w.ask('fixed'), 6)
    assert.equal(w.sandbox.loaded.length, 1)
  })
}

test('defaults are those of the version that runs; only what the operator wrote is carried over', async (t) => {
  const w = await world(t)
  const path = await w.folder('fixed', {})
  await w.plugins.install({ path })
  assert.deepEqual(w.plugins.show('fixed').instances[0]?.config, { replicas: 3 })
  await w.folder('fixed', { version: '1.1.0', code: fixedScaler.replace('default: 3', 'default: 4') })
  await w.plugins.install({ path })
  assert.equal(await w.ask('fixed'), 4)
  await w.folder('fixed', {
    version: '1.2.0',
    code: fixedScaler.replaceAll('replicas:', 'size:').replace('{ size: config.replicas', '{ replicas: config.size'),
  })
  await w.plugins.install({ path })
  assert.deepEqual([w.plugins.show('fixed').instances[0]?.config, await w.ask('fixed')], [{ size: 3 }, 3])
})

test('a first install that fails leaves no trace', async (t) => {
  const w = await world(t)
  const path = await w.folder('fixed', {})
  await assert.rejects(w.plugins.install({ path, config: { replicas: 0 } }), { code: 'ORC_PLUGIN_CONFIG_INVALID' })
  assert.deepEqual(w.plugins.list(), [])
  assert.deepEqual(await w.store.list({ prefix: ['plugins'] }), [])
  await assert.rejects(async () => w.plugins.show('fixed'), { code: 'ORC_PLUGIN_UNKNOWN', message: /Installed: none/ })
})

test('a misspelt hook is named with what was meant', async (t) => {
  const w = await world(t)
  const path = await w.folder('s', { code: scaler(2).replace('scaler:', 'scalr:') })
  await assert.rejects(w.plugins.install({ path }), {
    message: /\/scalr: unknown hook "scalr"; did you mean "scaler"\?/,
  })
})

test('one plugin runs as several named instances, each with its own config', async (t) => {
  const w = await world(t)
  const path = await w.folder('fixed', {})
  await w.plugins.install({ path, config: { replicas: 1 }, instance: 'one' })
  await w.plugins.configure('fixed', { replicas: 2 }, { instance: 'two' })
  await w.plugins.install({ path, config: { replicas: 3 }, instance: 'three' })
  assert.deepEqual([await w.ask('one'), await w.ask('two'), await w.ask('three')], [1, 2, 3])
  await w.plugins.configure('fixed', { replicas: 9 }, { instance: 'two' })
  assert.deepEqual([await w.ask('one'), await w.ask('two'), await w.ask('three')], [1, 9, 3])
  await waitFor(() => w.sandbox.loaded.length === 1)
})

test('an instance name belongs to one plugin only', async (t) => {
  const w = await world(t)
  await w.plugins.install({ path: await w.folder('a', { name: 'a' }), instance: 'same' })
  const path = await w.folder('b', { name: 'b' })
  await assert.rejects(w.plugins.install({ path, instance: 'same' }), {
    code: 'ORC_PLUGIN_EXISTS',
    message: /a has an/,
  })
  await assert.rejects(w.plugins.install({ path, instance: 'a b' }), { code: 'ORC_PLUGIN_CONFIG_INVALID' })
  assert.equal((await w.plugins.install({ path, instance: 'other' })).state, 'serving')
})

test('a config that does not fit changes nothing', async (t) => {
  const w = await world(t)
  await w.plugins.install({ path: await w.folder('fixed', {}), config: { replicas: 5 } })
  for (const config of [{ replicas: 'x' }, { replicas: 1, more: 1 }, []])
    await assert.rejects(w.plugins.configure('fixed', config), { code: 'ORC_PLUGIN_CONFIG_INVALID' })
  assert.equal(await w.ask('fixed'), 5)
})

test('disabled means nothing of it runs, also after a restart, until it is enabled', async (t) => {
  const w = await world(t)
  await w.plugins.install({ path: await w.folder('fixed', {}) })
  assert.equal((await w.plugins.disable('fixed')).state, 'disabled')
  assert.deepEqual(w.plugins.liveInstances(), [])
  await waitFor(() => w.sandbox.loaded.length === 0)
  await w.restart()
  assert.equal(w.plugins.show('fixed').state, 'disabled')
  assert.equal(w.sandbox.loaded.length, 0)
  await w.plugins.configure('fixed', { replicas: 8 })
  assert.equal(w.plugins.show('fixed').state, 'disabled')
  assert.equal((await w.plugins.enable('fixed')).state, 'serving')
  assert.equal(await w.ask('fixed'), 8)
  assert.deepEqual(w.typesOf('@test/fixed'), [
    'plugin.installed',
    'plugin.disabled',
    'plugin.configured',
    'plugin.enabled',
  ])
})

test('a removed plugin is gone from the list, the store and the disk; a built-in cannot be removed', async (t) => {
  const w = await world(t, { builtins: { fixed: { name: 'builtin' } } })
  await w.plugins.start()
  await w.plugins.install({ path: await w.folder('s', { name: 's', code: scaler(1) }) })
  await w.plugins.remove('s')
  assert.deepEqual(
    w.plugins.list().map(({ id }) => id),
    ['builtin'],
  )
  assert.equal((await w.store.list({ prefix: ['plugins'] })).length, 1)
  assert.equal((await readdir(join(w.root, 'data', 'bundles'))).length, 2)
  await assert.rejects(w.plugins.remove('builtin'), { code: 'ORC_PLUGIN_BUILTIN', message: /plugin disable builtin/ })
})

test('a bundle that was changed on disk is not run, and that plugin fails alone', async (t) => {
  const w = await world(t)
  await w.plugins.install({ path: await w.folder('a', { name: 'a', code: scaler(1) }) })
  await w.plugins.install({ path: await w.folder('b', { name: 'b', code: scaler(2) }) })
  const [entry] = await w.store.list<{ bundleHash: string }>({ prefix: ['plugins', 'a'] })
  const file = join(w.root, 'data', 'bundles', `${entry?.value.bundleHash}.js`)
  await writeFile(file, 'module.exports.default = { scaler: { decide: () => ({ replicas: 666 }) } }')
  await w.restart()
  assert.equal(w.plugins.show('a').state, 'failed')
  assert.match(w.plugins.show('a').problem ?? '', /is not what was installed/)
  assert.equal(await w.ask('b'), 2)
  await rm(file)
  await assert.rejects(w.plugins.reset('a'), { code: 'ORC_PLUGIN_PACKAGE_INVALID', message: /cannot be read/ })
  await w.plugins.install({ path: join(w.root, 'a') })
  assert.equal(await w.ask('a'), 1)
})

test('what an operator installed comes before a built-in of the same name, also after a restart', async (t) => {
  const w = await world(t, { builtins: { fixed: {} } })
  await w.plugins.start()
  await w.plugins.install({ path: await w.folder('own', { version: '9.0.0', code: scaler(9) }) })
  await w.restart()
  assert.equal(w.plugins.show('fixed').version, '9.0.0')
  assert.equal(await w.ask('fixed'), 9)
})

test('grants are resolved from the config, stored as resolved, and shown with their reason', async (t) => {
  const w = await world(t)
  const code = `import { definePlugin, Type } from '@orchestry/sdk'
    export default definePlugin({ config: Type.Object({ host: Type.String() }), scaler: { decide: () => ({ hold: true, reason: 'x' }) } })`
  const capabilities = [{ kind: 'net', hosts: ['${config.host}'], why: 'asks for the depth' }]
  const path = await w.folder('n', { name: 'n', code, manifest: { capabilities } })
  const view = await w.plugins.install({ path, config: { host: 'q.example' }, isAgreed: true })
  assert.deepEqual(view.capabilities, [{ kind: 'net', hosts: ['q.example'], why: 'asks for the depth' }])
  await w.plugins.configure('n', { host: 'other.example' })
  await w.folder('n', {
    name: 'n',
    code,
    version: '1.1.0',
    manifest: { capabilities: [...capabilities, { kind: 'kv' }] },
  })
  await w.plugins.install({ path, isAgreed: true })
  assert.deepEqual(w.events.at(-1)?.data.wider, ['a new capability "kv"'])
})

const counting = `
import { definePlugin } from '@orchestry/sdk'
export default definePlugin({
  async activate(ctx) {
    await ctx.timers.every(100, async () => {
      await ctx.kv.put('n', Number(await ctx.kv.get('n') ?? 0) + 1)
    })
    if (ctx.has('net')) throw new Error('never granted')
  },
  scaler: { decide: async ({ ctx }) => ({ replicas: Number(await ctx.kv.get('n') ?? 0), reason: 'counted' }) },
})`

test('a plugin uses what it was granted: its timer counts in its own map, before and after a crash', async (t) => {
  const w = await world(t)
  const capabilities = [{ kind: 'kv' }, { kind: 'timers' }]
  await w.plugins.install({ path: await w.folder('c', { name: 'c', code: counting, manifest: { capabilities } }) })
  await waitFor(async () => Number(await w.ask('c')) >= 2)
  await w.sandbox.loaded[0]?.crash()
  const before = Number(await w.ask('c'))
  await waitFor(async () => Number(await w.ask('c')) > before)
  const view = w.plugins.show('c')
  assert.deepEqual([view.state, view.restarts, view.incidents.at(-1)?.code], ['serving', 1, 'ORC_SANDBOX_CRASHED'])
  assert.ok(w.typesOf('c').includes('plugin.restarted'))
  await w.plugins.disable('c')
  const [entry] = await w.store.list({ prefix: ['kv', 'c'] })
  await systemClock.sleep(250)
  assert.deepEqual(await w.store.list({ prefix: ['kv', 'c'] }), [entry], 'its timers ended with it')
})

test('what a plugin is refused is an incident and one event, however often it tries', async (t) => {
  const w = await world(t)
  const code = scaler(1).replace(
    '() => (',
    'async ({ ctx }) => (await ctx.net.fetch("https://evil.example/").catch(() => {}), ',
  )
  const capabilities = [{ kind: 'net', hosts: ['good.example'], why: 'test' }]
  const path = await w.folder('v', { name: 'v', code, manifest: { capabilities } })
  await w.plugins.install({ path, isAgreed: true })
  for (let index = 0; index < 5; index += 1) await w.ask('v')
  const { incidents } = w.plugins.show('v')
  assert.equal(incidents.length, 1)
  assert.match(incidents[0]?.message ?? '', /evil\.example:443 is not granted/)
  assert.deepEqual([incidents[0]?.hook, incidents[0]?.instance, incidents[0]?.version], ['scaler', 'v', '1.0.0'])
  assert.deepEqual(w.typesOf('v'), ['plugin.installed', 'plugin.violated'])
})

test('a new version or config does not wait for the breaker that the last one opened', async (t) => {
  const w = await world(t)
  const path = await w.folder('fixed', { name: 'fixed', code: scaler(1) })
  const isOpen = () => w.plugins.show('fixed').instances[0]?.breaker === 'open'
  for (const change of [() => w.plugins.install({ path }), () => w.plugins.configure('fixed', {})]) {
    await w.plugins.install({ path })
    w.breakers.set('fixed fixed', 'open')
    assert.ok(isOpen())
    await change()
    assert.ok(!isOpen())
  }
})

test('quarantine is shown, takes the instance out, and ends with reset; breakers too', async (t) => {
  const w = await world(t)
  await w.plugins.install({ path: await w.folder('fixed', {}) })
  let changes = 0
  const off = w.plugins.onChange(() => {
    changes += 1
  })
  w.breakers.set('@test/fixed fixed', 'open')
  w.sandbox.loaded[0]?.quarantine()
  assert.equal(changes, 1)
  assert.equal(w.plugins.show('fixed').state, 'quarantined')
  assert.match(w.plugins.show('fixed').problem ?? '', /orchestry plugin reset @test\/fixed/)
  assert.equal(w.plugins.show('fixed').instances[0]?.breaker, 'open')
  assert.equal(w.live('fixed')?.sandbox, undefined)
  assert.ok(w.typesOf('@test/fixed').includes('plugin.quarantined'))
  const view = await w.plugins.reset('fixed')
  assert.deepEqual([view.state, view.instances[0]?.breaker], ['serving', 'closed'])
  off()
})

test('of incidents the last 50 are kept', async (t) => {
  const w = await world(t)
  await w.plugins.install({ path: await w.folder('fixed', {}) })
  for (let index = 0; index < 60; index += 1)
    w.plugins.recordIncident('@test/fixed', { code: 'ORC_SANDBOX_TIMEOUT', message: `slow ${index}`, atMs: index })
  const { incidents } = w.plugins.show('fixed')
  assert.deepEqual([incidents.length, incidents[0]?.message, incidents.at(-1)?.message], [50, 'slow 10', 'slow 59'])
  w.plugins.recordIncident('nobody', { code: 'ORC_SANDBOX_TIMEOUT', message: 'x', atMs: 0 })
})

test('a name without its scope is enough unless two plugins share it', async (t) => {
  const w = await world(t)
  await w.plugins.install({ path: await w.folder('a', { name: '@a/fixed' }) })
  assert.equal(w.plugins.show('fixed').id, '@a/fixed')
  await w.plugins.install({ path: await w.folder('b', { name: '@b/fixed' }), instance: 'b' })
  await assert.rejects(async () => w.plugins.show('fixed'), { code: 'ORC_PLUGIN_UNKNOWN', message: /More than one/ })
  assert.equal(w.plugins.show('@b/fixed').id, '@b/fixed')
})

test('things asked at once of one plugin happen one after the other', async (t) => {
  const w = await world(t)
  const path = await w.folder('fixed', {})
  await w.plugins.install({ path })
  const asked = [1, 2, 3, 4, 5].map((replicas) => w.plugins.configure('fixed', { replicas }))
  await Promise.all([...asked, w.plugins.disable('fixed'), w.plugins.enable('fixed')])
  assert.equal(await w.ask('fixed'), 5)
  await waitFor(() => w.sandbox.loaded.length === 1)
})

test('stop closes everything, twice does no harm, and nothing can be installed afterwards', async (t) => {
  const w = await world(t)
  const path = await w.folder('fixed', {})
  await w.plugins.install({ path })
  await w.plugins.stop()
  await w.plugins.stop()
  assert.equal(w.sandbox.loaded.length, 0)
  await assert.rejects(w.plugins.install({ path }), { code: 'ORC_HOOK_NOT_SERVING' })
})

test('a directory copied elsewhere is the same plugin: installing it again is an upgrade', async (t) => {
  const w = await world(t)
  const path = await w.folder('fixed', {})
  await w.plugins.install({ path, config: { replicas: 2 } })
  await cp(path, join(w.root, 'copy of it'), { recursive: true })
  const view = await w.plugins.install({ path: join(w.root, 'copy of it') })
  assert.deepEqual([view.source.path, await w.ask('fixed')], [join(w.root, 'copy of it'), 2])
  assert.equal(w.plugins.list().length, 1)
})

test('of load balancers one is the default: who becomes it takes that from the one before, with or without a new config', async (t) => {
  const w = await world(t)
  const code = `import { definePlugin } from '@orchestry/sdk'
export default definePlugin({ loadBalancer: { apply: () => null, remove: () => null, status: () => null } })`
  await writePlugin(join(w.builtinDir, 'usual'), { name: 'usual', code })
  await writePlugin(join(w.builtinDir, 'chosen'), { name: 'chosen', code, manifest: { optIn: true } })
  await w.plugins.start()
  const defaults = () =>
    w.plugins
      .list()
      .flatMap(({ instances }) => instances)
      .filter(({ isDefault }) => isDefault)
      .map(({ name }) => name)
  assert.deepEqual(defaults(), ['usual'], 'what has to be asked for is not the default by itself')
  await w.plugins.configure('chosen', undefined, { isDefault: true })
  assert.deepEqual(defaults(), ['chosen'])
  await w.restart()
  assert.deepEqual(defaults(), ['chosen'])
  await w.plugins.configure('usual', {}, { isDefault: true })
  assert.deepEqual(defaults(), ['usual'])
})
