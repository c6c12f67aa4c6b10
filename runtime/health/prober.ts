/** Probes replicas on its own clock: all that are due together go to their plugin as one batch. Nothing here acts. */
import type { HealthCheck, HealthResult } from '@orchestry/sdk'
import type { App, Apps } from '../apps/app.ts'
import type { Clock } from '../clock.ts'
import type { Instance } from '../drivers/driver.ts'
import type { Events } from '../events/events.ts'
import type { Hooks } from '../hooks/hooks.ts'
import { startupBudgetMs } from '../limits.ts'
import type { Log } from '../log.ts'
import { createAsking, type Word } from './asking.ts'
import type { Checked, Health, HealthState, HealthStatus } from './health.ts'
import { createProbe, isWell, type Probe, release } from './probe.ts'
import { createSlots } from './slots.ts'
import {
  adoptionDelayMs,
  firstDelayMs,
  nextDelayMs,
  observe,
  settlingDelayMs,
  thresholdsOf,
  withProblem,
} from './status.ts'
import { afterLook, nextLookMs, trustMs } from './suspicion.ts'

/** Checks that fall due this close together travel in one batch. */
const slotMs = 25
/** One that is older when we first see it was not started by us just now. */
const newbornMs = 1_000

export interface HealthParts {
  readonly apps: Pick<Apps, 'list' | 'get' | 'onChange'>
  readonly instances: (app: string) => readonly Instance[]
  readonly onInstancesChanged: (listener: (app: string) => void) => () => void
  /** The spec that a replica was started from, where it is known: an old version is judged by its own check, or by none. */
  readonly specOf?: (instance: Instance) => Pick<App, 'healthCheck'> | undefined
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
  const checkedListeners = new Set<(checked: Checked) => void>()
  const subscriptions: (() => void)[] = []
  const byApp = new Map<string, Set<Probe>>()
  let isStopped = false
  const checkFor = (app: string, instance: Instance): HealthCheck | undefined => {
    const record = apps.get(app)
    return record && (parts.specOf?.(instance) ?? record.app).healthCheck
  }
  const checkOf = (probe: Probe) =>
    probes.get(probe.instance.id) === probe ? checkFor(probe.app, probe.instance) : undefined
  const isStarting = (probe: Probe, check: HealthCheck) =>
    !probe.hasBeenHealthy && clock.monotonic() - probe.startedAtMs < startupBudgetMs(check)
  const asking = createAsking({ hooks, log, checkOf, isStarting, answered: settle })
  const slots = createSlots<Probe>(clock, slotMs, asking.ask)

  function sync(app: string): void {
    if (isStopped) return
    const wanted = new Map<string, { instance: Instance; check: HealthCheck }>()
    for (const instance of parts.instances(app)) {
      const check = instance.isRunning ? checkFor(app, instance) : undefined
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
    // A clock that was set back since must not put off the first probe.
    const ageMs = Math.max(0, clock.now() - instance.startedAtMs)
    const startedAtMs = clock.monotonic() - ageMs
    const probe = createProbe(app, instance, { startedAtMs, isAdopted: ageMs >= startupBudgetMs(check) }, clock.now())
    probes.set(instance.id, probe)
    const ofApp = byApp.get(app)
    if (ofApp) ofApp.add(probe)
    else byApp.set(app, new Set([probe]))
    const spreadMs = ageMs < newbornMs ? 0 : adoptionDelayMs(probes.size, chance())
    slots.put(probe, firstDelayMs(check, ageMs) + spreadMs)
  }

  function forget(probe: Probe): void {
    probes.delete(probe.instance.id)
    const ofApp = byApp.get(probe.app)
    ofApp?.delete(probe)
    if (ofApp?.size === 0) byApp.delete(probe.app)
    slots.drop(probe)
    release(probe)
  }

  function settle(probe: Probe, word: Word): void {
    const check = checkOf(probe)
    if (check) judge(probe, word, check)
    probe.isUnderWay = false
    release(probe)
    if (check && !isStopped) slots.put(probe, pauseMs(probe, check))
  }

  function judge(probe: Probe, word: Word, check: HealthCheck): void {
    const before = probe.state.status
    const isStartingUp = isStarting(probe, check)
    const answer = typeof word === 'object' && word.ok ? word.value : undefined
    if (answer) probe.state = observe(probe.state, answer, clock.now(), thresholdsOf(check, probe.isAdopted))
    else if (typeof word === 'string') probe.state = withProblem(probe.state, word)
    else if (!word.ok) probe.state = withProblem(probe.state, word.failure.message)
    if (probe.state.status === 'healthy') probe.hasBeenHealthy = true
    look(probe, answer?.status ?? 'unknown', check)
    tell(probe.app, answer ?? { status: 'unknown' })
    if (probe.state.status !== before) report(probe, before, isStartingUp)
  }

  function tell(app: string, { status, responseTimeMs }: HealthResult): void {
    const checked = { app, status, ...(responseTimeMs === undefined ? {} : { responseTimeMs }) }
    for (const listener of checkedListeners) listener(checked)
  }

  function look(probe: Probe, found: HealthStatus, check: HealthCheck): void {
    if (probe.suspicion === undefined) return
    probe.suspicion = afterLook(probe.suspicion, { found, status: probe.state.status }, check)
    if (probe.suspicion === undefined) probe.trustedUntilMs = clock.monotonic() + trustMs(check)
  }

  function suspect(instanceId: string): void {
    const probe = probes.get(instanceId)
    const check = probe && checkOf(probe)
    if (!check || probe.suspicion || isStarting(probe, check)) return
    if (probe.state.status === 'unhealthy' || clock.monotonic() < probe.trustedUntilMs) return
    probe.suspicion = { looks: 0, isOlderUnderWay: probe.isUnderWay }
    if (!probe.isUnderWay) slots.put(probe, 0)
  }

  function report(probe: Probe, from: HealthStatus, isStartingUp: boolean): void {
    const { status: to, last } = probe.state
    const change = { app: probe.app, instance: probe.instance.id, from, to }
    for (const listener of listeners) listener(change)
    // A replica that does not answer yet while it starts is no news.
    if (to === 'unknown' || (to === 'unhealthy' && isStartingUp)) return
    const statusCode = last?.details?.statusCode
    const data = {
      instance: probe.instance.id,
      from,
      ...(last?.message === undefined ? {} : { message: last.message }),
      ...(Number.isInteger(statusCode) ? { statusCode } : {}),
    }
    events.emit({ type: to === 'healthy' ? 'instance.healthy' : 'instance.unhealthy', app: probe.app, data })
  }

  function pauseMs(probe: Probe, check: HealthCheck): number {
    if (probe.suspicion) return nextLookMs(check)
    if (!isWell(probe) || probe.hasSettled) return nextDelayMs(check, isStarting(probe, check), chance())
    probe.hasSettled = true
    return settlingDelayMs(check, chance())
  }

  async function checkNow(app: string): Promise<ReadonlyMap<string, HealthState>> {
    sync(app)
    const mine = [...(byApp.get(app) ?? [])]
    const answered = mine.map((probe) => new Promise<void>((resolve) => probe.waiters.push(resolve)))
    const idle = mine.filter((probe) => !probe.isUnderWay)
    for (const probe of idle) slots.drop(probe)
    asking.ask(idle)
    await Promise.all(answered)
    return new Map(mine.map((probe) => [probe.instance.id, probe.state]))
  }

  return {
    stateOf: (instanceId) => probes.get(instanceId)?.state,
    checkNow,
    suspect,
    onChecked(listener) {
      checkedListeners.add(listener)
      return () => checkedListeners.delete(listener)
    },
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
      await asking.close()
    },
  }
}
