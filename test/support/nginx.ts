/** The load balancer plugin for nginx as Orchestry runs it: in its sandbox, with its grants, and with a real nginx. */
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { EndpointSignal, Sample, Upstream, UpstreamStatus } from '@orchestry/sdk'
import { createAppsCapability } from '../../runtime/capabilities/apps.ts'
import { clockCapability } from '../../runtime/capabilities/clock.ts'
import { createDaemons } from '../../runtime/capabilities/daemons.ts'
import { createExecCapability } from '../../runtime/capabilities/exec.ts'
import { createFilesCapability } from '../../runtime/capabilities/files.ts'
import { createKvCapability } from '../../runtime/capabilities/kv.ts'
import { createPluginLogs } from '../../runtime/capabilities/log.ts'
import { createNetCapability } from '../../runtime/capabilities/net.ts'
import { createOwnDirs } from '../../runtime/capabilities/own-dir.ts'
import { createCapabilities } from '../../runtime/capabilities/table.ts'
import { createTimersCapability } from '../../runtime/capabilities/timers.ts'
import { systemClock } from '../../runtime/clock.ts'
import { createLog } from '../../runtime/log.ts'
import { createPlugins } from '../../runtime/plugins/lifecycle.ts'
import { createSandbox } from '../../runtime/sandbox/supervisor.ts'
import { createMemoryStore } from '../../runtime/store/memory.ts'
import { freePort } from './proxy.ts'
import { hasTool } from './real-tool.ts'
import { tempDir } from './temp-dir.ts'

/** Absent where there is none and none can be had. */
export const nginxPath: string | undefined =
  process.platform === 'linux' && hasTool('/usr/sbin/nginx', 'nginx-light') ? '/usr/sbin/nginx' : undefined
/** For the option `skip` of a test. */
export const withoutNginx: string | false = nginxPath === undefined ? 'nginx is not installed' : false

const folder = fileURLToPath(new URL('../../plugins-builtin/nginx', import.meta.url))

export async function startNginx(t: TestContext, config: Readonly<Record<string, unknown>> = {}) {
  const dataDir = await tempDir(t)
  const usesOf = (operation: string) =>
    plugins
      .usesOf('nginx')
      .flatMap(({ uses }) => uses.flatMap(({ targets }) => targets))
      .filter((one) => `${one.operation} ${one.target}` === operation)
      .reduce((sum, { allowed }) => sum + allowed, 0)
  const log = createLog({ level: 'silent' })
  const store = createMemoryStore({ clock: systemClock })
  const sandbox = await createSandbox({ dataDir, clock: systemClock, log })
  const ownDirs = createOwnDirs(dataDir)
  const daemons = createDaemons({ dataDir, ownDirs, clock: systemClock, log })
  const machine = { clock: systemClock, reserved: [dataDir], ownDirs, daemons }
  const logs = createPluginLogs({ log, clock: systemClock })
  const apps = new Set<string>()
  const capabilities = createCapabilities([
    createFilesCapability(machine),
    createExecCapability(machine),
    createNetCapability({ clock: systemClock, ownListeners: () => [] }),
    createKvCapability({ store }),
    createTimersCapability({ clock: systemClock }),
    createAppsCapability({
      views: () => [...apps].map((name) => ({ ...view, name })),
      scale: async () => {},
    }),
    clockCapability,
    logs.capability,
  ])
  const events = { emit() {} }
  const shared = { sandbox, store, dataDir, capabilities, events, clock: systemClock, log, builtinDirs: [] }
  const plugins = createPlugins(shared)
  t.after(async () => {
    await plugins.stop()
    await daemons.close({ keep: false })
    await sandbox.close()
  })
  const [port, statusPort] = [Number(config.port ?? (await freePort())), await freePort()]
  const settings = { path: nginxPath, port, statusPort, ...config }
  await plugins.install({ path: folder, kind: 'builtin', config: settings })

  async function call<T>(fn: string, payload: unknown): Promise<T> {
    const instance = plugins.liveInstances().find(({ name }) => name === 'nginx')
    const options = { hook: 'loadBalancer', function: fn, per: 'call', timeoutMs: 20_000 } as const
    const [answer] = (await instance?.sandbox?.call([JSON.stringify(payload)], options)) ?? []
    if (answer?.ok === true) return answer.value as T
    throw new Error(answer?.message ?? 'the plugin does not serve')
  }

  let generation = 0
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    statusPort,
    settings,
    plugins,
    daemons,
    /** How often nginx was told to take another configuration. */
    reloads: () => usesOf('signal serve HUP'),
    server: () => daemons.status({ plugin: '@orchestry/nginx', instance: 'nginx', command: 'serve' }),
    logs: () => logs.lines('nginx').map(({ message }) => message),
    dir: join(dataDir, 'work', '@orchestry+nginx', 'nginx'),
    status: (app: string) => call<UpstreamStatus | null>('status', app),
    metrics: () => call<Sample[]>('metrics', null),
    signals: () => call<EndpointSignal[]>('signals', null),
    remove(app: string) {
      apps.delete(app)
      return call<null>('remove', app)
    },
    /** Routes `/<app>/`, unless told otherwise, with a generation of its own. */
    async apply(app: string, changes: Partial<Upstream> = {}): Promise<Upstream> {
      apps.add(app)
      generation += 1
      const route = { path: `/${app}/` }
      const upstream = { app, generation, route, endpoints: [], draining: [], ...changes }
      await call('apply', upstream)
      return upstream
    },
  }
}
export type RunningNginx = Awaited<ReturnType<typeof startNginx>>

const view = {
  labels: {},
  replicas: 1,
  healthyReplicas: 1,
  minReplicas: 1,
  maxReplicas: 1,
  targets: {},
  scaleOutThresholdPct: 10,
  scaleInThresholdPct: 10,
  windowSeconds: 60,
}
