// biome-ignore-all lint/suspicious/noTemplateCurlyInString: this is how manifests write references to the config
import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Manifest } from '@orchestry/sdk'
import type { OrchestryError } from '../../runtime/errors.ts'
import { askedOf } from '../../runtime/plugins/consent.ts'
import { goodManifest } from '../support/plugin-folder.ts'
import { scaler, world } from './world.ts'

const why = 'reads the queue'
const net = { kind: 'net', hosts: ['a.example'], why }
type World = Awaited<ReturnType<typeof world>>

/** Writes a version that wants as many replicas as its number says. */
const version = (w: World, major: number, capabilities: readonly object[], more: object = {}) =>
  w.folder('p', { name: 'p', version: `${major}.0.0`, code: scaler(major), manifest: { capabilities, ...more } })

async function installed(t: TestContext, capabilities: readonly object[]) {
  const w = await world(t)
  const path = await version(w, 1, capabilities)
  await w.plugins.install({ path, isAgreed: true })
  return { w, path }
}

for (const [what, capabilities, more, asked] of [
  ['nothing', [], {}, 0],
  [
    'what reaches only our own bookkeeping',
    [{ kind: 'kv' }, { kind: 'log' }, { kind: 'clock' }, { kind: 'random' }, { kind: 'timers' }],
    {},
    0,
  ],
  ['events, metrics and reading apps', [{ kind: 'events' }, { kind: 'metrics' }, { kind: 'apps', read: true }], {}, 0],
  ['network', [net], {}, 1],
  ['scaling apps', [{ kind: 'apps', scale: { maxReplicas: 3 } }], {}, 1],
  ['keys', [{ kind: 'crypto', ops: ['hmac'], keys: ['k'] }], {}, 1],
  ['no keys', [{ kind: 'crypto', ops: ['hash'] }], {}, 0],
  ['routes', [{ kind: 'proxy' }], {}, 1],
  ['a JIT', [], { limits: { jit: { why: 'counts much' } } }, 1],
] as const) {
  test(`a first installation that asks for ${what} needs ${asked === 0 ? 'no yes' : 'a yes'}`, () => {
    assert.equal(askedOf({ ...goodManifest, capabilities, ...more } as unknown as Manifest).length, asked)
  })
}

test('C53: what is only given on purpose is listed with every reason, and without a yes nothing is installed', async (t) => {
  const w = await world(t)
  const path = await version(w, 1, [net, { kind: 'kv' }])
  await assert.rejects(w.plugins.install({ path }), (error: OrchestryError) => {
    assert.deepEqual([error.code, error.status], ['ORC_PLUGIN_CONSENT_NEEDED', 409])
    assert.deepEqual(error.problems, [
      { path: '/orchestry/capabilities/0', message: `net hosts ["a.example"]: ${why}` },
    ])
    return true
  })
  assert.deepEqual(w.plugins.list(), [])
  assert.equal((await w.plugins.install({ path, isAgreed: true })).state, 'serving')
})

const wider: [string, readonly object[], object, RegExp][] = [
  ['a host', [{ ...net, hosts: ['a.example', 'evil.example'] }], {}, /net\.hosts: "evil\.example"/],
  ['a wider glob', [{ ...net, hosts: ['*.a.example'] }], {}, /net\.hosts: "\*\.a\.example"/],
  ['a method', [{ ...net, methods: ['GET', 'DELETE'] }], {}, /net\.methods/],
  ['a kind', [net, { kind: 'kv' }], {}, /a new capability "kv"/],
  ['another of a kind', [net, { ...net, as: 'more' }], {}, /another capability "net", as more/],
  ['a JIT', [net], { limits: { jit: { why: 'counts much' } } }, /JIT/],
]
for (const [what, capabilities, more, difference] of wider) {
  test(`PKG-10, C53: an upgrade that asks for ${what} waits for approval, and the old version serves on`, async (t) => {
    const { w, path } = await installed(t, [net])
    await version(w, 2, capabilities, more)
    await assert.rejects(w.plugins.install({ path }), (error: OrchestryError) => {
      assert.equal(error.code, 'ORC_PLUGIN_CONSENT_NEEDED')
      assert.match(error.problems.map(({ message }) => message).join(), difference)
      assert.match(error.message, /orchestry plugin approve p/)
      return true
    })
    const held = w.plugins.show('p')
    assert.deepEqual([held.version, held.state, await w.ask('p')], ['1.0.0', 'serving', 1])
    assert.equal(held.pending?.version, '2.0.0')
    assert.match(held.pending?.differences.join() ?? '', difference)
    assert.deepEqual(w.typesOf('p'), ['plugin.installed', 'plugin.pending'])

    // It waits over a restart, without the directory it came from.
    await rm(path, { recursive: true })
    await w.restart()
    assert.equal(w.plugins.show('p').pending?.version, '2.0.0')
    const view = await w.plugins.approve('p')
    assert.deepEqual([view.version, view.state, view.pending, await w.ask('p')], ['2.0.0', 'serving', undefined, 2])
    assert.match(String(w.events.at(-1)?.data.wider), difference)
    await assert.rejects(w.plugins.approve('p'), { code: 'ORC_PLUGIN_NOTHING_PENDING' })
  })
}

const same: [string, readonly object[]][] = [
  ['the same', [net]],
  ['less', []],
  ['one host of a glob', [{ ...net, hosts: ['a.example'], why: 'another reason' }]],
]
for (const [what, capabilities] of same) {
  test(`an upgrade that asks for ${what} is brought up at once`, async (t) => {
    const { w, path } = await installed(t, [net])
    await version(w, 2, capabilities)
    assert.equal((await w.plugins.install({ path })).version, '2.0.0')
  })
}

test('C53: a default that moved is the new version asking for more; a value that the operator gives is not', async (t) => {
  const w = await world(t)
  const capabilities = [{ ...net, hosts: ['${config.host}'] }]
  const code = (host: string) =>
    scaler(1, `config: Type.Object({ host: Type.String({ default: '${host}' }) }),`).replace(
      'definePlugin }',
      'definePlugin, Type }',
    )
  const write = (major: number, host: string) =>
    w.folder('p', { name: 'p', version: `${major}.0.0`, code: code(host), manifest: { capabilities } })
  const path = await write(1, 'a.example')
  await w.plugins.install({ path, isAgreed: true })
  await write(2, 'evil.example')
  await assert.rejects(w.plugins.install({ path }), { code: 'ORC_PLUGIN_CONSENT_NEEDED', message: /evil\.example/ })
  const view = await w.plugins.install({ path, config: { host: 'mine.example' } })
  assert.deepEqual([view.version, view.pending], ['2.0.0', undefined])
  assert.deepEqual(view.capabilities, [{ ...net, hosts: ['mine.example'] }])
})

test('a later version that asks for no more takes the place of the one that waits', async (t) => {
  const { w, path } = await installed(t, [net])
  await version(w, 2, [net, { kind: 'kv' }])
  await assert.rejects(w.plugins.install({ path }), { code: 'ORC_PLUGIN_CONSENT_NEEDED' })
  await version(w, 3, [net])
  const view = await w.plugins.install({ path })
  assert.deepEqual([view.version, view.pending], ['3.0.0', undefined])
})

test('what waits is not lost by a new config, and one that fails to come up keeps waiting', async (t) => {
  const { w, path } = await installed(t, [net])
  await w.folder('p', {
    name: 'p',
    version: '2.0.0',
    code: scaler(2, "activate() { throw new Error('not today') },"),
    manifest: { capabilities: [net, { kind: 'kv' }] },
  })
  await assert.rejects(w.plugins.install({ path }), { code: 'ORC_PLUGIN_CONSENT_NEEDED' })
  await w.plugins.configure('p', {})
  await assert.rejects(w.plugins.approve('p'), /not today/)
  const view = w.plugins.show('p')
  assert.deepEqual(
    [view.version, view.state, view.pending?.version, await w.ask('p')],
    ['1.0.0', 'serving', '2.0.0', 1],
  )
})

test('an upgrade of what comes with Orchestry is agreed to, whatever it asks for', async (t) => {
  const folder = (major: number, capabilities: readonly object[]) => ({
    name: '@orchestry/b',
    version: `${major}.0.0`,
    code: scaler(major),
    manifest: { capabilities },
  })
  const w = await world(t, { builtins: { b: folder(1, []) } })
  await w.plugins.start()
  await w.folder('builtin/b', folder(2, [net]))
  await w.restart()
  assert.deepEqual([w.plugins.show('b').version, await w.ask('b')], ['2.0.0', 2])
})

test('C51: whoever takes the name of what comes with Orchestry is asked for what it wants, like anybody new', async (t) => {
  const own = { name: '@orchestry/b', version: '1.0.0', code: scaler(1), manifest: { capabilities: [net] } }
  const w = await world(t, { builtins: { b: own } })
  await w.plugins.start()
  const path = await w.folder('impostor', { ...own, version: '9.0.0', code: scaler(9) })
  await assert.rejects(w.plugins.install({ path }), { code: 'ORC_PLUGIN_CONSENT_NEEDED', message: /a\.example/ })
  assert.deepEqual([w.plugins.show('b').version, await w.ask('b')], ['1.0.0', 1])
  assert.equal((await w.plugins.install({ path, isAgreed: true })).version, '9.0.0')
})

/** A program on the disk, and a plugin that may run it. */
async function withProgram(t: TestContext) {
  const w = await world(t)
  const program = join(w.root, 'tool')
  const change = (text: string) => writeFile(program, text, { mode: 0o755 })
  await change('first')
  const exec = { kind: 'exec', commands: [{ name: 'run', path: program }], why }
  const code = scaler(1, "config: Type.Object({ host: Type.String({ default: 'a.example' }) }),")
  const write = (major: number, capabilities: readonly object[]) =>
    w.folder('p', { name: 'p', version: `${major}.0.0`, code, manifest: { capabilities } })
  const path = await write(1, [exec])
  await w.plugins.install({ path, isAgreed: true })
  const digest = () => {
    const [grant] = w.plugins.usesOf('p')[0]?.grants ?? []
    return grant?.kind === 'exec' ? grant.commands[0]?.digest : undefined
  }
  return { w, path, write, exec, change, digest }
}

test('EXEC-02: a new config, or a new instance, is no yes to a program that was changed on the disk', async (t) => {
  const { w, change, digest } = await withProgram(t)
  const agreed = digest()
  assert.match(String(agreed), /^[0-9a-f]{64}$/)
  await change('second')
  await w.plugins.configure('p', { host: 'b.example' })
  assert.equal(digest(), agreed)
  await w.plugins.configure('p', { host: 'c.example' }, { instance: 'another' })
  assert.deepEqual(
    w.plugins.usesOf('p').map(({ grants }) => grants.map((one) => one.kind === 'exec' && one.commands[0]?.digest)),
    [[agreed], [agreed]],
  )
})

test('EXEC-02, PKG-10: a yes is to what was shown; a program that changed since is asked for anew', async (t) => {
  const { w, path, write, exec, change, digest } = await withProgram(t)
  const agreed = digest()
  await write(2, [exec, net])
  await assert.rejects(w.plugins.install({ path }), { code: 'ORC_PLUGIN_CONSENT_NEEDED' })
  await change('second')
  await assert.rejects(w.plugins.approve('p'), {
    code: 'ORC_PLUGIN_CONSENT_NEEDED',
    message: /exec\.commands\.run\.digest/,
  })
  const held = w.plugins.show('p')
  assert.deepEqual([held.version, held.state, digest()], ['1.0.0', 'serving', agreed])
  assert.match(held.pending?.differences.join() ?? '', /digest/)
  assert.equal((await w.plugins.approve('p')).version, '2.0.0')
  assert.notEqual(digest(), agreed)
})
