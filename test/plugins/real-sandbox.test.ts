import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createKvCapability } from '../../runtime/capabilities/kv.ts'
import { createPluginLogs } from '../../runtime/capabilities/log.ts'
import { createNetCapability } from '../../runtime/capabilities/net.ts'
import { createCapabilities } from '../../runtime/capabilities/table.ts'
import { createTimersCapability } from '../../runtime/capabilities/timers.ts'
import { systemClock } from '../../runtime/clock.ts'
import { createLog } from '../../runtime/log.ts'
import { createPlugins } from '../../runtime/plugins/lifecycle.ts'
import { createSandbox } from '../../runtime/sandbox/supervisor.ts'
import { createMemoryStore } from '../../runtime/store/memory.ts'
import { fixedScaler, type PluginFolder, writePlugin } from '../support/plugin-folder.ts'
import { tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'

async function world(t: TestContext) {
  const root = await tempDir(t)
  const log = createLog({ level: 'silent' })
  const store = createMemoryStore({ clock: systemClock })
  const sandbox = await createSandbox({ dataDir: root, clock: systemClock, log })
  const logs = createPluginLogs({ log, clock: systemClock })
  const capabilities = createCapabilities([
    createKvCapability({ store }),
    createTimersCapability({ clock: systemClock }),
    createNetCapability({ clock: systemClock, ownListeners: () => [] }),
    logs.capability,
  ])
  const events = { emit() {} }
  const shared = { sandbox, store, dataDir: root, capabilities, events, clock: systemClock, log, builtinDirs: [] }
  const plugins = createPlugins(shared)
  t.after(async () => {
    await plugins.stop()
    await sandbox.close()
  })
  return {
    plugins,
    logs,
    install: async (folder: PluginFolder, config?: unknown) => {
      const path = await writePlugin(join(root, folder.name ?? 'fixed'), folder)
      return await plugins.install({ path, isAgreed: true, ...(config === undefined ? {} : { config }) })
    },
    ask: async (name: string, endpoints?: ReadonlySet<string>) => {
      const found = plugins.liveInstances().find((instance) => instance.name === name)
      const [answer] =
        (await found?.sandbox?.call([JSON.stringify({ app: { name: 'shop' }, metrics: {} })], {
          hook: 'scaler',
          function: 'decide',
          per: 'item',
          timeoutMs: 1_000,
          ...(endpoints === undefined ? {} : { endpoints }),
        })) ?? []
      return answer
    },
  }
}

const scaler = (decide: string, more = '') => `import { definePlugin, Type } from '@orchestry/sdk'
export default definePlugin({
  ${more}
  scaler: {
    decide: ${decide},
  },
})`

test('a plugin with a config schema decides in its isolate, and is upgraded and configured there', async (t) => {
  const w = await world(t)
  const view = await w.install({ name: 'fixed' })
  assert.deepEqual([view.state, view.hooks, view.instances[0]?.config], ['serving', ['scaler'], { replicas: 3 }])
  assert.deepEqual(await w.ask('fixed'), { ok: true, value: { replicas: 3, reason: 'as configured' } })
  await w.plugins.configure('fixed', { replicas: 8 })
  assert.deepEqual(await w.ask('fixed'), { ok: true, value: { replicas: 8, reason: 'as configured' } })
  await w.install({ name: 'fixed', version: '2.0.0', code: fixedScaler.replace('as configured', 'second') })
  assert.deepEqual(await w.ask('fixed'), { ok: true, value: { replicas: 8, reason: 'second' } })
})

test('every builder of TypeBox works there', async (t) => {
  const config = `config: Type.Object({
    list: Type.Optional(Type.Array(Type.Record(Type.String(), Type.Union([Type.Literal('a'), Type.Number()])))),
    part: Type.Partial(Type.Object({ x: Type.Integer() })),
    mixed: Type.Intersect([Type.Object({ a: Type.Boolean({ default: true }) }), Type.Object({ b: Type.String({ default: 'b' }) })]),
  }),`
  const w = await world(t)
  const view = await w.install(
    { name: 'types', code: scaler(`({ config }) => ({ hold: true, reason: JSON.stringify(config) })`, config) },
    { part: {}, mixed: {} },
  )
  assert.equal(view.state, 'serving')
  assert.deepEqual(view.instances[0]?.config, { part: {}, mixed: { a: true, b: 'b' } })
})

test('an error of a plugin is blamed on the line its author wrote', async (t) => {
  const w = await world(t)
  const code = scaler(
    `() => {\n      const nothing = undefined as unknown as { x: number }\n      return nothing.x\n    }`,
  )
  await w.install({ name: 'fails', code })
  const answer = await w.ask('fails')
  const line = code.split('\n').findIndex((text) => text.includes('nothing.x')) + 1
  assert.match(answer?.ok === false ? (answer.line ?? '') : '', new RegExp(`^plugin\\.ts:${line}:\\d+$`))
})

test('capabilities work from inside: kv, timers, log, and net to the instances of this call only', async (t) => {
  const server = createServer((_request, response) => response.end('ok')).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo
  const w = await world(t)
  const code = scaler(
    `async ({ ctx }) => {
      const outcomes = await ctx.net.fetchAll([{ url: 'http://127.0.0.1:${port}/' }])
      ctx.log.info('asked', { status: outcomes[0]?.ok })
      const [first] = outcomes
      return { replicas: Number(await ctx.kv.get('n') ?? 0), reason: first?.ok ? first.response.body : first?.code }
    }`,
    `async activate(ctx) {
      let n = 0
      await ctx.timers.every(100, async () => { n += 1 })
      await ctx.kv.put('n', 7)
    },`,
  )
  const capabilities = [
    { kind: 'net', addresses: ['instances'], schemes: ['http'], why: 'probes' },
    { kind: 'kv' },
    { kind: 'timers' },
    { kind: 'log' },
  ]
  await w.install({ name: 'uses', code, manifest: { capabilities } })
  const granted = await w.ask('uses', new Set([`127.0.0.1:${port}`]))
  assert.deepEqual(granted, { ok: true, value: { replicas: 7, reason: 'ok' } })
  const refused = await w.ask('uses')
  assert.deepEqual(refused, { ok: true, value: { replicas: 7, reason: 'ORC_CAPABILITY_DENIED' } })
  await waitFor(() => w.logs.lines('uses').length === 2)
  assert.deepEqual(
    w.logs.lines('uses').map(({ level, message, fields }) => [level, message, fields]),
    [
      ['info', 'asked', '{"status":true}'],
      ['info', 'asked', '{"status":false}'],
    ],
  )
  assert.match(w.plugins.show('uses').incidents.at(-1)?.message ?? '', /is not granted/)
})

test('a timer that throws is an incident with its line', async (t) => {
  const w = await world(t)
  const code = scaler(
    `() => ({ hold: true, reason: 'x' })`,
    `async activate(ctx) {
      await ctx.timers.after(100, () => { throw new Error('tick') })
    },`,
  )
  await w.install({ name: 'ticks', code, manifest: { capabilities: [{ kind: 'timers' }] } })
  const incident = await waitFor(() => w.plugins.show('ticks').incidents[0])
  assert.match(incident.message, /^Error: tick \(plugin\.ts:\d+:\d+\)$/)
  assert.deepEqual([incident.hook, incident.instance], ['timers', 'ticks'])
})

test('a plugin killed from outside serves again, and its view says what happened', async (t) => {
  const w = await world(t)
  const { pid } = await w.install({ name: 'fixed' })
  process.kill(pid ?? 0, 'SIGKILL')
  await waitFor(() => w.plugins.show('fixed').restarts === 1 && w.plugins.show('fixed').state === 'serving')
  assert.equal((await w.ask('fixed'))?.ok, true)
  assert.equal(w.plugins.show('fixed').incidents[0]?.code, 'ORC_SANDBOX_CRASHED')
})

test('an upgrade that loops for ever at its top level leaves the old one serving', async (t) => {
  const w = await world(t)
  await w.install({ name: 'fixed' })
  await assert.rejects(w.install({ name: 'fixed', version: '2.0.0', code: `for (;;) {}\n${fixedScaler}` }))
  assert.equal(w.plugins.show('fixed').version, '1.0.0')
  assert.equal((await w.ask('fixed'))?.ok, true)
})
