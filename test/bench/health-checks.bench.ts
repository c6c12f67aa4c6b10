/** HTTP health checks through the real plugin: hooks → sandbox → net capability → replicas, and back. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { HealthInput } from '@orchestry/sdk'
import { createNetCapability } from '../../runtime/capabilities/net.ts'
import { createCapabilities } from '../../runtime/capabilities/table.ts'
import { systemClock } from '../../runtime/clock.ts'
import { createCaller } from '../../runtime/hooks/caller.ts'
import { createHooks } from '../../runtime/hooks/disciplines.ts'
import { limits } from '../../runtime/limits.ts'
import { createPlugins } from '../../runtime/plugins/lifecycle.ts'
import { createLmdbStore } from '../../runtime/store/lmdb.ts'
import { sampleCheck } from '../support/fake-apps.ts'
import type { Bench, BenchContext } from './bench.ts'
import { findBuiltin } from './builtins.ts'
import { quietLog, startSandbox } from './guests.ts'
import { cpuSeconds, hasProc } from './processes.ts'
import { startServer } from './replica.ts'

const builtin = 'http-health'
const replicas = 200

export const bench: Bench = {
  async run(context) {
    const what = 'HTTP health checks'
    const path = findBuiltin(builtin)
    if (path === undefined) return [{ what, missing: `not there: no plugins-builtin/${builtin}` }]
    if (!hasProc) return [{ what, missing: 'needs Linux (/proc)' }]
    const { hooks, instance, pid } = await startPlugin(context, path)
    const script = fileURLToPath(new URL('./many-ports.ts', import.meta.url))
    const { ports } = await startServer(context, script, [String(replicas)])
    const endpoints = ports.map((port, index) => ({ id: `replica-${index}`, host: '127.0.0.1', port }))
    let next = 0
    const batch = () =>
      Array.from({ length: limits.batchItems }, (): HealthInput => {
        next = (next + 1) % endpoints.length
        const endpoint = endpoints[next]
        if (endpoint === undefined) throw new Error('no replica listens')
        return { app: 'shop', instance: endpoint, healthCheck: sampleCheck({ path: '/healthz' }) }
      })
    let checks = 0
    let batches = 0
    const checkFor = async (ms: number) => {
      const untilMs = performance.now() + ms
      const lane = async () => {
        while (performance.now() < untilMs) {
          const answers = await hooks.first('healthCheck', 'check', instance, batch(), { endpoints, timeoutMs: 5_000 })
          const bad = answers.find((answer) => !answer.ok || answer.value.status !== 'healthy')
          if (bad !== undefined) throw new Error(`a check went wrong: ${JSON.stringify(bad)}`)
          checks += answers.length
          batches += 1
        }
      }
      await Promise.all(Array.from({ length: limits.probeBatchesInFlight }, lane))
    }
    await checkFor(500)
    checks = 0
    batches = 0
    const cpuAtStart = process.cpuUsage()
    const guestAtStart = await cpuSeconds(pid)
    const startedMs = performance.now()
    await checkFor(context.isQuick ? 1_500 : 4_000)
    const seconds = (performance.now() - startedMs) / 1000
    const { user, system } = process.cpuUsage(cpuAtStart)
    const coreSeconds = (user + system) / 1e6 + (await cpuSeconds(pid)) - guestAtStart
    return [
      {
        what: `${what} through ${builtin}`,
        figures: [
          { name: 'of one core', value: checks / coreSeconds, unit: '/s', atLeast: 2_000 },
          { name: 'by the clock', value: checks / seconds, unit: '/s' },
        ],
        runs: batches,
        note: `batches of ${limits.batchItems}, ${limits.probeBatchesInFlight} under way, ${replicas} replicas; one core = a second of CPU time of host and plugin together`,
      },
    ]
  },
}

async function startPlugin(context: BenchContext, path: string) {
  const clock = systemClock
  const sandbox = await startSandbox(context)
  const store = await createLmdbStore({ path: join(context.dir, 'state'), clock })
  context.after(() => store.close())
  const plugins = createPlugins({
    sandbox,
    store,
    dataDir: context.dir,
    capabilities: createCapabilities([createNetCapability({ clock, ownListeners: () => [] })]),
    events: { emit: () => {} },
    clock,
    log: quietLog,
    builtinDirs: [],
  })
  context.after(() => plugins.stop())
  const { id, pid } = await plugins.install({ path, kind: 'builtin' })
  const instance = plugins.liveInstances().find(({ plugin }) => plugin === id)
  if (instance === undefined || pid === undefined) throw new Error(`${id} does not serve`)
  const caller = createCaller({ clock, onIncident: () => {} })
  const hooks = createHooks({ caller, liveInstances: plugins.liveInstances, onInstancesChanged: plugins.onChange })
  return { hooks, instance: instance.name, pid }
}
