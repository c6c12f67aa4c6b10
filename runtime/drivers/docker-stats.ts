/** One stream of measurements for each running container, shared by all who ask; it ends with the container. */
import type { Clock } from '../clock.ts'
import type { DockerApi } from './docker-api.ts'
import { readJsonLines } from './docker-lines.ts'
import { type EngineStats, type Measurement, measurementOf, usageOf } from './docker-usage.ts'
import type { Container } from './docker-view.ts'
import type { Usage } from './driver.ts'

/** Too short a span says little of the CPU. */
const shortestSpanMs = 250
/** What is older says nothing of now. */
const freshMs = 10_000
const unaskedMs = 60_000

interface Meter {
  readonly giveUp: AbortController
  askedAtMs: number
  usage?: { readonly value: Usage; readonly atMs: number }
}

export interface StatsStreams {
  usage(containers: readonly Container[]): Map<string, Usage>
  forget(containerId: string): void
  close(): void
}

export function createStatsStreams(deps: { api: DockerApi; clock: Pick<Clock, 'monotonic' | 'every'> }): StatsStreams {
  const { api, clock } = deps
  const meters = new Map<string, Meter>()
  let stopSweeping: (() => void) | undefined

  async function follow({ containerId, cpuMilli, memoryBytes }: Container, meter: Meter): Promise<void> {
    const stream = await api.stats(containerId, meter.giveUp.signal)
    let before: Measurement | undefined
    try {
      for await (const stats of readJsonLines<EngineStats>(stream)) {
        const now = measurementOf(stats)
        if (!now) continue
        if (before && now.atMs - before.atMs < shortestSpanMs) continue
        const bounds = {
          ...(cpuMilli !== undefined && { cpuMilli }),
          ...(memoryBytes !== undefined && { memoryBytes }),
        }
        if (before) meter.usage = { value: usageOf(before, now, bounds), atMs: clock.monotonic() }
        before = now
      }
    } finally {
      stream.destroy()
    }
  }

  function begin(container: Container): Meter {
    const { containerId } = container
    const meter: Meter = { giveUp: new AbortController(), askedAtMs: clock.monotonic() }
    meters.set(containerId, meter)
    const end = () => {
      if (meters.get(containerId) === meter) meters.delete(containerId)
    }
    // Whatever breaks it off: who asks again gets another one.
    follow(container, meter).then(end, end)
    stopSweeping ??= clock.every(unaskedMs, sweep)
    return meter
  }

  function forget(containerId: string): void {
    meters.get(containerId)?.giveUp.abort()
    meters.delete(containerId)
  }

  function sweep(): void {
    const sinceMs = clock.monotonic() - unaskedMs
    for (const [containerId, { askedAtMs }] of meters) if (askedAtMs < sinceMs) forget(containerId)
    if (meters.size > 0) return
    stopSweeping?.()
    stopSweeping = undefined
  }

  return {
    usage: (containers) => {
      const nowMs = clock.monotonic()
      return new Map(
        containers.flatMap((container) => {
          const meter = meters.get(container.containerId) ?? begin(container)
          meter.askedAtMs = nowMs
          const isFresh = meter.usage !== undefined && nowMs - meter.usage.atMs < freshMs
          return isFresh && meter.usage ? [[container.instance.id, meter.usage.value] as const] : []
        }),
      )
    },
    forget,
    close: () => {
      for (const containerId of [...meters.keys()]) forget(containerId)
      stopSweeping?.()
    },
  }
}
