/** A built-in health check as it really runs: installed, in a real sandbox, asked through the hooks. */
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { createNetCapability } from '../../runtime/capabilities/net.ts'
import { createCapabilities } from '../../runtime/capabilities/table.ts'
import { createTcpCapability } from '../../runtime/capabilities/tcp.ts'
import { systemClock } from '../../runtime/clock.ts'
import { createCaller } from '../../runtime/hooks/caller.ts'
import { createHooks } from '../../runtime/hooks/disciplines.ts'
import type { Hooks } from '../../runtime/hooks/hooks.ts'
import { createLog } from '../../runtime/log.ts'
import { createPlugins } from '../../runtime/plugins/lifecycle.ts'
import { createLmdbStore } from '../../runtime/store/lmdb.ts'
import { root } from './source-tree.ts'
import { tempDir } from './temp-dir.ts'
import { createTestedSandbox } from './tested-tier.ts'

/** @param name of the folder. `instance` is whom to ask. */
export async function startHealthPlugin(t: TestContext, name: string): Promise<{ hooks: Hooks; instance: string }> {
  const clock = systemClock
  const dataDir = await tempDir(t)
  const sandbox = await createTestedSandbox(dataDir)
  t.after(() => sandbox.close())
  const store = await createLmdbStore({ path: join(dataDir, 'state'), clock })
  t.after(() => store.close())
  const outside = { clock, ownListeners: () => [] }
  const plugins = createPlugins({
    sandbox,
    store,
    dataDir,
    capabilities: createCapabilities([createNetCapability(outside), createTcpCapability(outside)]),
    events: { emit: () => {} },
    clock,
    log: createLog({ level: 'silent' }),
    builtinDirs: [],
  })
  t.after(() => plugins.stop())
  const { id } = await plugins.install({ path: join(root, 'plugins-builtin', name), kind: 'builtin' })
  const instance = plugins.liveInstances().find(({ plugin }) => plugin === id)
  if (instance === undefined) throw new Error(`${id} does not serve`)
  const caller = createCaller({ clock, onIncident: () => {} })
  const hooks = createHooks({ caller, liveInstances: plugins.liveInstances, onInstancesChanged: plugins.onChange })
  return { hooks, instance: instance.name }
}
