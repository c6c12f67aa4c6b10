/** The plugins of a simulated cluster, behind the real caller: they answer, fail, hang and talk nonsense as the faults say. */
import type { HealthInput, ScalerInput, Upstream } from '@orchestry/sdk'
import { effectiveLimits } from '../../runtime/limits.ts'
import type { LiveInstance } from '../../runtime/plugins/plugins.ts'
import type { CallOptions, GuestAnswer, SandboxInstance } from '../../runtime/sandbox/sandbox.ts'
import type { Cluster } from './cluster.ts'
import { type Life, step, within } from './life.ts'
import type { Tell } from './observer.ts'

type Answers = (items: readonly string[], options: CallOptions) => unknown[] | Promise<unknown[]>
type Room = 'balancer' | 'health' | 'scaler'

const rpsPerReplica = 10

export interface SimulatedPlugins {
  liveInstances(): LiveInstance[]
  onChange(listener: () => void): () => void
  /** One plugin is not serving, or serves again. */
  serve(name: string, isServing: boolean): void
}

export function createPlugins(cluster: Cluster, life: Life, tell: Tell): SimulatedPlugins {
  const { clock, chance, faults, asleep } = cluster
  const listeners = new Set<() => void>()
  asleep.clear()

  const failed = (items: readonly string[], message: string): GuestAnswer[] =>
    items.map(() => ({ ok: false, code: 'ORC_SANDBOX_TIMEOUT', message }))

  /** As a sandbox does it: an answer for each item, or none of them before the deadline. */
  async function call(room: Room, answers: Answers, items: readonly string[], options: CallOptions) {
    const deadline = Promise.withResolvers<GuestAnswer[]>()
    let isOver = false
    const cancel = clock.after(options.timeoutMs, () => {
      isOver = true
      deadline.resolve(failed(items, 'it did not answer in time'))
    })
    const work = async (): Promise<GuestAnswer[]> => {
      await clock.sleep(room === 'balancer' ? faults.balancerMs * chance() : 5 * chance())
      await cluster.answering(room)
      if (isOver) return deadline.promise
      if (faults[room] === 'down') return failed(items, 'it cannot be reached')
      const values = await answers(items, options)
      if (faults[room] === 'deaf') return deadline.promise
      return values.map((value) => ({ ok: true, value }))
    }
    const answer = await Promise.race([work(), deadline.promise])
    cancel()
    return answer
  }

  function instance(name: string, room: Room, hook: string, functions: string[], declares: object, answers: Answers) {
    const sandbox = {
      name,
      call: (items: readonly string[], options: CallOptions) => {
        const ask = () => call(room, answers, items, options)
        const isChange = options.function === 'apply' || options.function === 'remove'
        return isChange ? step(life, `balancer.${options.function}`, ask) : within(life, ask)
      },
    } as unknown as SandboxInstance
    return (): LiveInstance => ({
      plugin: `@simulated/${name}`,
      version: '1.0.0',
      name,
      isDefault: room !== 'scaler' || name === 'first',
      limits: effectiveLimits({ timeoutMs: 5_000 }, false),
      hooks: { [hook]: { functions, declares: declares as Record<string, unknown> } },
      ...(asleep.has(name) ? {} : { sandbox }),
    })
  }

  const scaler = (name: string, vote: (input: ScalerInput) => unknown) =>
    instance(name, 'scaler', 'scaler', ['decide'], { metrics: ['rps'] }, async (items) => {
      const inputs = items.map((item) => JSON.parse(item) as ScalerInput)
      const apps = inputs.map(({ app }) => app.name)
      tell('scalerAsked', name, apps)
      if (chance() < 0.1) await clock.sleep(600 * chance())
      tell('scalerAnswered', name, apps)
      return inputs.map((input) => (faults.scaler === 'wild' ? wildVote(chance) : vote(input)))
    })
  const all = [
    scaler('first', ({ metrics }) => {
      const rps = metrics.rps?.last
      if (rps === undefined) return { hold: true, reason: 'nothing is known of its load' }
      return { replicas: Math.ceil(rps / rpsPerReplica), reason: `${rps} requests a second` }
    }),
    scaler('second', ({ app }) =>
      app.healthyReplicas === 0
        ? { hold: true, reason: 'nobody is there' }
        : { floor: 2, reason: 'two at least', ttlSeconds: 20 },
    ),
    instance('prober', 'health', 'healthCheck', ['check'], { protocol: 'HTTP' }, (items) =>
      items.map((item) => {
        const { instance: one } = JSON.parse(item) as HealthInput
        if (faults.health === 'unknown') return { status: 'unknown', message: 'no way to ask' }
        return { status: cluster.isHealthy(one.id) ? 'healthy' : 'unhealthy' }
      }),
    ),
    instance('balancer', 'balancer', 'loadBalancer', ['apply', 'remove', 'status', 'metrics'], {}, (items, options) =>
      items.map((item) => balance(cluster, tell, options.function, JSON.parse(item))),
    ),
  ]

  return {
    liveInstances: () => all.map((make) => make()),
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    serve(name, isServing) {
      if (isServing !== asleep.has(name)) return
      if (!isServing) asleep.add(name)
      else if (asleep.delete(name)) cluster.mend({})
      for (const listener of [...listeners]) listener()
    },
  }
}

/** Every kind of vote, and what is none. */
function wildVote(chance: () => number): unknown {
  const size = Math.floor(chance() * 40)
  const votes = [
    { replicas: size, reason: 'wild' },
    { floor: size, reason: 'wild' },
    { ceiling: size, reason: 'wild' },
    { hold: true, reason: 'wild' },
    { replicas: size, reason: 'wild', ttlSeconds: 30 },
    { replicas: -1, reason: 'below nothing' },
    { replicas: 1.5, reason: 'in between' },
    'more!',
    null,
  ]
  return votes[Math.floor(chance() * votes.length)]
}

/** A load balancer: a table of routes, and how much each replica has to do. */
function balance(cluster: Cluster, tell: Tell, fn: string, input: unknown): unknown {
  const { routes, connections, load } = cluster
  if (fn === 'apply') {
    const upstream = input as Upstream
    if ((routes.get(upstream.app)?.generation ?? 0) > upstream.generation) return null
    for (const { id } of upstream.endpoints)
      if (!connections.has(id)) connections.set(id, Math.ceil(cluster.chance() * 3))
    routes.set(upstream.app, upstream)
    tell('taken', upstream)
    return null
  }
  if (fn === 'remove') {
    routes.delete(String(input))
    return null
  }
  if (fn === 'status') {
    const upstream = routes.get(String(input))
    if (!upstream) return null
    const state = (name: string) => (one: { id: string }) => ({
      id: one.id,
      state: name,
      activeConnections: connections.get(one.id) ?? 0,
    })
    const endpoints = [...upstream.endpoints.map(state('serving')), ...upstream.draining.map(state('draining'))]
    return { app: upstream.app, generation: upstream.generation, endpoints }
  }
  return [...routes.keys()].map((app) => ({ app, metric: 'rps', value: load.get(app) ?? 0 }))
}
