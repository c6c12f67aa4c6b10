/** Probes replicas on its own clock: all that are due together go to their plugin as one batch. Nothing here acts. */
import type { HealthCheck, HealthInput, HealthResult } from '@orchestry/sdk'
import type { Apps } from '../apps/app.ts'
import type { Clock } from '../clock.ts'
import type { Instance } from '../drivers/driver.ts'
import type { Events } from '../events/events.ts'
import type { Answer, Hooks } from '../hooks/hooks.ts'
import { limits, startupBudgetMs } from '../limits.ts'
import type { Log } from '../log.ts'
import type { Health, HealthState, HealthStatus } from './health.ts'
import { createLanes } from './lanes.ts'
import { chooseProvider } from './provider.ts'
import { createSlots } from './slots.ts'
import { firstDelayMs, initialState, nextDelayMs, observe, thresholdsOf, withProblem } from './status.ts'

/** Checks that fall due this close together travel in one batch. */
const slotMs = 25
/** For the way to the plugin and back, and for waiting there, on top of the longest timeout in the batch. */
const crossingMs = 5_000

interface Probe {
  readonly app: string
  instance: Instance
  state: HealthState
  /** Older than its startup budget when first seen: it was running before we were. */
  readonly isAdopted: boolean
  hasBeenHealthy: boolean
  isUnderWay: boolean
  waiters: (() => void)[]
}

export interface HealthParts {
  readonly apps: Pick<Apps, 'list' | 'get' | 'onChange'>
  readonly instances: (app: string) => readonly Instance[]
  readonly onInstancesChanged: (listener: (app: string) => void) => () => void
  /** The check of a replica, when it is not that of the app's present spec: an old version is judged by its own. */
  readonly checkFor?: (instance: Instance) => HealthCheck | undefined
  readonly hooks: Pick<Hooks, 'providers' | 'first'>
  readonly clock: Clock
  readonly log: Log
  readonly events: Pick<Events, 'emit'>
  /** In [0, 1); spreads the periods. */
  readonly chance?: () => number
}

export function createHealth(parts: HealthParts): Health {
  const { apps, hooks, clock, log, events, chance = Math.random } = parts
  const probes = new Map<string, Probe>()
  const listeners = new Set<Parameters<Health['onChange']>[0]>()
  const subscriptions: (() => void)[] = []
  const byApp = new Map<string, Set<Probe>>()
  let isStopped = false
  const slots = createSlots<Probe>(clock, slotMs, (due) => send(due))
  const bounds = { batchItems: limits.batchItems, batchesInFlight: limits.probeBatchesInFlight }
  const lanes = createLanes<Probe>(bounds, (provider, batch) => call(provider, batch))

  const checkOf = (app: string, instance: Instance): HealthCheck | undefined => {
    const record = apps.get(app)
    return record && (parts.checkFor?.(instance) ?? record.app.healthCheck)
  }
  const isStarting = (probe: Probe, check: HealthCheck) =>
    !probe.hasBeenHealthy && clock.now() - probe.instance.startedAtMs < startupBudgetMs(check)

  function sync(app: string): void {
    if (isStopped) return
    const wanted = new Map<string, { instance: Instance; check: HealthCheck }>()
    for (const instance of parts.instances(app)) {
      const check = instance.isRunning ? checkOf(app, instance) : undefined
      if (check) wanted.set(instance.id, { instance, check })
    }
    for (const probe of byApp.get(app) ?? []) if (!wanted.has(probe.instance.id)) forget(probe)
    for (const { instance, check } of wanted.values()) {
      const known = probes.get(instance.id)
      if (known) known.instance = instance
      else watch(app, instance, check)
    }
  }

  function watch(app: string, instance: Instance, check: HealthCheck): void {
    const ageMs = clock.now() - instance.startedAtMs
    const probe: Probe = {
      app,
      instance,
      state: initialState(clock.now()),
      isAdopted: ageMs >= startupBudgetMs(check),
      hasBeenHealthy: false,
      isUnderWay: false,
      waiters: [],
    }
    probes.set(instance.id, probe)
    const ofApp = byApp.get(app)
    if (ofApp) ofApp.add(probe)
    else byApp.set(app, new Set([probe]))
    slots.put(probe, firstDelayMs(check, ageMs))
  }

  function forget(probe: Probe): void {
    probes.delete(probe.instance.id)
    const ofApp = byApp.get(probe.app)
    ofApp?.delete(probe)
    if (ofApp?.size === 0) byApp.delete(probe.app)
    slots.drop(probe)
    release(probe)
  }

  function release(probe: Probe): void {
    const waiters = probe.waiters
    probe.waiters = []
    for (const wake of waiters) wake()
  }

  /** Hands probes to their plugin; those that no plugin can make keep their state and say why. */
  function send(due: readonly Probe[]): void {
    const providers = hooks.providers('healthCheck')
    const groups = new Map<string, { provider: string; kind: string; probes: Probe[] }>()
    for (const probe of due) {
      const check = checkOf(probe.app, probe.instance)
      if (!check || probes.get(probe.instance.id) !== probe || probe.isUnderWay) continue
      const choice = chooseProvider(providers, check.protocol)
      if ('problem' in choice) {
        probe.state = withProblem(probe.state, choice.problem)
        finish(probe)
        continue
      }
      probe.isUnderWay = true
      const kind = kindOf(probe, check)
      const key = `${choice.instance} ${kind}`
      const group = groups.get(key)
      if (group) group.probes.push(probe)
      else groups.set(key, { provider: choice.instance, kind, probes: [probe] })
    }
    for (const group of groups.values()) lanes.add(group.provider, group.kind, group.probes)
  }

  function kindOf(probe: Probe, check: HealthCheck): string {
    if (isStarting(probe, check)) return 'starting'
    return probe.state.status === 'healthy' && probe.state.streak === 0 ? 'steady' : 'failing'
  }

  async function call(provider: string, batch: readonly Probe[]): Promise<void> {
    const items: HealthInput[] = []
    const asked: Probe[] = []
    const endpoints: { host: string; port: number }[] = []
    let timeoutMs = 0
    for (const probe of batch) {
      const check = checkOf(probe.app, probe.instance)
      const { id, host, port } = probe.instance
      if (!check || probes.get(id) !== probe) {
        finish(probe)
        continue
      }
      asked.push(probe)
      items.push({ app: probe.app, instance: { id, host, port }, healthCheck: check })
      endpoints.push({ host, port: check.port ?? port })
      timeoutMs = Math.max(timeoutMs, check.timeoutSeconds * 1000)
    }
    if (items.length === 0) return
    const scope = { endpoints, timeoutMs: timeoutMs + crossingMs }
    const answers = await hooks.first('healthCheck', 'check', provider, items, scope).catch(asFailure)
    for (const [index, probe] of asked.entries()) settle(probe, Array.isArray(answers) ? answers[index] : answers)
  }

  /** The hooks room never throws; should it do so all the same, replicas keep their state. */
  function asFailure(thrown: unknown): string {
    log.error({ err: thrown }, 'health checks could not be sent')
    return 'The health check could not be sent.'
  }

  function settle(probe: Probe, answer: Answer<HealthResult> | string | undefined): void {
    const check = checkOf(probe.app, probe.instance)
    if (!check || probes.get(probe.instance.id) !== probe) {
      finish(probe)
      return
    }
    const before = probe.state.status
    if (answer === undefined || typeof answer === 'string') {
      probe.state = withProblem(probe.state, answer ?? 'The health check gave no answer.')
    } else if (!answer.ok) {
      probe.state = withProblem(probe.state, answer.failure.message)
    } else {
      probe.state = observe(probe.state, answer.value, clock.now(), thresholdsOf(check, probe.isAdopted))
    }
    const isStartingUp = isStarting(probe, check)
    if (probe.state.status === 'healthy') probe.hasBeenHealthy = true
    if (probe.state.status !== before) report(probe, before, isStartingUp)
    finish(probe)
  }

  function report(probe: Probe, from: HealthStatus, isStartingUp: boolean): void {
    const { status: to, last } = probe.state
    const change = { app: probe.app, instance: probe.instance.id, from, to }
    for (const listener of listeners) listener(change)
    // A replica that does not answer yet while it starts is no news.
    if (to === 'unknown' || (to === 'unhealthy' && isStartingUp)) return
    const data = {
      instance: probe.instance.id,
      from,
      ...(last?.message === undefined ? {} : { message: last.message }),
    }
    events.emit({ type: to === 'healthy' ? 'instance.healthy' : 'instance.unhealthy', app: probe.app, data })
  }

  function finish(probe: Probe): void {
    probe.isUnderWay = false
    release(probe)
    const check = checkOf(probe.app, probe.instance)
    if (isStopped || !check || probes.get(probe.instance.id) !== probe) return
    slots.put(probe, nextDelayMs(check, isStarting(probe, check), chance()))
  }

  async function checkNow(app: string): Promise<ReadonlyMap<string, HealthState>> {
    sync(app)
    const mine = [...(byApp.get(app) ?? [])]
    const answered = mine.map((probe) => new Promise<void>((resolve) => probe.waiters.push(resolve)))
    const idle = mine.filter((probe) => !probe.isUnderWay)
    for (const probe of idle) slots.drop(probe)
    send(idle)
    await Promise.all(answered)
    return new Map(mine.map((probe) => [probe.instance.id, probe.state]))
  }

  return {
    stateOf: (instanceId) => probes.get(instanceId)?.state,
    checkNow,
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    start() {
      if (isStopped || subscriptions.length > 0) return
      subscriptions.push(
        parts.onInstancesChanged(sync),
        apps.onChange((change) => sync(change.name)),
      )
      for (const record of apps.list()) sync(record.app.name)
    },
    async stop() {
      isStopped = true
      for (const unsubscribe of subscriptions.splice(0)) unsubscribe()
      slots.close()
      for (const probe of await lanes.close()) release(probe)
    },
  }
}
