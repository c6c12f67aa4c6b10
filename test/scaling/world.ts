/** The rooms around scaling, by hand, on a real store and decision log: scalers answer what the test says. */
import type { AppChange, AppRecord, Scaling as Policy } from '../../runtime/apps/app.ts'
import { OrchestryError } from '../../runtime/errors.ts'
import type { NewEvent } from '../../runtime/events/events.ts'
import type { Answer, Hooks, Provider } from '../../runtime/hooks/hooks.ts'
import type { AppStatus } from '../../runtime/reconcile/reconcile.ts'
import type { Scaling } from '../../runtime/scaling/decision.ts'
import { createDecisionLog } from '../../runtime/scaling/decision-log.ts'
import { createScaling } from '../../runtime/scaling/scaling.ts'
import { createMemoryStore } from '../../runtime/store/memory.ts'
import type { Store, Write } from '../../runtime/store/store.ts'
import type { ScalerInput, Vote } from '../../sdk/index.ts'
import { createFakeClock, type FakeClock } from '../support/fake-clock.ts'
import { recordOf } from './sample.ts'

const window = { last: 1, mean: 1, min: 1, max: 1, p95: 1, samples: 5, ageSeconds: 0 }

type Reply = Vote | Error | Promise<Vote>
export type Script = (input: ScalerInput) => Reply

export interface World {
  readonly scaling: Scaling
  readonly clock: FakeClock
  readonly store: Store
  readonly events: NewEvent[]
  readonly dirty: string[]
  readonly logged: string[]
  /** Writes in the order in which they reached the store or the apps. */
  readonly trace: string[]
  /** Items of each call to a scaler instance. */
  readonly calls: { instance: string; fn: string; items: number }[]
  readonly records: Map<string, AppRecord>
  readonly status: Partial<AppStatus>
  add(name: string, scaling?: Partial<Policy>, given?: Partial<AppRecord>): void
  change(name: string, change: Partial<AppRecord> | undefined): void
  /** Names a scaler instance and what it answers. */
  scaler(instance: string, script: Script, given?: Partial<Provider>): void
  /** Makes the next write of decisions fail. */
  failNextWrite(): void
  desired(name: string): number
  /** Another controller process on the same store and apps. */
  restart(): World
}

export function createWorld(options: { tickMs?: number; from?: World } = {}): World {
  const clock = options.from?.clock ?? createFakeClock()
  const store = options.from?.store ?? createMemoryStore({ clock })
  const records = options.from?.records ?? new Map<string, AppRecord>()
  const scripts = new Map<string, { provider: Provider; script: Script }>()
  const listeners = new Set<(change: AppChange) => void>()
  const events: NewEvent[] = []
  const dirty: string[] = []
  const logged: string[] = []
  const trace: string[] = []
  const calls: World['calls'] = []
  const status: { -readonly [K in keyof AppStatus]?: AppStatus[K] } = {}
  let isWriteFailing = false

  const show = (name: string, record: AppRecord | undefined) => {
    const previous = records.get(name)
    if (record) records.set(name, record)
    else records.delete(name)
    for (const listener of listeners) listener({ name, ...(record && { record }), ...(previous && { previous }) })
  }
  const require = (name: string): AppRecord => {
    const record = records.get(name)
    if (!record) throw new OrchestryError('ORC_APP_UNKNOWN', `There is no app ${name}.`)
    return record
  }
  const hooks = {
    providers: () => [...scripts.values()].map(({ provider }) => provider),
    collect(_kind: string, fn: string, batches: ReadonlyMap<string, readonly unknown[]>) {
      const answers = new Map<string, Promise<Answer<unknown>[]>>()
      for (const [instance, items] of batches) {
        calls.push({ instance, fn, items: items.length })
        const script = scripts.get(instance)?.script
        const answer = async (input: unknown): Promise<Answer<unknown>> => {
          const value = await script?.(input as ScalerInput)
          if (value instanceof Error) {
            const failure = {
              code: 'ORC_SANDBOX_GUEST_ERROR',
              message: value.message,
              plugin: 'p',
              instance,
            } as const
            return { ok: false, failure: { ...failure, hook: 'scaler', atMs: clock.now() } }
          }
          return { ok: true, value }
        }
        answers.set(instance, Promise.all(items.map(answer)))
      }
      return answers
    },
  } as unknown as Pick<Hooks, 'providers' | 'collect'>
  const write = async (writes: readonly Write[]) => {
    if (isWriteFailing) {
      isWriteFailing = false
      throw new OrchestryError('ORC_STORE_FAILED', 'the disk is full')
    }
    trace.push(...writes.map((one) => `write ${String('put' in one ? one.put[0] : one.delete[0])}`))
    return store.write(writes)
  }
  const seen: Store = { ...store, write }
  const scaling = createScaling({
    apps: {
      list: () => [...records.values()],
      get: (name) => records.get(name),
      require,
      async setDesired(name, replicas) {
        trace.push(`desired ${name} ${replicas}`)
        show(name, { ...require(name), desired: replicas })
        return require(name)
      },
      onChange(listener) {
        listeners.add(listener)
        return () => {
          listeners.delete(listener)
        }
      },
    },
    metrics: { snapshot: () => ({ rps: window, queueDepth: window }) },
    hooks,
    reconciler: {
      markDirty: (app) => dirty.push(app),
      status: (app) => ({
        app,
        phase: 'running',
        desired: 0,
        running: 0,
        serving: records.get(app)?.desired ?? 0,
        generation: 1,
        problems: [],
        ...status,
      }),
    },
    decisionLog: createDecisionLog({ store: seen, clock }),
    events: { emit: (event) => void events.push(event) },
    store: seen,
    clock,
    log: { error: (fields: unknown, message?: string) => void logged.push(`${message} ${JSON.stringify(fields)}`) },
    tickMs: options.tickMs ?? 1000,
  })
  const world: World = {
    scaling,
    clock,
    store,
    events,
    dirty,
    logged,
    trace,
    calls,
    records,
    status,
    add: (name, policy, given) => show(name, recordOf(name, policy, given)),
    change: (name, change) => show(name, change && { ...require(name), ...change }),
    scaler(instance, script, given = {}) {
      const provider: Provider = {
        plugin: `@test/${instance}`,
        version: '1.0.0',
        instance,
        kind: 'scaler',
        isDefault: true,
        isServing: true,
        functions: ['decide'],
        declares: {},
        ...given,
      }
      scripts.set(instance, { provider, script })
    },
    failNextWrite() {
      isWriteFailing = true
    },
    desired: (name) => require(name).desired,
    restart: () => createWorld({ ...options, from: world }),
  }
  return world
}
