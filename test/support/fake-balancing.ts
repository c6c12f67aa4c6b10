/** A load balancer in memory. It outlives the controller, as a real one does. */
import type { Endpoint, Route } from '@orchestry/sdk'
import type { Balancing } from '../../runtime/balancing/balancing.ts'
import type { Clock } from '../../runtime/clock.ts'

export interface Published {
  readonly app: string
  readonly atMs: number
  readonly route: Route
  readonly endpoints: readonly string[]
  readonly draining: readonly string[]
}

export interface FakeBalancing extends Pick<Balancing, 'publish' | 'remove' | 'status' | 'generation' | 'problem'> {
  readonly history: readonly Published[]
  readonly removed: readonly string[]
  /** What it routes to now. */
  readonly taken: ReadonlyMap<string, Published>
  publishMs: number
  isWorking: boolean
  /** Requests that a replica still works on; absent: it cannot tell. */
  readonly connections: Map<string, number>
  onPublish: ((published: Published) => void) | undefined
}

export function createFakeBalancing(clock: Clock): FakeBalancing {
  const history: Published[] = []
  const removed: string[] = []
  const taken = new Map<string, Published>()
  const generations = new Map<string, number>()
  const ids = (endpoints: readonly Endpoint[]) => endpoints.map((endpoint) => endpoint.id)
  const balancing: FakeBalancing = {
    history,
    removed,
    taken,
    publishMs: 10,
    isWorking: true,
    connections: new Map(),
    onPublish: undefined,
    async publish(app, { route, endpoints, draining }) {
      const generation = (generations.get(app) ?? 0) + 1
      generations.set(app, generation)
      const published = { app, atMs: clock.monotonic(), route, endpoints: ids(endpoints), draining: ids(draining) }
      history.push(published)
      balancing.onPublish?.(published)
      await clock.sleep(balancing.publishMs)
      if (!balancing.isWorking || generations.get(app) !== generation) return false
      taken.set(app, published)
      return true
    },
    async remove(app) {
      if (!balancing.isWorking) return false
      removed.push(app)
      generations.set(app, (generations.get(app) ?? 0) + 1)
      taken.delete(app)
      return true
    },
    async status(app) {
      const now = taken.get(app)
      if (!now) return null
      const endpoints = now.draining.flatMap((id) => {
        const activeConnections = balancing.connections.get(id)
        return activeConnections === undefined ? [] : [{ id, state: 'draining', activeConnections }]
      })
      return { app, generation: generations.get(app) ?? 0, endpoints }
    },
    generation: (app) => generations.get(app) ?? 0,
    problem: () => (balancing.isWorking ? undefined : 'the load balancer does not answer'),
  }
  return balancing
}
