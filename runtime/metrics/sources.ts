/** Plugins that can tell what apps do: load balancers that measure, and metrics sources. */
import type { Endpoint, Sample } from '@orchestry/sdk'
import { OrchestryError } from '../errors.ts'
import type { Answer, Hooks, Provider } from '../hooks/hooks.ts'
import { limits } from '../limits.ts'
import type { InstanceView } from '../reconcile/reconcile.ts'

export interface Source {
  readonly name: string
  /** Rejects when there is no answer: a gap. */
  collect(): Promise<readonly Sample[]>
}

type Asking = Pick<Hooks, 'providers' | 'exclusive' | 'collect'>
type Instances = ReadonlyMap<string, readonly InstanceView[]>

/** Everyone who can be asked now, about these apps. */
export function createSources({ hooks }: { hooks: Asking }): (instances: Instances) => Source[] {
  return (instances) => [
    ...serving(hooks, 'loadBalancer', 'metrics').map((provider) => ({
      name: `load balancer ${provider.instance}`,
      collect: async () => answered(await hooks.exclusive('loadBalancer', 'metrics', provider.instance, null)),
    })),
    ...serving(hooks, 'metricsSource', 'collect').map((provider) => ({
      name: `metrics source ${provider.instance}`,
      collect: () => collectFrom(hooks, provider, instances),
    })),
  ]
}

function serving(hooks: Asking, kind: Provider['kind'], fn: string): Provider[] {
  return hooks.providers(kind).filter(({ isServing, functions }) => isServing && functions.includes(fn))
}

/** In several messages, each about some of the apps. One that fails is a gap for its apps only. */
async function collectFrom(hooks: Asking, { instance, declares }: Provider, instances: Instances): Promise<Sample[]> {
  const apps = [...instances].map(([app, views]) => ({ app, endpoints: views.filter(isReachable).map(endpointOf) }))
  const items = []
  for (let from = 0; from < apps.length; from += limits.batchItems)
    items.push(apps.slice(from, from + limits.batchItems))
  if (items.length === 0) return []
  const endpoints = apps.flatMap((app) => app.endpoints)
  const answers = hooks.collect('metricsSource', 'collect', new Map([[instance, items]]), { endpoints })
  const given = (await answers.get(instance)) ?? []
  const good = given.filter((answer) => answer.ok)
  const [first] = given
  if (good.length === 0 && first !== undefined) answered(first)
  // It is held to what it declared: nobody may slip in the numbers of another.
  const declared = Array.isArray(declares.metrics) ? new Set<unknown>(declares.metrics) : undefined
  return good.flatMap(({ value }) => value).filter(({ metric }) => declared?.has(metric) ?? true)
}

function isReachable({ isRunning, rotation }: InstanceView): boolean {
  return isRunning && rotation !== 'stopping'
}

function endpointOf({ id, host, port }: InstanceView): Endpoint {
  return { id, host, port }
}

function answered<T>(answer: Answer<T>): T {
  if (answer.ok) return answer.value
  throw new OrchestryError(answer.failure.code, answer.failure.message)
}
