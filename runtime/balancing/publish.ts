/** Tells every app's load balancer plugin where its traffic may go. */
import type { Upstream, UpstreamStatus } from '@orchestry/sdk'
import type { Apps } from '../apps/app.ts'
import type { Clock } from '../clock.ts'
import { codeOf, messageOf } from '../errors.ts'
import type { Events } from '../events/events.ts'
import type { Answer, Hooks, Provider } from '../hooks/hooks.ts'
import type { Log } from '../log.ts'
import type { Balancing } from './balancing.ts'
import { createLane, type Lane, type Result, type Wish } from './lane.ts'
import { chooseProvider } from './provider.ts'
import { nextUpstream } from './upstreams.ts'

export interface BalancingDeps {
  readonly hooks: Pick<Hooks, 'providers' | 'exclusive' | 'onProvidersChanged'>
  /** Tells the load balancer of an app whose caller did not say it. */
  readonly apps?: Pick<Apps, 'get'>
  readonly events: Pick<Events, 'emit'>
  readonly clock: Pick<Clock, 'now' | 'sleep'>
  readonly log: Pick<Log, 'info' | 'warn'>
}

/** What is known of one app beside its lane. */
interface Known {
  readonly lane: Lane
  takenGeneration: number
  /** Who took the last upstream. */
  carrier: Provider | undefined
  /** The provider as the last look or call found it. */
  seen: string
  isOutage: boolean
  /** Added to our generations; undefined until the load balancer has told its own. */
  lead: number | undefined
}

export function createBalancing({ hooks, apps, events, clock, log }: BalancingDeps): Balancing {
  const known = new Map<string, Known>()
  let isStopped = false

  const providerOf = (app: string, named?: string): Provider => {
    const wanted = named ?? apps?.get(app)?.app.ingress.loadBalancer
    return chooseProvider(app, wanted, hooks.providers('loadBalancer'))
  }
  const of = (app: string): Known => {
    const found = known.get(app)
    if (found) return found
    const lane = createLane({ clock, fulfil: (wish) => fulfil(app, wish) })
    const fresh: Known = { lane, takenGeneration: 0, carrier: undefined, seen: '', isOutage: false, lead: undefined }
    known.set(app, fresh)
    return fresh
  }

  const fulfil = async (app: string, wish: Wish): Promise<Result> => {
    const entry = of(app)
    try {
      return wish === 'removed' ? await removeFrom(app, entry) : await applyTo(app, entry, wish)
    } catch (error) {
      return failed(app, entry, { code: codeOf(error), message: messageOf(error) })
    }
  }

  const applyTo = async (app: string, entry: Known, wish: Exclude<Wish, 'removed'>): Promise<Result> => {
    const provider = providerOf(app, wish.loadBalancer)
    entry.seen = lookOf(provider)
    const { endpoints, draining } = wish.upstream
    const lead = await leadOf(app, entry, provider, wish.upstream.generation)
    // Without it what we hand out might be ignored as older than what is there, and nobody would say so.
    if (!lead.ok) return failed(app, entry, lead.failure)
    const generation = wish.upstream.generation + lead.value
    const upstream = { ...wish.upstream, generation }
    const answer = await hooks.exclusive('loadBalancer', 'apply', provider.instance, upstream, {
      endpoints: [...endpoints, ...draining],
    })
    if (!answer.ok) return failed(app, entry, answer.failure)
    await leave(app, entry.carrier, provider)
    entry.carrier = provider
    taken(app, entry, upstream)
    return {}
  }

  /** The clock may have been set back since the last controller: its generation in the load balancer must not win over ours. */
  const leadOf = async (app: string, entry: Known, provider: Provider, generation: number): Promise<Answer<number>> => {
    if (entry.lead === undefined) {
      const answer = await hooks.exclusive('loadBalancer', 'status', provider.instance, app)
      if (!answer.ok) return answer
      entry.lead = Math.max(0, (answer.value?.generation ?? 0) + 1 - generation)
    }
    return { ok: true, value: entry.lead }
  }

  const taken = (app: string, entry: Known, { generation, endpoints, draining }: Upstream) => {
    const isNew = generation !== entry.takenGeneration
    entry.takenGeneration = generation
    const wasOutage = entry.isOutage
    entry.isOutage = false
    if (!isNew && !wasOutage) return
    const counts = { endpoints: endpoints.length, draining: draining.length }
    const data = { generation, loadBalancer: entry.carrier?.instance ?? '', ...counts }
    events.emit({ type: 'upstream.published', app, data })
  }

  const failed = (app: string, entry: Known, { code, message }: { code: string; message: string }): Result => {
    // Once for each outage: what is tried again many times has still failed once.
    if (!entry.isOutage) {
      events.emit({ type: 'upstream.failed', app, data: { generation: entry.takenGeneration, code, message } })
      log.warn({ app, code, message }, 'the load balancer did not take the upstream; it keeps the last good one')
    }
    entry.isOutage = true
    return { problem: message }
  }

  const removeFrom = async (app: string, entry: Known): Promise<Result> => {
    const carrier = entry.carrier ?? providerOrNone(app)
    // A load balancer that is no longer installed carries nothing any more.
    const isThere = carrier && hooks.providers('loadBalancer').some(({ instance }) => instance === carrier.instance)
    if (isThere) {
      const answer = await hooks.exclusive('loadBalancer', 'remove', carrier.instance, app)
      if (!answer.ok) return failed(app, entry, answer.failure)
    }
    if (entry.lane.wish === 'removed') known.delete(app)
    return {}
  }
  const providerOrNone = (app: string, named?: string): Provider | undefined => {
    try {
      return providerOf(app, named)
    } catch {
      return undefined
    }
  }

  /** The load balancer that carried the app before must not go on doing so. */
  const leave = async (app: string, before: Provider | undefined, now: Provider) => {
    if (!before || before.instance === now.instance) return
    const answer = await hooks.exclusive('loadBalancer', 'remove', before.instance, app)
    if (!answer.ok)
      log.warn(
        { app, loadBalancer: before.instance, message: answer.failure.message },
        'an old route could not be removed',
      )
  }

  /** Only a provider that is another, or has come back, is told again: our own failing calls change providers too. */
  const onProvidersChanged = () => {
    for (const [app, entry] of known) {
      const { wish } = entry.lane
      if (wish === undefined || wish === 'removed') continue
      const provider = providerOrNone(app, wish.loadBalancer)
      const look = lookOf(provider)
      if (look === entry.seen) continue
      entry.seen = look
      if (provider?.isServing) entry.lane.again()
    }
  }
  const unsubscribe = hooks.onProvidersChanged(onProvidersChanged)

  return {
    async publish(app, { loadBalancer, ...wanted }) {
      if (isStopped) return false
      const { lane } = of(app)
      const last = lane.wish === 'removed' ? undefined : lane.wish
      const upstream = nextUpstream(app, last?.upstream, wanted, clock.now())
      const isSame = last !== undefined && last.upstream === upstream && last.loadBalancer === loadBalancer
      return lane.want(isSame ? last : { upstream, loadBalancer })
    },
    async remove(app) {
      return isStopped ? false : of(app).lane.want('removed')
    },
    async status(app): Promise<UpstreamStatus | null> {
      const provider = known.get(app)?.carrier ?? providerOrNone(app)
      if (!provider) return null
      const answer = await hooks.exclusive('loadBalancer', 'status', provider.instance, app)
      return answer.ok ? answer.value : null
    },
    generation: (app) => known.get(app)?.takenGeneration ?? 0,
    problem: (app) => known.get(app)?.lane.problem,
    republish() {
      for (const { lane } of known.values()) lane.again()
    },
    async stop() {
      isStopped = true
      unsubscribe()
      await Promise.all([...known.values()].map(({ lane }) => lane.stop()))
    },
  }
}

function lookOf(provider: Provider | undefined): string {
  return provider ? `${provider.instance} ${provider.version} ${provider.isServing}` : ''
}
