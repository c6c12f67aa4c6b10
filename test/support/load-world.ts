/** A whole Orchestry with a driver and a load balancer of choice, the same small app for every driver, and clients of it. */
import type { AppStatusView, InstanceRow } from './app-spec.ts'
import { buildImage, type DockerEngine, importReplica } from './docker-engine.ts'
import type { Clients } from './load-table.ts'
import { type RunningOrchestry, startOrchestry } from './orchestry.ts'
import { freePort } from './proxy.ts'
import { hasTool } from './real-tool.ts'
import { replicaCommand } from './sample-app.ts'
import { removeDir, tempDir } from './temp-dir.ts'
import { type WaitOptions, waitFor } from './wait-for.ts'

type Cleanup = { after(run: () => Promise<void>): void }

/** Why nothing can be tested with a real nginx here, or false. */
export const nginxSkip = hasTool('nginx', 'nginx-light') ? false : 'nginx cannot be installed here'

/** How long an answer takes: requests are to be in flight whenever something happens. */
const workMs = 25

/** Releases of the app. `sick` answers its health check with 500, `exits` does so at once. */
const releases = {
  '1': {},
  '2': { RELEASE: '2' },
  sick: { RELEASE: 'sick', STATUS: '500' },
  exits: { RELEASE: 'exits', START_DELAY_MS: '60000', EXIT_AFTER_MS: '1', EXIT_CODE: '3' },
} as const
export type Release = keyof typeof releases

export interface AppOptions {
  readonly release?: Release
  /** `process` runs it beside the containers of the others. */
  readonly driver?: 'process'
  readonly replicas?: number
  readonly host?: string
  readonly path?: string
  /** Further parts of the document; `spec` is merged. */
  readonly more?: {
    readonly spec?: object
    /** `null`: none at all. */
    readonly healthCheck?: object | null
    readonly rollout?: object
  }
  readonly env?: Readonly<Record<string, string>>
}

export interface EventRow {
  readonly id: string
  readonly type: string
  readonly app?: string
  readonly data: Readonly<Record<string, unknown>>
}

export interface LoadWorld {
  readonly engine: DockerEngine | undefined
  /** The one that runs now: another after each restart. */
  readonly orchestry: RunningOrchestry
  readonly dataDir: string
  spec(app: string, options?: AppOptions): Record<string, unknown>
  /** Creates or replaces it. */
  apply(app: string, options?: AppOptions): Promise<void>
  scale(app: string, replicas: number): Promise<void>
  status(app: string): Promise<AppStatusView>
  instances(app: string): Promise<InstanceRow[]>
  events(app: string, type: string): Promise<EventRow[]>
  /** So many replicas serve, nothing else of the app is left and nothing is wrong with it. */
  settled(app: string, replicas: number, options?: WaitOptions): Promise<unknown>
  delete(app: string): Promise<void>
  /** SIGKILL to one replica. */
  kill(instance: InstanceRow): Promise<void>
  /** Of nginx: what it says is live. */
  generation(): Promise<string>
  /** Whom a client asks for this app, on the load balancer's own port. */
  clients(app: string, options?: Pick<AppOptions, 'host' | 'path'>): Clients
  /** SIGTERM or SIGKILL to Orchestry alone, then another on the same data directory and ports. */
  restart(how: 'asked' | 'killed'): Promise<void>
}

/** Images of every release, for an engine that is to run them: the first has the program, the others only say more. */
export async function importReleases(engine: DockerEngine): Promise<void> {
  await importReplica(engine, 'test/replica:1')
  for (const [release, env] of Object.entries(releases)) {
    const lines = Object.entries(env).map(([name, value]) => `ENV ${name}=${value}`)
    if (lines.length > 0)
      await buildImage(engine, `test/replica:${release}`, ['FROM test/replica:1', ...lines].join('\n'))
  }
}

/** @param test from `newestFirst`: Orchestry ends before the engine that it works with */
export async function startWorld(
  test: Cleanup,
  options: { engine?: DockerEngine; isNginx?: boolean; dataDir?: string; args?: readonly string[] } = {},
): Promise<LoadWorld> {
  const { engine, isNginx = false, args = [] } = options
  const { dataDir = await tempDir() } = options
  if (options.dataDir === undefined) test.after(() => removeDir(dataDir))
  const env = engine && { ORCHESTRY_DOCKER_HOST: engine.host }
  const start = (more: readonly string[]) => startOrchestry(test, { dataDir, ...(env && { env }), args: more })
  let orchestry = await start(args)
  const { proxyUrl } = orchestry
  const nginx = isNginx ? await turnNginxOn(orchestry) : undefined
  const trafficUrl = nginx?.url ?? proxyUrl
  const isKeeping = args.includes('keep')
  // What was kept until now ends with a last one that keeps nothing.
  let isOver = false
  test.after(async () => {
    isOver = true
    if (isKeeping) {
      await orchestry.stop()
      orchestry = await start([])
    }
    await orchestry.stop()
  })

  const spec: LoadWorld['spec'] = (
    app,
    { release = '1', driver, replicas = 1, host, path, more = {}, env: ownEnv } = {},
  ) => {
    const isProcess = driver === 'process' || engine === undefined
    const variables = { ...(isProcess && releases[release]), ...ownEnv }
    const list = Object.entries(variables).map(([name, value]) => ({ name, value }))
    const program = isProcess
      ? { command: replicaCommand }
      : { image: `test/replica:${release}`, ports: [{ containerPort: 8080 }] }
    return {
      apiVersion: 'v1',
      kind: 'App',
      metadata: { name: app },
      spec: { ...program, ...(list.length > 0 && { env: list }), ...more.spec },
      ingress: { ...(isNginx && { loadBalancer: 'nginx' }), ...(host && { host }), ...(path && { path }) },
      scaling: { mode: 'manual', replicas, minReplicas: 0, maxReplicas: 24 },
      ...(more.healthCheck !== null && { healthCheck: { path: '/healthz', periodSeconds: 1, ...more.healthCheck } }),
      rollout: {
        drainSeconds: 3,
        stopGraceSeconds: 3,
        minReadySeconds: 0.5,
        progressDeadlineSeconds: 5,
        ...more.rollout,
      },
    }
  }
  const status = (app: string) => orchestry.api<AppStatusView>(`/api/v1/apps/${app}`)
  const instances = async (app: string) =>
    (await orchestry.api<{ instances: InstanceRow[] }>(`/api/v1/apps/${app}/instances`)).instances

  return {
    engine,
    get orchestry() {
      return orchestry
    },
    dataDir,
    spec,
    apply: (app, appOptions) => orchestry.api(`/api/v1/apps/${app}`, { method: 'PUT', body: spec(app, appOptions) }),
    scale: (app, replicas) => orchestry.api(`/api/v1/apps/${app}/scale`, { method: 'POST', body: { replicas } }),
    status,
    instances,
    async events(app, type) {
      const { events } = await orchestry.api<{ events: EventRow[] }>(
        `/api/v1/apps/${app}/events?limit=500&type=${type}`,
      )
      return events
    },
    settled: (app, replicas, wait = {}) =>
      waitFor(
        async () => {
          const { phase, serving, running, problems } = await status(app)
          if (phase === 'running' && serving === replicas && running === replicas) return true
          throw new Error(`${phase}, ${serving} of ${running} serving; ${problems.join(' ')}`)
        },
        { timeoutMs: 30_000, everyMs: 25, what: `${replicas} settled replicas of ${app}`, ...wait },
      ),
    delete: (app) => orchestry.api(`/api/v1/apps/${app}`, { method: 'DELETE' }),
    async kill({ id, pid }) {
      if (engine === undefined) return void process.kill(pid ?? 0, 'SIGKILL')
      const found = await engine.docker.listContainers({ filters: { label: [`orchestry.instance=${id}`] } })
      await engine.docker.getContainer(found[0]?.Id ?? '').kill({ signal: 'SIGKILL' })
    },
    async generation() {
      const response = await fetch(`http://127.0.0.1:${nginx?.statusPort}/generation`)
      return response.text()
    },
    clients(app, { host, path = host === undefined ? `/${app}/` : '/' } = {}) {
      return {
        url: `${trafficUrl}${path}?delayMs=${workMs}`,
        mustSay: `"app":"${app}"`,
        ...(host !== undefined && { headers: { host } }),
      }
    },
    async restart(how) {
      if (isOver) throw new Error('this world has ended')
      await (how === 'asked' ? orchestry.stop() : orchestry.kill())
      orchestry = await start([...args, '--proxy-port', new URL(proxyUrl).port])
    },
  }
}

async function turnNginxOn(orchestry: RunningOrchestry): Promise<{ url: string; statusPort: number }> {
  const [port, statusPort] = await Promise.all([freePort(), freePort()])
  const config = { path: '/usr/sbin/nginx', port, statusPort }
  const { code, stderr } = await orchestry.cli('plugin', 'config', 'nginx', JSON.stringify(config))
  if (code !== 0) throw new Error(`nginx did not take its config: ${stderr}`)
  return { url: `http://127.0.0.1:${port}`, statusPort }
}
