/** Every app, held in memory and written through to the store before anyone else sees a change. */
import { isDeepStrictEqual } from 'node:util'
import type { Clock } from '../clock.ts'
import { type ContainerPolicy, defaultContainerPolicy } from '../container-policy.ts'
import { codeOf, OrchestryError } from '../errors.ts'
import type { Events, EventType } from '../events/events.ts'
import { nearest } from '../nearest.ts'
import type { Key, Store } from '../store/store.ts'
import { createTurns } from '../turns.ts'
import type { App, AppChange, AppRecord, Apps } from './app.ts'
import { createRoutes } from './routes.ts'
import { patchScaling, withScalingOf } from './scaling-patch.ts'
import { invalid, type ParsedSpec, parseSpec } from './spec.ts'
import { findIn } from './tree.ts'
import { versionOf } from './version.ts'

type Stored = Omit<AppRecord, 'revision'>
const keyOf = (name: string): Key => ['apps', name]
const clamp = (replicas: number, { scaling }: App) =>
  Math.min(scaling.maxReplicas, Math.max(scaling.minReplicas, replicas))

/** Loads every app. The store must be open; there is nothing to stop. */
export async function createApps(deps: {
  store: Pick<Store, 'get' | 'list' | 'write'>
  clock: Pick<Clock, 'now'>
  events: Pick<Events, 'emit'>
  /** Names of the drivers there are. */
  drivers: readonly string[]
  containerPolicy?: ContainerPolicy
}): Promise<Apps> {
  const { store, clock, events, drivers, containerPolicy = defaultContainerPolicy } = deps
  const records = new Map<string, AppRecord>()
  const routes = createRoutes()
  const { take: inTurn } = createTurns()
  const listeners = new Set<(change: AppChange) => void>()
  let sorted: readonly AppRecord[] | undefined

  for (const { value, revision } of await store.list<Stored>({ prefix: ['apps'] })) {
    records.set(value.app.name, { ...value, revision })
    routes.claim(value.app)
  }

  function require(name: string): AppRecord {
    const record = records.get(name)
    if (record) return record
    const names = [...records.keys()].sort()
    const meant = nearest(name, names)
    const hint = meant ? `Did you mean \`${meant}\`?` : `Apps: ${names.slice(0, 20).join(', ') || 'none'}.`
    throw new OrchestryError('ORC_APP_UNKNOWN', `There is no app ${JSON.stringify(name.slice(0, 80))}. ${hint}`)
  }

  function show(name: string, record: AppRecord | undefined): void {
    const previous = records.get(name)
    if (record) records.set(name, record)
    else records.delete(name)
    if (previous && previous.app !== record?.app) routes.release(previous.app, record?.app)
    sorted = undefined
    const change = { name, ...(record && { record }), ...(previous && { previous }) }
    // Listeners only mark what they know as out of date; none of them acts, waits or throws here.
    for (const listener of [...listeners]) listener(change)
  }

  /** Compare-and-set; who loses against another controller sees what that one wrote. */
  async function write(name: string, stored: Stored | undefined, expectedRevision: number): Promise<number> {
    const key = keyOf(name)
    try {
      const write = stored ? { put: key, value: stored, expectedRevision } : { delete: key, expectedRevision }
      return (await store.write([write]))[0] ?? 0
    } catch (error) {
      if (codeOf(error) !== 'ORC_STORE_CONFLICT') throw error
      const entry = await store.get<Stored>(key)
      if (entry) routes.claim(entry.value.app)
      show(name, entry && { ...entry.value, revision: entry.revision })
      throw new OrchestryError(
        'ORC_API_PRECONDITION',
        `Another controller changed the app \`${name}\` at the same moment. Nothing of this change was stored; read it and try again.`,
        { cause: error },
      )
    }
  }

  async function put(stored: Stored): Promise<AppRecord> {
    const name = stored.app.name
    const revision = await write(name, stored, records.get(name)?.revision ?? 0)
    const record = { ...stored, revision }
    show(name, record)
    return record
  }

  /** Writes an app's new spec with its route taken, or leaves everything, the routes too, as it was. */
  async function putSpec(app: App, source: string, previous: AppRecord | undefined): Promise<AppRecord> {
    routes.claim(app)
    try {
      const now = clock.now()
      return await put({
        app,
        source,
        version: versionOf(app, previous?.restarts),
        ...(previous?.restarts !== undefined && { restarts: previous.restarts }),
        desired: clamp(wantedReplicas(app, previous), app),
        isRunning: previous?.isRunning ?? true,
        paused: previous?.paused ?? 'none',
        createdAtMs: previous?.createdAtMs ?? now,
        updatedAtMs: now,
      })
    } catch (error) {
      routes.release(app, records.get(app.name)?.app)
      throw error
    }
  }

  function tell(
    type: EventType,
    { app, desired, version, revision }: AppRecord,
    data: Record<string, unknown> = {},
  ): void {
    events.emit({ type, app: app.name, data: { desired, version, revision, ...data } })
  }

  function setState(name: string, change: Partial<Stored>, type?: EventType, data?: Record<string, unknown>) {
    return inTurn(name, async () => {
      const before = require(name)
      const { revision: _, ...stored } = before
      const changed = { ...stored, ...change }
      if (isDeepStrictEqual(changed, stored)) return before
      const record = await put({ ...changed, updatedAtMs: clock.now() })
      if (type) tell(type, record, data)
      return record
    })
  }

  return {
    list() {
      sorted ??= [...records.values()].sort((a, b) => (a.app.name < b.app.name ? -1 : 1))
      return [...sorted]
    },
    get: (name) => records.get(name),
    require,
    async apply(text, options = {}) {
      const parsed = parseSpec(text, { drivers, containerPolicy })
      const { name } = parsed.app
      refuseOtherName(parsed, options.expectedName)
      return inTurn(name, async () => {
        const previous = records.get(name)
        refuseStale(name, previous, options)
        const { app, source } =
          previous && options.keepScaling ? withScalingOf(text, previous.source) : { app: parsed.app, source: text }
        if (previous && previous.source === source && isDeepStrictEqual(previous.app, app))
          return { record: previous, outcome: 'unchanged' }
        const record = await putSpec(app, source, previous)
        if (!previous) tell('app.registered', record, { driver: app.driver })
        else tell('app.changed', record, { changed: changedFields(previous.app, app) })
        return { record, outcome: previous ? 'changed' : 'created' }
      })
    },
    remove: (name) =>
      inTurn(name, async () => {
        const record = require(name)
        await write(name, undefined, record.revision)
        show(name, undefined)
        tell('app.deleted', record)
      }),
    setDesired: (name, replicas) =>
      inTurn(name, async () => {
        if (!Number.isInteger(replicas))
          throw new OrchestryError(
            'ORC_API_VALIDATION',
            `replicas must be a whole number, not ${replicas}. Nothing was changed.`,
          )
        const record = require(name)
        const desired = clamp(replicas, record.app)
        if (desired === record.desired) return record
        const { revision: _, ...stored } = record
        return put({ ...stored, desired, updatedAtMs: clock.now() })
      }),
    setRunning: (name, isRunning) => setState(name, { isRunning }, isRunning ? 'app.started' : 'app.stopped'),
    setPaused: (name, paused) =>
      setState(name, { paused }, paused === 'none' ? 'app.resumed' : 'app.paused', { paused }),
    setScaling: (name, patch) =>
      inTurn(name, async () => {
        const previous = require(name)
        const { app, source } = patchScaling(previous.source, patch)
        if (source === previous.source && isDeepStrictEqual(app.scaling, previous.app.scaling)) return previous
        const record = await putSpec({ ...previous.app, scaling: app.scaling }, source, previous)
        tell('app.changed', record, { changed: ['scaling'] })
        return record
      }),
    restart: (name) =>
      inTurn(name, async () => {
        const { revision: _, ...stored } = require(name)
        const restarts = (stored.restarts ?? 0) + 1
        const version = versionOf(stored.app, restarts)
        const record = await put({ ...stored, restarts, version, updatedAtMs: clock.now() })
        tell('app.changed', record, { changed: ['restarts'] })
        return record
      }),
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}

/** A new app begins with what its spec says, or its fewest; later only a changed number in manual mode moves it. */
function wantedReplicas(app: App, previous: AppRecord | undefined): number {
  const { mode, replicas, minReplicas } = app.scaling
  if (!previous) return replicas ?? minReplicas
  const isSetByHand = mode === 'manual' && replicas !== undefined && replicas !== previous.app.scaling.replicas
  return isSetByHand ? replicas : previous.desired
}

const changedFields = (before: App, after: App): string[] =>
  [...new Set([...Object.keys(before), ...Object.keys(after)] as (keyof App)[])].filter(
    (key) => !isDeepStrictEqual(before[key], after[key]),
  )

function refuseOtherName({ app, tree }: ParsedSpec, expected: string | undefined): void {
  if (expected === undefined || app.name === expected) return
  const place = findIn(tree, '/metadata/name')?.node.at ?? tree.at
  throw invalid([{ ...place, message: `expected \`${expected}\`, the name in the address, found \`${app.name}\`` }])
}

function refuseStale(
  name: string,
  previous: AppRecord | undefined,
  options: { ifAbsent?: boolean; expectedRevision?: number },
): void {
  if (options.ifAbsent && previous)
    throw new OrchestryError(
      'ORC_APP_EXISTS',
      `There is an app \`${name}\`. Nothing was changed; apply the spec to change it.`,
    )
  const { expectedRevision } = options
  if (expectedRevision === undefined || expectedRevision === (previous?.revision ?? 0)) return
  const found = previous ? `it is at revision ${previous.revision}` : 'there is no such app'
  throw new OrchestryError(
    'ORC_API_PRECONDITION',
    `The app \`${name}\` was expected at revision ${expectedRevision}, but ${found}. Nothing was stored.`,
  )
}
