/** Closes the gap between what is wanted and what runs. Hears of changes, and plans each changed app soon after. */
import { randomBytes } from 'node:crypto'
import type { AppChange, AppRecord, Apps } from '../apps/app.ts'
import type { Balancing } from '../balancing/balancing.ts'
import type { Clock } from '../clock.ts'
import { type ContainerPolicy, defaultContainerPolicy } from '../container-policy.ts'
import type { Driver, DriverEvent, Instance } from '../drivers/driver.ts'
import { OrchestryError } from '../errors.ts'
import type { Events } from '../events/events.ts'
import type { Health } from '../health/health.ts'
import type { Log } from '../log.ts'
import { accepts } from './accepts.ts'
import { createAdoption } from './adopt.ts'
import { createApply } from './apply.ts'
import { calm } from './backoff.ts'
import { createHistory, type HistoryStore } from './history.ts'
import { createJudge } from './judge.ts'
import { adoptedReplica, createLoop, goalOf, isCurrent, type Loop, type Replica } from './loop.ts'
import { createPass } from './pass.ts'
import { cutAfterMs } from './plan.ts'
import { createQueue } from './queue.ts'
import type { AppStatus, InstanceView, Reconciler } from './reconcile.ts'
import { type RolloutSight, rolloutView } from './rollout.ts'
import type { SecretOf } from './start-request.ts'
import { isAtRest, statusOf } from './status.ts'
import { afterChange, afterDeletion, isTriedOtherwise, type Memory, specOfVersion, waysOf } from './target.ts'
import { createWaiters } from './waiters.ts'

const resyncMs = 10_000
/** How long adopted replicas may wait for their first probe before they count as serving. */
const holdMs = 1_500
const passAgainMs = 1_000
const rememberAgainMs = 5_000
const unneededMs = 250
/** How long steps under way may take to end when we do. */
const lastStepsMs = 10_000
const memoryKey = 'reconcile'
/** Of the newest events of an app, to see whether an end was told already. */
const endsLookedThrough = 100

export interface ReconcilerParts {
  readonly apps: Pick<Apps, 'list' | 'get' | 'onChange'>
  readonly drivers: ReadonlyMap<string, Driver>
  readonly health: Pick<Health, 'stateOf' | 'onChange'>
  readonly balancing: Pick<Balancing, 'publish' | 'remove' | 'status' | 'generation' | 'problem'>
  readonly events: Pick<Events, 'emit'> & Partial<Pick<Events, 'list'>>
  /** Keeps what a failing rollout goes back to, and the history; without it that is lost at a restart. */
  readonly store?: HistoryStore
  readonly clock: Clock
  readonly log: Log
  /** In [0, 1); spreads the backoff. */
  readonly chance?: () => number
  readonly newSuffix?: () => string
  readonly accepts?: (host: string, port: number) => Promise<boolean>
  /** What replicas get where their spec names a secret; without it there is none. */
  readonly secretOf?: SecretOf
  readonly containerPolicy?: ContainerPolicy
}

export function createReconciler(parts: ReconcilerParts): Reconciler {
  const { apps, drivers, health, balancing, events, store, clock, log, chance = Math.random } = parts
  const loops = new Map<string, Loop>()
  const stored = new Map<string, Memory>()
  const listeners = new Set<(app: string) => void>()
  const subscriptions: (() => void)[] = []
  const stopping = new AbortController()
  let shutdown: string | undefined
  let state: 'new' | 'running' | 'stopped' = 'new'

  const queue = createQueue(clock, runPass)
  const waiters = createWaiters(clock, isAsWanted)
  const history = createHistory(store, clock, log)
  const adoption = createAdoption({
    clock,
    log,
    events,
    drivers,
    lost: markAllDirty,
    loopOf: (app) => loops.get(app),
    adopted,
    exited,
    listed: markAllDirty,
    isUsed: isDriverUsed,
  })
  const apply = createApply({
    drivers,
    balancing,
    events,
    clock,
    log,
    chance,
    secretOf: parts.secretOf ?? (() => undefined),
    containerPolicy: parts.containerPolicy ?? defaultContainerPolicy,
    newSuffix: parts.newSuffix ?? (() => randomBytes(4).toString('hex')),
    accepts: parts.accepts ?? accepts,
    stopping: stopping.signal,
    markDirty: queue.add,
    instancesChanged: tellInstancesChanged,
    started: adoption.started,
    announced: rememberServing,
    forgotten: adoption.forgotten,
    unreachable: adoption.unreachable,
    isReachable,
  })
  const pass = createPass({
    apps,
    sight: { health, isReachable },
    apply,
    judge: createJudge({ clock, events, history, sight: sightOf, remember: noteDown }),
    events,
    clock,
    shutdown: () => shutdown,
    isKnown: (driver) => !drivers.has(driver) || adoption.isListed(driver),
    status: statusOfLoop,
    remember: noteDown,
  })

  function isDriverUsed(driver: string): boolean {
    const isIts = (loop: Loop) => [...loop.replicas.values()].some((replica) => replica.driver === driver)
    return apps.list().some(({ app }) => app.driver === driver) || [...loops.values()].some(isIts)
  }

  /** Nobody waits long for a driver that no app needs: there may be nothing behind it. */
  async function firstListing(driver: Driver): Promise<void> {
    const listed = adoption.sync(driver)
    if (isDriverUsed(driver.name)) return listed
    const waited = new AbortController()
    await Promise.race([listed, clock.sleep(unneededMs, waited.signal)])
    waited.abort()
  }

  function isReachable(driver: string): boolean {
    return adoption.problem(driver) === undefined
  }

  function sightOf(loop: Loop): RolloutSight {
    const driverProblem = adoption.problem(loop.record?.app.driver ?? '')
    return { nowMs: clock.monotonic(), stateOf: health.stateOf, driverProblem }
  }

  function tellInstancesChanged(app: string): void {
    for (const listener of listeners) listener(app)
  }

  function loopFor(app: string): Loop {
    const known = loops.get(app)
    if (known) return known
    const loop = createLoop(app, stored.get(app) ?? {})
    stored.delete(app)
    loops.set(app, loop)
    return loop
  }

  function markAllDirty(): void {
    for (const record of apps.list()) loopFor(record.app.name)
    for (const app of loops.keys()) queue.add(app)
  }

  function runPass(app: string): void {
    const loop = loops.get(app)
    if (!loop || state !== 'running') return
    try {
      if (apps.get(app) === undefined && loop.replicas.size === 0) finish(loop)
      else queue.wakeAt(app, pass(loop))
    } catch (thrown) {
      log.error({ err: thrown, app }, 'a reconcile pass failed inside the host, trying again')
      queue.wakeAt(app, clock.monotonic() + passAgainMs)
    }
    waiters.look(app)
  }

  /** Its driver has not told yet what it runs. */
  function mayHaveMore({ record, memory }: Loop): boolean {
    const driver = waysOf(record, memory)?.driver
    return driver !== undefined && drivers.has(driver) && !adoption.isListed(driver)
  }

  /** The last replica of an app that no longer exists is gone. It is forgotten only when its route is. */
  function finish(loop: Loop): void {
    queue.wakeAt(loop.name, undefined)
    loops.delete(loop.name)
    // Until its route is gone, replicas of it that are found later (its driver was away) must first be let go by it.
    stored.set(loop.name, afterDeletion(waysOf(loop.record, loop.memory), loop.memory))
    if (loop.memory.entry) history.forget(loop.name)
    // What is remembered makes the next controller remove the route, should we not come to it.
    const forget = async () => {
      let isRemoved = false
      while (!stopping.signal.aborted && !loops.has(loop.name)) {
        isRemoved ||= await balancing.remove(loop.name)
        if (isRemoved && !mayHaveMore(loop) && !loops.has(loop.name)) {
          stored.delete(loop.name)
          if (Object.keys(loop.memory).length > 0) await remember(loop, {})
          return
        }
        await clock.sleep(passAgainMs, stopping.signal)
      }
    }
    forget().catch((thrown: unknown) => {
      log.warn({ err: thrown, app: loop.name }, 'the load balancer still knows a deleted app')
    })
  }

  /** Never rejects. */
  async function remember(loop: Loop, memory: Memory): Promise<void> {
    loop.memory = memory
    const key = [memoryKey, loop.name]
    const isEmpty = Object.keys(memory).length === 0
    await store?.write([isEmpty ? { delete: key } : { put: key, value: memory }]).catch((thrown: unknown) => {
      log.error({ err: thrown, app: loop.name }, 'what a restart must know of an app could not be stored, trying again')
      clock.after(rememberAgainMs, () => {
        if (loop.memory === memory && state === 'running') void remember(loop, memory)
      })
    })
  }

  function noteDown(loop: Loop, memory: Memory): void {
    void remember(loop, memory)
  }

  /** Without it a start could not tell a replica that serves from one that has only just been started. */
  async function rememberServing(loop: Loop, serving: readonly string[]): Promise<void> {
    const { serving: known } = loop.memory
    const isSame = known?.length === serving.length && serving.every((id) => known.includes(id))
    if (!isSame && loops.get(loop.name) === loop) await remember(loop, { ...loop.memory, serving })
  }

  /** Its end may have been told before we were killed. */
  async function tellEnd({ id, app, exit }: Instance): Promise<void> {
    const told = (await events.list?.({ app, type: 'instance.exited', limit: endsLookedThrough })) ?? []
    if (told.some(({ data }) => data.instance === id)) return
    const data = { instance: id, code: null, signal: null, ...exit }
    events.emit({ type: 'instance.exited', app, data })
  }

  function adopted(driver: Driver, instance: Instance): void {
    const record = apps.get(instance.app)
    const isOrphan = record === undefined
    const loop = loopFor(instance.app)
    if (record) loop.record = record
    const nowMs = clock.monotonic()
    const ageMs = Math.max(0, clock.now() - instance.startedAtMs)
    const replica = adoptedReplica(loop, instance, driver.name, { ageMs, nowMs, isOrphan })
    loop.replicas.set(instance.id, replica)
    adoption.started(instance.id, loop)
    const data = { instance: instance.id, version: instance.version, driver: driver.name }
    if (!instance.isRunning) {
      tellEnd(instance).catch((thrown: unknown) => log.warn({ err: thrown }, 'the end of a replica could not be told'))
    } else {
      events.emit({ type: 'instance.adopted', app: instance.app, data: isOrphan ? { ...data, isOrphan } : data })
      loop.holdUntilMs = isOrphan ? 0 : nowMs + holdMs
    }
    if (isOrphan) log.warn({ ...data, app: instance.app }, 'stopping a replica of an app that does not exist')
    if (!isOrphan) apply.noteAdopted(loop, replica)
    tellInstancesChanged(instance.app)
    queue.add(instance.app)
  }

  function exited(loop: Loop, instance: Instance, isBlameless = false): void {
    const replica = loop.replicas.get(instance.id)
    if (!replica || replica.instance?.isRunning === false) return
    replica.instance = { ...instance, isRunning: false }
    apply.noteExit(loop, replica, isBlameless)
  }

  function hear(driver: Driver, event: DriverEvent): void {
    if (event.type === 'resync') return void adoption.sync(driver)
    const loop = loops.get(event.instance.app)
    if (loop) exited(loop, event.instance)
  }

  function heedChange({ name, record, previous }: AppChange): void {
    const loop = loopFor(name)
    if (record) {
      const isStarted = previous?.isRunning === false && record.isRunning
      const isTried = previous?.version !== record.version || isStarted || isTriedOtherwise(record, previous)
      if (isTried) {
        loop.backoff = calm
        delete loop.failure
        delete loop.advance
      }
      const memory = afterChange(record, previous, loop.memory)
      if (memory) void remember(loop, memory)
      enter(loop, record, previous, isTried)
    } else {
      history.forget(name)
      void remember(loop, afterDeletion(previous?.app, loop.memory))
    }
    queue.add(name)
  }

  /** Keeps the history: one entry for each version, with its newest spec. */
  function enter(loop: Loop, record: AppRecord, previous: AppRecord | undefined, isTried: boolean): void {
    const { entry, good } = loop.memory
    const { version } = record
    if (entry?.version === version) {
      if (previous && previous.source !== record.source) history.revised(entry.number, record)
      if (!isTried || entry.outcome === 'done') return
      history.concluded(loop.name, entry.number, 'underWay')
      void remember(loop, { ...loop.memory, entry: { ...entry, outcome: 'underWay' } })
      return
    }
    if (entry?.outcome === 'underWay') history.concluded(loop.name, entry.number, 'superseded')
    const number = (entry?.number ?? 0) + 1
    // Of a data directory from before there was a history: what runs well is done.
    const outcome = entry === undefined && good?.version === version ? 'done' : 'underWay'
    history.applied(number, record, outcome)
    void remember(loop, { ...loop.memory, entry: { number, version, outcome } })
  }

  function statusOfLoop(loop: Loop): AppStatus {
    return statusOf(loop, {
      stateOf: health.stateOf,
      generation: balancing.generation(loop.name),
      balancingProblem: balancing.problem(loop.name),
      driverProblem: adoption.problem(loop.record?.app.driver ?? ''),
      nowMs: clock.monotonic(),
    })
  }

  function viewOf(loop: Loop, replica: Replica): InstanceView | undefined {
    if (!replica.instance) return undefined
    const state = health.stateOf(replica.id)
    return {
      ...replica.instance,
      rotation: replica.rotation,
      isCurrentVersion: isCurrent(loop, replica),
      ...(state === undefined ? {} : { health: state }),
    }
  }

  function isAsWanted(app: string): boolean {
    const loop = loops.get(app)
    const record = apps.get(app)
    if (!loop) return record === undefined
    if (record?.revision !== loop.record?.revision || loop.isDeleted !== (record === undefined)) return false
    return isAtRest(loop, shutdown)
  }

  async function readMemories(): Promise<void> {
    for (const entry of (await store?.list<Memory>({ prefix: [memoryKey] })) ?? []) {
      stored.set(String(entry.key[1]), entry.value)
    }
  }

  async function endAll(): Promise<void> {
    const goals = [...loops.values()].map((loop) => goalOf(loop).rollout)
    const longestS = Math.max(0, ...goals.map((rollout) => rollout.drainSeconds + rollout.stopGraceSeconds))
    shutdown = 'Orchestry is shutting down'
    const names = [...loops.keys()]
    for (const app of names) queue.add(app)
    // Nobody waits for a driver that cannot be reached: what it runs is found by the next start.
    const isHopeless = (app: string) => {
      const replicas = [...(loops.get(app)?.replicas.values() ?? [])]
      return replicas.length > 0 && replicas.every(({ driver }) => !isReachable(driver))
    }
    const ended = await Promise.all(
      names.map((app) => waiters.settled(app, isHopeless(app) ? 0 : longestS * 1000 + cutAfterMs * 2)),
    )
    const left = names.filter((_, index) => !ended[index])
    if (left.length > 0) log.error({ apps: left }, 'replicas could not be stopped; the next start will find them')
  }

  return {
    markDirty: (app) => queue.add(app),
    status(app) {
      const loop = loops.get(app) ?? { ...createLoop(app, {}), ...recordOf(apps, app) }
      return statusOfLoop(loop)
    },
    instances(app) {
      const loop = loops.get(app)
      if (!loop) return []
      return [...loop.replicas.values()].flatMap((replica) => viewOf(loop, replica) ?? [])
    },
    rollout(app) {
      const loop = loops.get(app) ?? { ...createLoop(app, {}), ...recordOf(apps, app) }
      const record = apps.get(app) ?? loop.record
      if (!record) throw new OrchestryError('ORC_APP_UNKNOWN', `There is no app ${app}.`)
      return { ...rolloutView(loop, record, sightOf(loop)), isSettled: isAsWanted(app) }
    },
    history: (app) => history.list(app),
    driverProblems() {
      const used = [...drivers.keys()].filter((driver) => !isReachable(driver) && isDriverUsed(driver))
      return used.flatMap((driver) => adoption.problem(driver) ?? [])
    },
    specOf: (app, version) => specOfVersion(version, apps.get(app), loops.get(app)?.memory ?? {}),
    onInstancesChanged(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    suspect(app, instance) {
      const loop = loops.get(app)
      const replica = loop?.replicas.get(instance)
      if (loop && replica && state === 'running') apply.noteSuspicion(loop, replica)
    },
    settled: waiters.settled,
    async start() {
      if (state !== 'new') return
      state = 'running'
      await readMemories()
      for (const record of apps.list()) {
        const loop = loopFor(record.app.name)
        loop.record = record
        enter(loop, record, undefined, false)
      }
      subscriptions.push(
        apps.onChange(heedChange),
        health.onChange((change) => queue.add(change.app)),
        ...[...drivers.values()].map((driver) => driver.watch((event) => hear(driver, event))),
        clock.every(resyncMs, () => {
          for (const driver of drivers.values()) void adoption.sync(driver)
          markAllDirty()
        }),
      )
      await Promise.all([...drivers.values()].map(firstListing))
      // Apps that were deleted, and then we were killed before the load balancer knew.
      for (const app of stored.keys()) loopFor(app)
      markAllDirty()
    },
    async stop({ keep }) {
      if (state === 'stopped') return
      if (state === 'running' && !keep) await endAll()
      state = 'stopped'
      stopping.abort()
      for (const unsubscribe of subscriptions.splice(0)) unsubscribe()
      adoption.stop()
      queue.close()
      const waited = new AbortController()
      await Promise.race([apply.idle(), clock.sleep(lastStepsMs, waited.signal)])
      waited.abort()
    },
  }
}

function recordOf(apps: Pick<Apps, 'get'>, app: string): Partial<Loop> {
  const record = apps.get(app)
  return record ? { record } : {}
}
