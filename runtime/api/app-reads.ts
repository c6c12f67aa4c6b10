/** What can be seen of one app. */
import type { Context } from 'hono'
import * as Type from 'typebox'
import { etagOf } from './app-view.ts'
import type { Api, ApiDeps, ApiEnv } from './deps.ts'
import { operation } from './operation.ts'
import { json, text } from './reply.ts'
import { AppMetrics, CompleteSpec, InstanceList, LogLines } from './shapes.ts'

const tag = 'apps'
const strict = { additionalProperties: false }
const unknown = ['ORC_APP_UNKNOWN'] as const
/** Most points of one metric in an answer; of more, the newest. */
const seriesPoints = 2_000

const spec = operation({
  tag,
  summary: 'The spec as it was submitted (YAML or JSON), or complete with every default',
  query: Type.Object({ format: Type.Optional(Type.Enum(['yaml', 'json'])) }, strict),
  answers: {
    200: { media: 'application/yaml', about: 'As submitted; with ?format=json complete', schema: CompleteSpec },
  },
  errors: unknown,
})
const instances = operation({ tag, summary: 'The replicas of an app', answers: { 200: InstanceList }, errors: unknown })
const metrics = operation({
  tag,
  summary: 'Windows over the newest samples, and with seriesSeconds the samples themselves',
  query: Type.Object(
    {
      windowSeconds: Type.Optional(Type.Integer({ minimum: 1, maximum: 3600 })),
      seriesSeconds: Type.Optional(Type.Integer({ minimum: 1, maximum: 3600 })),
    },
    strict,
  ),
  answers: { 200: AppMetrics },
  errors: [...unknown, 'ORC_API_VALIDATION'],
})
const logs = operation({
  tag,
  summary: 'The newest lines that the replicas wrote, oldest first',
  query: Type.Object(
    {
      lines: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000, default: 100 })),
      instance: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
    },
    strict,
  ),
  answers: { 200: LogLines },
  errors: [...unknown, 'ORC_API_VALIDATION'],
})

export function mountAppReads(api: Api, deps: ApiDeps): void {
  const { apps, reconciler, clock } = deps
  const recordOf = (c: Context<ApiEnv>) => apps.require(c.req.param('app') ?? '')

  api.get(
    '/api/v1/apps/:app/spec',
    spec.handle((c) => {
      const { format = 'yaml' } = spec.query(c)
      const record = recordOf(c)
      const headers = { ETag: etagOf(record) }
      if (format === 'json') return json(record.app, 200, headers)
      const isJson = record.source.trimStart().startsWith('{')
      return text(record.source, isJson ? 'application/json' : 'application/yaml', headers)
    }),
  )
  api.get(
    '/api/v1/apps/:app/instances',
    instances.handle((c) => {
      const { app } = recordOf(c)
      return json({ app: app.name, instances: reconciler.instances(app.name) })
    }),
  )
  api.get(
    '/api/v1/apps/:app/metrics',
    metrics.handle((c) => {
      const query = metrics.query(c)
      const { app } = recordOf(c)
      const atMs = clock.now()
      const windowSeconds = query.windowSeconds ?? app.scaling.windowSeconds
      const windows = deps.metrics.snapshot(app.name, windowSeconds, atMs)
      const series = query.seriesSeconds && seriesOf(deps, app.name, atMs - query.seriesSeconds * 1000)
      return json({ app: app.name, atMs, windowSeconds, metrics: windows, series })
    }),
  )
  api.get(
    '/api/v1/apps/:app/logs',
    logs.handle(async (c) => {
      const { lines = 100, instance } = logs.query(c)
      const { app } = recordOf(c)
      const all = await deps.logs(app.name, { lines, ...(instance !== undefined && { instance }) })
      return json({
        app: app.name,
        lines: instance === undefined ? all : all.filter((line) => line.instance === instance),
      })
    }),
  )
}

function seriesOf({ metrics: store }: Pick<ApiDeps, 'metrics'>, app: string, sinceMs: number) {
  return Object.fromEntries(
    store.metricNames(app).map((name) => [name, store.series(app, name, sinceMs).slice(-seriesPoints)]),
  )
}
