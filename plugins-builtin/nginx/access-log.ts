/** What the access log tells of each app and each replica. Pure. */
import type { EndpointSignal, Sample } from '@orchestry/sdk'

export interface LogLine {
  readonly app: string
  readonly status: number
  /** From the request to the beginning of its answer; absent when none began. */
  readonly firstByteMs?: number
  readonly durationMs: number
  /** In the order they were tried. */
  readonly attempts: readonly { readonly address: string; readonly isAnswered: boolean }[]
}

/** As `log_format` writes it; undefined for what is no such line, or belongs to no app. */
export function readLine(line: string): LogLine | undefined {
  const [at, app, status, headerTime, duration, addresses, , ...more] = line.split('|')
  if (app === undefined || app === '' || addresses === undefined || more.length > 0) return undefined
  if (at === undefined || !/^\d+\.\d{3}$/.test(at) || !/^\d{3}$/.test(status ?? '')) return undefined
  const headers = partsOf(headerTime ?? '')
  const times = headers.map(Number).filter(Number.isFinite)
  const isAnswered = Number.isFinite(Number(headers.at(-1)))
  return {
    app,
    status: Number(status),
    durationMs: Math.round(Number(duration) * 1000),
    ...(isAnswered ? { firstByteMs: times.reduce((sum, each) => sum + each * 1000, 0) } : {}),
    attempts: partsOf(addresses).flatMap((address, index) =>
      address.includes(':') ? [{ address, isAnswered: Number.isFinite(Number(headers[index])) }] : [],
    ),
  }
}

/** nginx puts a comma between attempts, and a colon where it was led from one group to another. */
const partsOf = (text: string): string[] => (text === '' ? [] : text.split(/, | : /))

export interface Window {
  readonly lines: readonly LogLine[]
  readonly ms: number
  /** How many requests each line stands for, when not all of them could be read. */
  readonly weight: number
}

/** One reading of every metric for every app; an app without a request has a rate of zero and no latency. */
export function samplesOf(apps: Iterable<string>, { lines, ms, weight }: Window, atMs: number): Sample[] {
  const byApp = Map.groupBy(lines, ({ app }) => app)
  return [...apps].flatMap((app) => {
    const own = byApp.get(app) ?? []
    const sample = (metric: string, value: number): Sample => ({ app, metric, value, atMs })
    const busyMs = own.reduce((sum, line) => sum + Math.min(line.durationMs, ms), 0)
    const rate = [
      sample('rps', (own.length * weight * 1000) / ms),
      // As many as were under way on average: each is known only when it is over.
      sample('activeConnections', Math.round((busyMs * weight) / ms)),
    ]
    if (own.length === 0) return rate
    const errors = own.filter(({ status }) => status >= 500).length
    const latencies = own
      .flatMap(({ firstByteMs }) => (firstByteMs === undefined ? [] : [firstByteMs]))
      .sort((a, b) => a - b)
    const quantile = (q: number) => latencies[Math.min(latencies.length - 1, Math.floor(q * latencies.length))] ?? 0
    return [
      ...rate,
      sample('errorPercent', (errors * 100) / own.length),
      ...(latencies.length === 0
        ? []
        : [
            sample('latencyP50Ms', quantile(0.5)),
            sample('latencyP95Ms', quantile(0.95)),
            sample('latencyP99Ms', quantile(0.99)),
          ]),
    ]
  })
}

/** What was seen of each replica since the last time. `idOf` knows whose address it is; others are left out. */
export function signalsOf(
  lines: readonly LogLine[],
  idOf: (app: string, address: string) => string | undefined,
): EndpointSignal[] {
  const found = new Map<string, EndpointSignal>()
  for (const { app, attempts } of lines) {
    for (const { address, isAnswered } of attempts) {
      const id = idOf(app, address)
      if (id === undefined) continue
      const key = `${app} ${id}`
      const { answered, failed } = found.get(key) ?? { answered: 0, failed: 0 }
      found.set(key, { app, id, answered: answered + Number(isAnswered), failed: failed + Number(!isAnswered) })
    }
  }
  return [...found.values()]
}
