/** Queues in front of plugins: a batch is sent when one may be, and takes along all that wait. */

export interface Lanes<T> {
  /** Items of different kinds never share a batch, so that the slow do not hold up the quick. */
  add(provider: string, kind: string, items: readonly T[]): void
  /** Takes out what waits; resolves when the batches under way are over. */
  close(): Promise<T[]>
}

interface Lane<T> {
  readonly provider: string
  queue: T[]
  inFlight: number
}

/** @param send must not reject: a lane goes on with its next batch when this one is over. */
export function createLanes<T>(
  bounds: { readonly batchItems: number; readonly batchesInFlight: number },
  send: (provider: string, batch: readonly T[]) => Promise<void>,
): Lanes<T> {
  const lanes = new Map<string, Lane<T>>()
  const underWay = new Set<Promise<void>>()

  function pump(key: string, lane: Lane<T>): void {
    while (lane.queue.length > 0 && lane.inFlight < bounds.batchesInFlight) {
      const batch = lane.queue.splice(0, bounds.batchItems)
      lane.inFlight += 1
      const flight = send(lane.provider, batch).finally(() => {
        underWay.delete(flight)
        lane.inFlight -= 1
        pump(key, lane)
      })
      underWay.add(flight)
    }
    if (lane.queue.length === 0 && lane.inFlight === 0) lanes.delete(key)
  }

  return {
    add(provider, kind, items) {
      const key = `${provider} ${kind}`
      const lane = lanes.get(key) ?? { provider, queue: [], inFlight: 0 }
      lanes.set(key, lane)
      lane.queue.push(...items)
      pump(key, lane)
    },
    async close() {
      const left = [...lanes.values()].flatMap((lane) => lane.queue.splice(0))
      await Promise.allSettled(underWay)
      return left
    },
  }
}
