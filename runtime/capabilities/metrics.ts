/** Lets a plugin read metrics it was granted and record its own: never the runtime's, and never more series than granted. */
import { Sample } from '@orchestry/sdk'
import * as Type from 'typebox'
import type { Clock } from '../clock.ts'
import { OrchestryError } from '../errors.ts'
import type { Metrics } from '../metrics/metrics.ts'
import { argumentsOf, maybe } from './arguments.ts'
import type { Capability } from './capability.ts'
import { matchesName, narrowNames, overlaps, patternProblems, targetsOf } from './name-pattern.ts'

const defaultSeries = 100
/** A series that was not written for so long makes room for another. */
const seriesIdleMs = 10 * 60_000
const oldestMs = 3_600_000
const labelLength = 128
const mostLabels = 8

const readRead = argumentsOf(
  'metrics.read',
  Type.String(),
  Type.Array(Type.String({ maxLength: 64 }), { maxItems: 64 }),
  maybe(Type.Number({ exclusiveMinimum: 0, maximum: 86_400 })),
)
const readEmit = argumentsOf('metrics.emit', Type.Array(Sample, { maxItems: 1_000 }))

/** `coreMetrics` are names that the runtime measures itself. */
export function createMetricsCapability(deps: {
  metrics: Pick<Metrics, 'snapshot' | 'record'>
  clock: Clock
  hasApp: (name: string) => boolean
  coreMetrics: readonly string[]
  /** Hides what nobody is to read in labels. */
  redactData?: <T>(data: T) => T
}): Capability<'metrics'> {
  const { metrics, clock, redactData = (data) => data } = deps
  /** By plugin: its instances share what it was granted. Series → when it was last written. */
  const seriesOf = new Map<string, Map<string, number>>()

  return {
    kind: 'metrics',
    forget: (plugin) => void seriesOf.delete(plugin),
    narrow({ read, emit, ...rest }, targets) {
      const [names, own] = [
        narrowNames(read, targetsOf('read', targets)),
        narrowNames(emit, targetsOf('emit', targets)),
      ]
      return {
        ...rest,
        ...(names === undefined ? {} : { read: [...names] }),
        ...(own === undefined ? {} : { emit: [...own] }),
      }
    },
    check({ read = [], emit = [] }) {
      const reserved = emit.flatMap((pattern) => {
        const core = deps.coreMetrics.find((name) => overlaps(name, pattern))
        return core === undefined ? [] : [`emit: "${pattern}" would cover ${core}, which Orchestry measures itself`]
      })
      const empty = read.length + emit.length === 0 ? ['neither read nor emit is given'] : []
      return [...patternProblems('read', read), ...patternProblems('emit', emit), ...reserved, ...empty]
    },
    use({ read = [], emit = [], maxSeries = defaultSeries }, caller) {
      const series = seriesOf.get(caller.plugin) ?? new Map<string, number>()
      seriesOf.set(caller.plugin, series)

      function admit(sample: Sample, nowMs: number): Sample {
        const { app, metric, value } = sample
        const labels = redactData(sample.labels ?? {})
        const isGranted = matchesName(emit, metric)
        caller.onUse?.('emit', `emit ${metric}`, isGranted)
        if (!isGranted) throw denied(`writing ${metric} is not granted`, emit)
        if (!deps.hasApp(app)) throw denied(`there is no app "${app.slice(0, 64)}"`, emit)
        const pairs = Object.entries(labels)
        if (pairs.length > mostLabels || pairs.some(([key, text]) => key.length + text.length > labelLength))
          throw new OrchestryError(
            'ORC_CAPABILITY_LIMIT',
            `ctx.metrics: at most ${mostLabels} labels of ${labelLength} characters`,
          )
        const key = JSON.stringify([app, metric, pairs.sort(([a], [b]) => (a < b ? -1 : 1))])
        if (!series.has(key) && series.size >= maxSeries) forgetIdle(series, nowMs)
        if (!series.has(key) && series.size >= maxSeries)
          throw new OrchestryError('ORC_CAPABILITY_LIMIT', `ctx.metrics: more than ${maxSeries} series (maxSeries)`)
        series.set(key, nowMs)
        const atMs = Math.min(nowMs, Math.max(sample.atMs ?? nowMs, nowMs - oldestMs))
        return { app, metric, value, atMs, labels: { ...labels, plugin: caller.plugin } }
      }

      return {
        operations: {
          read(args) {
            const [app, names, windowSeconds] = readRead(args)
            for (const name of names) caller.onUse?.('read', `read ${name}`, matchesName(read, name))
            const refused = names.find((name) => !matchesName(read, name))
            if (refused !== undefined) throw denied(`reading ${refused} is not granted`, read)
            const windows = metrics.snapshot(app, windowSeconds ?? 60, clock.now())
            return Object.fromEntries(Object.entries(windows).filter(([name]) => names.includes(name)))
          },
          emit(args) {
            const [samples] = readEmit(args)
            const nowMs = clock.now()
            metrics.record(samples.map((sample) => admit(sample, nowMs)))
          },
        },
      }
    },
  }
}

function forgetIdle(series: Map<string, number>, nowMs: number): void {
  for (const [key, lastMs] of series) if (nowMs - lastMs > seriesIdleMs) series.delete(key)
}

const denied = (what: string, granted: readonly string[]) =>
  new OrchestryError('ORC_CAPABILITY_DENIED', `ctx.metrics: ${what}; granted: ${granted.join(', ') || 'nothing'}`)
