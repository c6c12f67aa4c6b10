/**
 * Plugins in their real sandbox, with the capabilities that reach nothing outside: real store, real event log and delivery.
 * A guest is asked as a scaler; what its `decide` returns comes back.
 */
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { AppView, OrchestryEvent } from '@orchestry/sdk'
import { createAppsCapability } from '../../runtime/capabilities/apps.ts'
import { createEventsCapability } from '../../runtime/capabilities/events.ts'
import { createKvCapability } from '../../runtime/capabilities/kv.ts'
import { createPluginLogs } from '../../runtime/capabilities/log.ts'
import { createMetricsCapability } from '../../runtime/capabilities/metrics.ts'
import { createCapabilities } from '../../runtime/capabilities/table.ts'
import { createTimersCapability } from '../../runtime/capabilities/timers.ts'
import { systemClock } from '../../runtime/clock.ts'
import { createEventDelivery } from '../../runtime/events/delivery.ts'
import { eventTypes } from '../../runtime/events/events.ts'
import { createEvents } from '../../runtime/events/log.ts'
import { createCaller } from '../../runtime/hooks/caller.ts'
import { createHooks } from '../../runtime/hooks/disciplines.ts'
import { createLog } from '../../runtime/log.ts'
import { coreMetrics } from '../../runtime/metrics/metrics.ts'
import { createMetrics } from '../../runtime/metrics/registry.ts'
import { createPlugins } from '../../runtime/plugins/lifecycle.ts'
import { createSandbox } from '../../runtime/sandbox/supervisor.ts'
import { createLmdbStore } from '../../runtime/store/lmdb.ts'
import { writePlugin } from '../support/plugin-folder.ts'
import { tempDir } from '../support/temp-dir.ts'
import { testedTier } from '../support/tested-tier.ts'

export interface Guest {
  readonly name: string
  readonly capabilities: readonly object[]
  readonly limits?: object
  /** Body of `async attack(ctx)`; `tell(work)` gives the value of what resolves, and the code of what fails. */
  readonly body?: string
  /** What stands in `definePlugin` beside the scaler. */
  readonly more?: string
  /** What stands in the module before it. */
  readonly head?: string
}

export async function startGuestRoom(t: TestContext, { views = [] }: { views?: readonly AppView[] } = {}) {
  const clock = systemClock
  const root = await tempDir(t)
  const log = createLog({ level: 'silent' })
  const store = await createLmdbStore({ path: join(root, 'state'), clock, log })
  const events = createEvents({ store, clock, log })
  const metrics = createMetrics({ clock })
  const logs = createPluginLogs({ log, clock })
  const scaled: unknown[] = []
  const capabilities = createCapabilities([
    createKvCapability({ store }),
    logs.capability,
    createEventsCapability({ events, clock, coreTypes: eventTypes }),
    createMetricsCapability({ metrics, clock, coreMetrics, hasApp: (app) => views.some(({ name }) => name === app) }),
    createAppsCapability({ views: () => views, scale: async (...args) => void scaled.push(args) }),
    createTimersCapability({ clock }),
  ])
  const sandbox = await createSandbox({ dataDir: root, tier: testedTier, clock, log })
  const plugins = createPlugins({ sandbox, store, dataDir: root, capabilities, events, clock, log, builtinDirs: [] })
  const caller = createCaller({
    clock,
    onIncident: ({ plugin, ...incident }) => plugins.recordIncident(plugin, incident),
  })
  const hooks = createHooks({ caller, liveInstances: plugins.liveInstances, onInstancesChanged: plugins.onChange })
  const delivery = createEventDelivery({ events, hooks, store, clock, log })
  delivery.start()
  t.after(async () => {
    await delivery.stop()
    await plugins.stop()
    await sandbox.close()
    await events.stop()
    await store.close()
  })

  return {
    plugins,
    store,
    metrics,
    logs,
    /** Every scaling that got through. */
    scaled,
    events: (type: string): Promise<OrchestryEvent[]> => events.list({ type, limit: 1_000 }),

    async install({ name, capabilities: asked, limits = {}, body = 'return null', more = '', head = '' }: Guest) {
      const code = `import { definePlugin } from '@orchestry/sdk'
${head}
export default definePlugin({
  ${more}
  scaler: {
    async decide({ ctx }) {
      const tell = async (work) => { try { return (await work()) ?? 'done' } catch (error) { return error.code ?? error.message } }
      return { told: await (async () => { ${body} })() }
    },
  },
})
`
      const manifest = { capabilities: asked, limits: { timeoutMs: 5_000, hostCalls: 2_000, ...limits } }
      const path = await writePlugin(join(root, 'packages', name), { name, manifest, code })
      return await plugins.install({ path, isAgreed: true })
    },

    /** What the guest's attack came to. */
    async ask(name: string, timeoutMs = 5_000): Promise<unknown> {
      const found = plugins.liveInstances().find((instance) => instance.name === name)
      const call = { hook: 'scaler', function: 'decide', per: 'item', timeoutMs } as const
      const input = JSON.stringify({ app: { name: 'shop' }, metrics: {} })
      const [answer] = (await found?.sandbox?.call([input], call)) ?? []
      if (answer?.ok !== true) return answer?.code
      return (answer.value as { told: unknown }).told
    },
  }
}
