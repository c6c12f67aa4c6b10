/** The composition root: builds every room, hands each its collaborators, starts and stops them in order. */
import { join } from 'node:path'
import { createApi } from './api/app.ts'
import { type ApiServer, listen } from './api/server.ts'
import { createApps } from './apps/registry.ts'
import { createBalancing } from './balancing/publish.ts'
import { createSignals } from './balancing/signals.ts'
import { createDaemons } from './capabilities/daemons.ts'
import { createPluginLogs } from './capabilities/log.ts'
import { createOfferedCapabilities } from './capabilities/offered.ts'
import { createOwnDirs } from './capabilities/own-dir.ts'
import { systemClock } from './clock.ts'
import type { Config } from './config.ts'
import { createDashboard } from './dashboard/build.ts'
import { openDataDir } from './data-dir.ts'
import { createDataplane } from './dataplane/client.ts'
import { createDockerDriver } from './drivers/docker.ts'
import { createDockerListeners } from './drivers/docker-listeners.ts'
import { createRegistryAuth } from './drivers/docker-registries.ts'
import type { Driver, LogLine } from './drivers/driver.ts'
import { createProcessDriver } from './drivers/process.ts'
import { createEventDelivery } from './events/delivery.ts'
import { eventTypes } from './events/events.ts'
import { createEvents } from './events/log.ts'
import { createHealth } from './health/prober.ts'
import { createCaller } from './hooks/caller.ts'
import { createHooks } from './hooks/disciplines.ts'
import type { Log } from './log.ts'
import { createCollector } from './metrics/collector.ts'
import { createExposition } from './metrics/exposition.ts'
import { coreMetrics } from './metrics/metrics.ts'
import { createMetrics } from './metrics/registry.ts'
import { createPlugins } from './plugins/lifecycle.ts'
import { createReconciler } from './reconcile/reconciler.ts'
import { createRollouts } from './reconcile/rollouts.ts'
import { createSandbox } from './sandbox/supervisor.ts'
import { appView } from './scaling/app-view.ts'
import { createDecisionLog } from './scaling/decision-log.ts'
import { createScaling } from './scaling/scaling.ts'
import { createVault } from './secrets/vault.ts'
import { type AtStep, withSteps } from './steps.ts'
import { createLmdbStore } from './store/lmdb.ts'
import type { Write } from './store/store.ts'

/** Replicas that ended by themselves whose output is shown with that of the running ones. */
const endedWithLogs = 3

export interface Host {
  readonly url: string
  /** Where apps' traffic comes in. */
  readonly proxyUrl: string
  /** Plugins that should serve and do not, for the words at the start. */
  readonly problems: readonly string[]
  /** What was asked to end; safe to call twice, and after half a start. */
  stop(options?: { keep: boolean }): Promise<void>
}

const driverSteps = { start: () => 'start', stop: () => 'stop' }

/** The first part of the first key: what kind of thing is written. */
function placeOf([first]: readonly Write[]): string {
  if (first === undefined) return 'nothing'
  return String('put' in first ? first.put[0] : first.delete[0])
}

/** Undoes what was started, newest first; one that fails does not keep the others from ending. */
function createUndoing(log: Log) {
  const steps: { what: string; undo: () => unknown }[] = []
  return {
    add(what: string, undo: () => unknown) {
      steps.push({ what, undo })
    },
    async run() {
      for (const { what, undo } of steps.splice(0).reverse()) {
        try {
          await undo()
        } catch (error) {
          log.error({ error: String(error) }, `${what} did not end cleanly`)
        }
      }
    },
  }
}

/**
 * @param atStep is called before and after whatever changes the world or the store; a test ends the process there
 * @throws OrchestryError when something that everything needs cannot be had; what was started until then is undone.
 */
export async function startHost(config: Config, log: Log, atStep?: AtStep): Promise<Host> {
  const undoing = createUndoing(log)
  let keep = config.onExit === 'keep'
  try {
    return await build()
  } catch (error) {
    keep = true
    await undoing.run()
    throw error
  }

  async function build(): Promise<Host> {
    const clock = systemClock
    const dataDir = await openDataDir(config.dataDir)
    undoing.add('the data directory', () => dataDir.release())
    const lmdb = await createLmdbStore({ path: join(dataDir.path, 'state'), clock, log })
    undoing.add('the store', () => lmdb.close())
    const store = withSteps(lmdb, atStep, { write: (writes) => `store.write ${placeOf(writes as readonly Write[])}` })
    const secrets = await createVault({
      store,
      dataDir: dataDir.path,
      clock,
      log,
      events: { emit: (event) => events.emit(event) },
    })
    log.redactWith?.(secrets)
    const events = createEvents({ store, clock, log, redactData: secrets.redactData })
    undoing.add('the event log', () => events.stop())
    const metrics = createMetrics({ clock })

    const drivers = new Map<string, Driver>()
    const processDriver = createProcessDriver({ dataDir: dataDir.path, ownerId: dataDir.ownerId, clock, log })
    drivers.set(processDriver.name, withSteps(processDriver, atStep, driverSteps))
    undoing.add('the process driver', () => processDriver.close({ keep }))
    const dockerDriver = createDockerDriver({
      host: config.dockerHost,
      ...(config.dockerCertDir !== undefined && { certDir: config.dockerCertDir }),
      reach: config.dockerReach,
      ownerId: dataDir.ownerId,
      authOf: createRegistryAuth({ registries: config.registries, secretOf: secrets.value }),
      clock,
      log,
    })
    drivers.set(dockerDriver.name, withSteps(dockerDriver, atStep, driverSteps))
    undoing.add('the Docker driver', () => dockerDriver.close({ keep }))
    const dockerListeners = createDockerListeners(config.dockerHost)
    const apps = await createApps({
      store,
      clock,
      events,
      drivers: [...drivers.keys()],
      containerPolicy: config.containerPolicy,
    })

    const dataplane = createDataplane({
      dataDir: dataDir.path,
      host: config.proxyHost,
      port: config.proxyPort,
      clock,
      log,
      events,
    })
    undoing.add('the embedded proxy', () => dataplane.stop({ keep }))

    let server: ApiServer | undefined
    const sandbox = await createSandbox({
      dataDir: dataDir.path,
      tier: config.sandboxTier,
      floor: config.sandboxFloor,
      clock,
      log,
    })
    undoing.add('the sandbox', () => sandbox.close())
    const ownDirs = createOwnDirs(dataDir.path)
    const daemons = createDaemons({ dataDir: dataDir.path, ownDirs, clock, log })
    undoing.add('servers of plugins', () => daemons.close({ keep }))
    await daemons.adopt()
    const pluginLogs = createPluginLogs({ log, clock, redaction: secrets })
    const capabilities = createOfferedCapabilities({
      clock,
      store,
      events,
      metrics,
      secrets,
      dataplane,
      log: pluginLogs.capability,
      ownDirs,
      daemons,
      appViews: () => apps.list().map((record) => appView(record, reconciler.status(record.app.name).serving)),
      hasApp: (name) => apps.get(name) !== undefined,
      scale: async (app, replicas, reason) => {
        await scaling.scaleByHand(app, replicas, reason)
      },
      ownListeners: () => [
        { host: config.host, port: server?.port ?? config.port },
        { host: config.proxyHost, port: dataplane.address()?.port ?? config.proxyPort },
        ...dockerListeners.addresses(),
      ],
      ownDirectories: [dataDir.path, ...config.builtinDirs, ...dockerListeners.sockets],
      coreEventTypes: eventTypes,
      coreMetrics,
    })
    const caller = createCaller({
      clock,
      onIncident: ({ plugin, version: _version, ...incident }) => plugins.recordIncident(plugin, incident),
      redactData: secrets.redactData,
    })
    const plugins = createPlugins({
      sandbox,
      store,
      dataDir: dataDir.path,
      capabilities,
      events,
      clock,
      log,
      builtinDirs: config.builtinDirs,
      limitPolicy: config.pluginLimits,
      redact: secrets.redact,
      breakerOf: caller.breakerOf,
      resetBreakers: (id) => {
        for (const { name, plugin } of plugins.liveInstances()) if (plugin === id) caller.resetBreaker(id, name)
      },
    })
    undoing.add('the plugins', () => plugins.stop())
    const hooks = createHooks({
      caller,
      liveInstances: plugins.liveInstances,
      onInstancesChanged: plugins.onChange,
    })

    const publishing = createBalancing({ hooks, apps, events, clock, log })
    const balancing = withSteps(publishing, atStep, { publish: () => 'publish', remove: () => 'remove' })
    undoing.add('balancing', () => balancing.stop())
    dataplane.onRestarted(() => balancing.republish())
    const health = createHealth({
      apps,
      instances: (app) => reconciler.instances(app),
      onInstancesChanged: (listener) => reconciler.onInstancesChanged(listener),
      specOf: ({ app, version }) => reconciler.specOf(app, version),
      hooks,
      clock,
      log,
      events,
    })
    const reconciler = createReconciler({
      apps,
      drivers,
      health,
      balancing,
      events,
      store,
      clock,
      log,
      secretOf: secrets.value,
      containerPolicy: config.containerPolicy,
    })
    const signals = createSignals({
      hooks,
      clock,
      log,
      onFailing: ({ app, id }) => {
        health.suspect(id)
        reconciler.suspect(app, id)
      },
    })
    const decisionLog = createDecisionLog({ store, clock })
    const scaling = createScaling({
      apps,
      metrics,
      hooks,
      reconciler,
      decisionLog,
      events,
      store,
      clock,
      log,
      tickMs: config.tickMs,
    })
    const collector = createCollector({
      apps,
      reconciler,
      driverUsage: async (driver, ids) => (await drivers.get(driver)?.usage(ids)) ?? new Map(),
      hooks,
      metrics,
      clock,
      log,
    })
    const exposition = createExposition({ apps, reconciler, metrics, plugins, scaling, health, clock })
    const delivery = createEventDelivery({ events, hooks, store, clock, log })

    let isStarted = false
    const api = createApi({
      apps,
      scaling,
      reconciler,
      rollouts: createRollouts({ apps, reconciler, events }),
      health,
      metrics,
      events,
      plugins,
      pluginLogs: pluginLogs.lines,
      balancing,
      secrets,
      logs: (app, options) => readLogs(app, options),
      followerOf: (app) => {
        const driver = drivers.get(apps.require(app).app.driver)
        return driver?.follow?.bind(driver)
      },
      exposition,
      sandbox: sandbox.description,
      dashboard: createDashboard(),
      proxyAddress: () => dataplane.address(),
      config,
      clock,
      log,
      readiness: () => {
        const problems = [
          ...(isStarted ? [] : ['Orchestry is starting']),
          ...storeProblems(),
          ...secretProblems(),
          ...proxyProblems(),
          ...reconciler.driverProblems(),
          ...servingProblems(),
        ]
        return { ok: problems.length === 0, problems }
      },
    })

    /** Of the instances that run, and of those that ended lately. */
    async function readLogs(app: string, options: { lines: number; instance?: string }): Promise<LogLine[]> {
      const record = apps.require(app)
      const driver = drivers.get(record.app.driver)
      if (driver === undefined) return []
      if (options.instance !== undefined) return driver.logs(options.instance, { lines: options.lines })
      const running = reconciler.instances(app).map(({ id }) => id)
      const exits = await events.list({ app, type: 'instance.exited', limit: endedWithLogs })
      const ended = exits.map(({ data }) => String(data?.instance)).filter((id) => !running.includes(id))
      // Of one that ended, the driver may have forgotten the output by now.
      const ofEnded = ended.map((id) => driver.logs(id, { lines: options.lines }).catch((): LogLine[] => []))
      const ofRunning = running.map((id) => driver.logs(id, { lines: options.lines }))
      return (await Promise.all([...ofEnded, ...ofRunning])).flat()
    }

    function storeProblems(): string[] {
      const problem = store.problem()
      return problem === undefined
        ? []
        : [`The store cannot be written: ${problem} What runs goes on; is the disk of ${dataDir.path} full?`]
    }

    function secretProblems(): string[] {
      const problem = secrets.problem()
      return problem === undefined ? [] : [problem]
    }

    function proxyProblems(): string[] {
      const problem = dataplane.problem()
      return problem === undefined
        ? []
        : [
            `The embedded proxy, which takes the traffic of apps, does not run: ${problem}. It is started again and again.`,
          ]
    }

    function servingProblems(): string[] {
      const asleep = new Set(['failed', 'quarantined'])
      return plugins
        .list()
        .filter(({ state }) => asleep.has(state))
        .map(({ id, state, problem }) => `${id} is ${state}${problem === undefined ? '' : `: ${problem}`}`)
    }

    // Early, so that a port in use is said at once; until everything runs, /readyz says that it starts.
    server = await listen({ api, host: config.host, port: config.port })
    const { url, port } = server
    undoing.add('the API', () => server?.close())
    await dataplane.start()
    await plugins.start()
    // From here on nothing that a start does may take anything away from apps that run.
    health.start()
    undoing.add('health', () => health.stop())
    await reconciler.start()
    undoing.add('the reconciler', () => reconciler.stop({ keep }))
    signals.start()
    undoing.add('the signals of load balancers', () => signals.stop())
    scaling.start()
    undoing.add('scaling', () => scaling.stop())
    collector.start()
    undoing.add('the collector', () => collector.stop())
    delivery.start()
    undoing.add('event delivery', () => delivery.stop())
    undoing.add('the exposition', () => exposition.stop())
    isStarted = true
    events.emit({ type: 'runtime.started', data: { port, pid: process.pid } })

    const proxy = dataplane.address() ?? { host: config.proxyHost, port: config.proxyPort }
    let stopping: Promise<void> | undefined
    return {
      url,
      proxyUrl: `http://${proxy.host}:${proxy.port}`,
      problems: servingProblems(),
      stop(options) {
        stopping ??= (async () => {
          keep = options?.keep ?? keep
          events.emit({ type: 'runtime.stopped', data: { keep } })
          await undoing.run()
        })()
        return stopping
      },
    }
  }
}
