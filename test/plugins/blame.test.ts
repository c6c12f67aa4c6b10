/** A fault is told with all that is known of it, held against whoever did it, and against nobody else. On real sandboxes. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createCapabilities } from '../../runtime/capabilities/table.ts'
import { systemClock } from '../../runtime/clock.ts'
import type { NewEvent } from '../../runtime/events/events.ts'
import { createCaller } from '../../runtime/hooks/caller.ts'
import { createHooks } from '../../runtime/hooks/disciplines.ts'
import { createLog } from '../../runtime/log.ts'
import { createPlugins } from '../../runtime/plugins/lifecycle.ts'
import { createSandbox } from '../../runtime/sandbox/supervisor.ts'
import { createMemoryStore } from '../../runtime/store/memory.ts'
import { writePlugin } from '../support/plugin-folder.ts'
import { scalerInput } from '../support/scaler-input.ts'
import { tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'

const code = `import { definePlugin } from '@orchestry/sdk'
export default definePlugin({
  scaler: {
    async decide({ app }) {
      if (app.name === 'evil') for (;;);
      if (app.name === 'late') await new Promise(() => {})
      if (app.name === 'careless') Promise.reject(new Error('nobody listens'))
      if (app.name === 'broken') throw new Error('no good')
      return { replicas: 1, reason: app.name }
    },
  },
})
`

/** Plugins and the room that calls them, put together as the host does. */
async function world(t: TestContext) {
  const root = await tempDir(t)
  const log = createLog({ level: 'silent' })
  const sandbox = await createSandbox({ dataDir: root, clock: systemClock, log })
  const events: NewEvent[] = []
  const caller = createCaller({
    clock: systemClock,
    onIncident: ({ plugin, version: _version, ...incident }) => plugins.recordIncident(plugin, incident),
  })
  const plugins = createPlugins({
    sandbox,
    store: createMemoryStore({ clock: systemClock }),
    dataDir: root,
    capabilities: createCapabilities([]),
    events: { emit: (event) => void events.push(event) },
    clock: systemClock,
    log,
    builtinDirs: [],
    breakerOf: caller.breakerOf,
    resetBreakers: (id) => {
      for (const { name, plugin } of plugins.liveInstances()) if (plugin === id) caller.resetBreaker(id, name)
    },
  })
  t.after(async () => {
    await plugins.stop()
    await sandbox.close()
  })
  const hooks = createHooks({
    caller,
    liveInstances: plugins.liveInstances,
    onInstancesChanged: plugins.onChange,
  })
  const manifest = { limits: { timeoutMs: 20_000, cpuMs: 10_000 } }
  for (const name of ['@test/two', '@test/other'])
    await plugins.install({ path: await writePlugin(join(root, name.slice(6)), { name, code, manifest }) })
  await plugins.configure('@test/two', {}, { instance: 'second' })
  return {
    plugins,
    events,
    async ask(instance: string, app: string, timeoutMs = 5_000) {
      const items = new Map([[instance, [scalerInput(app)]]])
      const answers = await hooks.collect('scaler', 'decide', items, { timeoutMs }).get(instance)
      const [answer] = answers ?? []
      return answer?.ok === true ? 'ok' : answer?.failure.code
    },
    breakers: (id: string) => plugins.show(id).instances.map(({ name, breaker }) => `${name} ${breaker}`),
  }
}

test('one instance that never ends is found out by name; its neighbours keep their breakers, and a reset its own', async (t) => {
  const w = await world(t)
  assert.deepEqual(w.breakers('@test/two'), ['two closed', 'second closed'])
  const show = () => w.plugins.show('@test/two')
  for (let deaths = 1; deaths <= 5; deaths += 1) {
    const evil = w.ask('two', 'evil', 200)
    // Under way in the same process when that one is at its end.
    await systemClock.sleep(100)
    const beside = w.ask('second', 'late', 20_000)
    assert.deepEqual([await evil, await beside], ['ORC_SANDBOX_TIMEOUT', 'ORC_HOOK_NOT_SERVING'])
    const isOver = () => (show().restarts >= deaths && show().state === 'serving') || show().state === 'quarantined'
    await waitFor(isOver, { timeoutMs: 10_000, what: 'the plugin to be restarted, or given up' })
  }
  assert.equal(show().state, 'quarantined')
  assert.equal(w.breakers('@test/two')[1], 'second closed')
  assert.ok(show().incidents.every(({ instance }) => instance === 'two'))
  assert.deepEqual(await w.ask('other', 'fine'), 'ok')
  const other = w.plugins.show('@test/other')
  assert.deepEqual([other.restarts, other.incidents, w.breakers('@test/other')], [0, [], ['other closed']])

  const restarted = w.events.find(({ type }) => type === 'plugin.restarted')?.data
  assert.deepEqual(
    { ...restarted, message: '' },
    {
      plugin: '@test/two',
      restarts: 1,
      code: 'ORC_SANDBOX_TIMEOUT',
      message: '',
      hook: 'scaler',
      instance: 'two',
      app: 'evil',
      line: undefined,
      action: 'processKilled',
    },
  )
  const quarantined = w.events.find(({ type }) => type === 'plugin.quarantined')?.data
  assert.deepEqual([quarantined?.code, quarantined?.action], ['ORC_SANDBOX_TIMEOUT', 'quarantined'])

  const view = await w.plugins.reset('@test/two')
  assert.equal(view.state, 'serving')
  assert.deepEqual(w.breakers('@test/two'), ['two closed', 'second closed'])
  assert.equal(await w.ask('two', 'fine'), 'ok')
})

test('an open breaker is shown where it is, and nowhere else; a reset closes it', async (t) => {
  const w = await world(t)
  for (let n = 0; n < 5; n += 1) assert.equal(await w.ask('two', 'broken'), 'ORC_SANDBOX_GUEST_ERROR')
  assert.deepEqual(w.breakers('@test/two'), ['two open', 'second closed'])
  assert.equal(await w.ask('two', 'fine'), 'ORC_HOOK_BREAKER_OPEN')
  assert.equal(await w.ask('second', 'fine'), 'ok')
  assert.deepEqual(
    w.plugins.usageOf('@test/two').instances.map(({ breaker }) => breaker),
    ['open', 'closed'],
  )
  const [error, open] = w.plugins.show('@test/two').incidents
  assert.deepEqual(
    [error?.code, error?.instance, error?.hook, error?.app, error?.version],
    ['ORC_SANDBOX_GUEST_ERROR', 'two', 'scaler.decide', 'broken', '1.0.0'],
  )
  assert.match(error?.line ?? '', /^plugin\.ts:8:\d+$/)
  assert.deepEqual([open?.code, open?.action], ['ORC_HOOK_BREAKER_OPEN', 'refused'])
  const { rows } = w.plugins.usageOf('@test/two').instances[0] ?? { rows: [] }
  const row = rows.find(({ app }) => app === 'broken')
  assert.deepEqual([row?.hook, row?.calls, row?.errors], ['scaler', 5, 5])
  await w.plugins.reset('@test/two')
  assert.deepEqual(w.breakers('@test/two'), ['two closed', 'second closed'])
  assert.equal(await w.ask('two', 'fine'), 'ok')
})

test('a promise that nobody caught is told with its words and its place, and ends nothing', async (t) => {
  const { plugins, ask } = await world(t)
  const before = plugins.show('@test/other')
  await ask('other', 'careless')
  const stray = await waitFor(
    () => plugins.show('@test/other').incidents.find(({ message }) => message.includes('nobody listens')),
    { what: 'the incident' },
  )
  assert.equal(stray.code, 'ORC_SANDBOX_GUEST_ERROR')
  assert.match(stray.line ?? '', /^plugin\.ts:7:\d+$/)
  assert.deepEqual([plugins.show('@test/other').pid, plugins.show('@test/other').restarts], [before.pid, 0])
})
