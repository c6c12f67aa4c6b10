/** A runtime with plugins and nothing else, for the tests of their life. */
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { createAppsCapability } from '../../runtime/capabilities/apps.ts'
import { createDaemons } from '../../runtime/capabilities/daemons.ts'
import { createEventsCapability } from '../../runtime/capabilities/events.ts'
import { createExecCapability } from '../../runtime/capabilities/exec.ts'
import { createKvCapability } from '../../runtime/capabilities/kv.ts'
import { createNetCapability } from '../../runtime/capabilities/net.ts'
import { createOwnDirs } from '../../runtime/capabilities/own-dir.ts'
import { createCapabilities } from '../../runtime/capabilities/table.ts'
import { createTimersCapability } from '../../runtime/capabilities/timers.ts'
import { systemClock } from '../../runtime/clock.ts'
import type { NewEvent } from '../../runtime/events/events.ts'
import { createLog } from '../../runtime/log.ts'
import { createPlugins } from '../../runtime/plugins/lifecycle.ts'
import { createMemoryStore } from '../../runtime/store/memory.ts'
import { createInProcessSandbox } from '../support/in-process-sandbox.ts'
import { type PluginFolder, writePlugin } from '../support/plugin-folder.ts'
import { tempDir } from '../support/temp-dir.ts'

/** A scaler of one mind; `more` stands in `definePlugin` beside it. */
export const scaler = (replicas: number, more = '') => `
import { definePlugin, Type } from '@orchestry/sdk'
export default definePlugin({
  ${more}
  scaler: { decide: () => ({ replicas: ${replicas}, reason: 'version' }) },
})`
const input = JSON.stringify({ app: { name: 'shop' }, metrics: {} })
const call = { hook: 'scaler', function: 'decide', per: 'item', timeoutMs: 500 } as const

/** Everything that a plugin's life needs, with a store in memory and guests that really run. */
export async function world(t: TestContext, options: { builtins?: Record<string, PluginFolder> } = {}) {
  const root = await tempDir(t)
  const builtinDir = join(root, 'builtin')
  for (const [name, folder] of Object.entries(options.builtins ?? {})) await writePlugin(join(builtinDir, name), folder)
  const store = createMemoryStore({ clock: systemClock })
  const sandbox = createInProcessSandbox()
  const events: NewEvent[] = []
  const breakers = new Map<string, 'open'>()
  const ownDirs = createOwnDirs(join(root, 'servers'))
  const log = createLog({ level: 'silent' })
  const daemons = createDaemons({ dataDir: join(root, 'servers'), ownDirs, clock: systemClock, log })
  t.after(() => daemons.close({ keep: false }))
  const capabilities = createCapabilities([
    createKvCapability({ store }),
    createTimersCapability({ clock: systemClock }),
    createEventsCapability({
      events: {
        append: async (added) => added.map((event) => ({ source: '', ...event, id: '1', atMs: 0 })),
        list: async () => [],
      },
      clock: systemClock,
      coreTypes: ['plugin.installed'],
    }),
    createAppsCapability({ views: () => [], scale: async () => {} }),
    createNetCapability({ clock: systemClock, ownListeners: () => [] }),
    createExecCapability({ clock: systemClock, reserved: [], ownDirs, daemons }),
  ])
  const make = () =>
    createPlugins({
      sandbox,
      store,
      dataDir: join(root, 'data'),
      capabilities,
      events: { emit: (event) => void events.push(event) },
      clock: systemClock,
      log: createLog({ level: 'silent' }),
      builtinDirs: [builtinDir],
      breakerOf: (plugin, instance) => breakers.get(`${plugin} ${instance}`) ?? 'closed',
      resetBreakers: () => breakers.clear(),
    })
  let plugins = make()
  t.after(() => plugins.stop())
  const live = (name: string) => plugins.liveInstances().find((instance) => instance.name === name)
  return {
    root,
    builtinDir,
    store,
    sandbox,
    events,
    breakers,
    get plugins() {
      return plugins
    },
    /** As after the end of the whole process: only the store and the disk are left. */
    async restart() {
      await plugins.stop()
      plugins = make()
      await plugins.start()
    },
    live,
    typesOf: (plugin: string) => events.filter(({ data }) => data.plugin === plugin).map(({ type }) => type),
    async ask(name: string): Promise<unknown> {
      const [answer] = (await live(name)?.sandbox?.call([input], call)) ?? []
      return answer?.ok === true ? (answer.value as { replicas: number }).replicas : answer?.code
    },
    folder: (name: string, given: PluginFolder) => writePlugin(join(root, name), given),
  }
}
