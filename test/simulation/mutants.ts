/** The core broken on purpose, one promise at a time: a checker that does not notice its own is worth nothing. */
import type { AppRecord, Apps } from '../../runtime/apps/app.ts'
import type { Cluster } from './cluster.ts'
import type { Breaking } from './controller.ts'

export interface Mutant {
  readonly name: string
  /** The checkers of which one must notice. */
  readonly noticedBy: readonly string[]
  readonly breaking: Breaking
  /** Killed controllers go on all the same. */
  readonly isUndead?: boolean
}

/** What the reconciler is told of apps. */
function toldOfApps(change: (record: AppRecord, cluster: Cluster, bornAtMs: number) => AppRecord): Breaking {
  return {
    apps(apps: Apps, cluster) {
      const bornAtMs = cluster.clock.monotonic()
      return {
        ...apps,
        list: () => apps.list().map((record) => change(record, cluster, bornAtMs)),
        get: (name) => {
          const record = apps.get(name)
          return record && change(record, cluster, bornAtMs)
        },
      }
    },
  }
}

const withRollout = (rollout: object) =>
  toldOfApps((record) => ({ ...record, app: { ...record.app, rollout: { ...record.app.rollout, ...rollout } } }))

export const mutants: readonly Mutant[] = [
  { name: 'nothing is drained', noticedBy: ['drain'], breaking: withRollout({ drainSeconds: 0 }) },
  { name: 'any number may be unavailable', noticedBy: ['availability'], breaking: withRollout({ maxUnavailable: 99 }) },
  { name: 'any number may be surplus', noticedBy: ['availability'], breaking: withRollout({ maxSurge: 99 }) },
  {
    name: 'after a start fewer are wanted for a while',
    noticedBy: ['restart', 'availability'],
    breaking: toldOfApps((record, { clock }, bornAtMs) =>
      clock.monotonic() < bornAtMs + 3_000 ? { ...record, desired: Math.max(0, record.desired - 1) } : record,
    ),
  },
  {
    name: 'starting replicas are published',
    noticedBy: ['fit'],
    breaking: {
      balancing: (port, cluster) => ({
        ...port,
        publish: (app, upstream) => port.publish(app, { ...upstream, endpoints: cluster.running(app) }),
      }),
    },
  },
  {
    name: 'nobody is taken out of an upstream',
    noticedBy: ['drain', 'fit'],
    breaking: {
      balancing(port) {
        const before = new Map<string, { id: string; host: string; port: number }>()
        return {
          ...port,
          publish(app, upstream) {
            for (const one of upstream.endpoints) before.set(one.id, one)
            const endpoints = [...before.values()].filter(({ id }) => id.startsWith(`${app}-`))
            return port.publish(app, { ...upstream, endpoints })
          },
        }
      },
    },
  },
  {
    name: 'that fewer take requests is told to nobody',
    noticedBy: ['toldDead'],
    breaking: {
      balancing(port) {
        const sizes = new Map<string, number>()
        return {
          ...port,
          async publish(app, upstream) {
            const isFewer = upstream.endpoints.length < (sizes.get(app) ?? 0)
            if (!isFewer) sizes.set(app, upstream.endpoints.length)
            return isFewer || port.publish(app, upstream)
          },
        }
      },
    },
  },
  {
    name: 'the route of a deleted app is left',
    noticedBy: ['convergence'],
    breaking: { balancing: (port) => ({ ...port, remove: async () => true }) },
  },
  {
    name: 'what runs is not found at the start',
    noticedBy: ['restart'],
    breaking: {
      driver(driver) {
        let isFirst = true
        return {
          ...driver,
          async list() {
            const all = await driver.list()
            const found = isFirst ? [] : all
            isFirst = false
            return found
          },
        }
      },
    },
  },
  {
    name: 'a stop that does nothing',
    noticedBy: ['convergence'],
    breaking: { driver: (driver) => ({ ...driver, stop: async () => undefined }) },
  },
  {
    name: 'more is stored than the bounds allow',
    noticedBy: ['bounds'],
    breaking: {
      store: (store) => ({
        ...store,
        write: (writes) =>
          store.write(
            writes.map((one) =>
              'put' in one && one.put[0] === 'apps'
                ? { ...one, value: { ...(one.value as AppRecord), desired: 50 } }
                : one,
            ),
          ),
      }),
    },
  },
  {
    name: 'what the operator said is not stored',
    noticedBy: ['word'],
    breaking: {
      store: (store) => ({
        ...store,
        write: async (writes) => {
          const [first] = writes
          const isWord = first && 'put' in first && first.put[0] === 'apps' && first.expectedRevision !== 0
          return isWord ? writes.map(() => Number(first.expectedRevision) + 1) : store.write(writes)
        },
      }),
    },
  },
  {
    name: 'a decision depends on what is not among its inputs',
    noticedBy: ['replay'],
    breaking: {
      decide: (decide) => {
        let decided = 0
        return (input) => {
          const { decision, state } = decide(input)
          decided += 1
          return { decision: { ...decision, reason: `${decision.reason} (${decided})` }, state }
        }
      },
    },
  },
  {
    name: 'every event is told twice',
    noticedBy: ['eventOrder'],
    breaking: {
      events: (events) => ({
        ...events,
        emit(event) {
          events.emit(event)
          events.emit(event)
        },
      }),
    },
  },
  { name: 'a controller that was killed goes on', noticedBy: ['oneTick', 'eventOrder'], breaking: {}, isUndead: true },
]
