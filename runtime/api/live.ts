/** `/api/v1/stream`: everything a page shows, once a second; and the lines of an app's replicas as they write them. */
import * as Type from 'typebox'
import type { Snapshot } from '../dashboard/dashboard.ts'
import { newestValues, summarize, viewApp } from './app-view.ts'
import type { Api, ApiDeps } from './deps.ts'
import { followLogs, mostOlderLines } from './follow-logs.ts'
import { operation } from './operation.ts'
import type { Streams } from './streams.ts'

const strict = { additionalProperties: false }
const snapshotEveryMs = 1_000
const decisionsShown = 20
const eventsShown = 40

const page = operation({
  tag: 'live',
  summary: 'Apps, load, decisions, plugins and events, once a second (server-sent events)',
  answers: { 200: { media: 'text/event-stream', about: 'Events named snapshot' } },
  errors: ['ORC_API_TOO_MANY_STREAMS'],
})
const logs = operation({
  tag: 'live',
  summary: 'New lines of the replicas of an app (server-sent events)',
  query: Type.Object(
    {
      instance: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
      lines: Type.Optional(
        Type.Integer({ minimum: 0, maximum: mostOlderLines, default: 0, description: 'older lines to begin with' }),
      ),
    },
    strict,
  ),
  answers: { 200: { media: 'text/event-stream', about: 'Events named line' } },
  errors: ['ORC_APP_UNKNOWN', 'ORC_API_TOO_MANY_STREAMS'],
})

export function mountLive(api: Api, deps: ApiDeps, streams: Streams): void {
  const snapshot = shareFor(deps, snapshotEveryMs / 2, () => takeSnapshot(deps))
  api.get(
    '/api/v1/stream',
    page.handle((c) =>
      streams.open(c, async ({ send, signal }) => {
        while (!signal.aborted) {
          await send({ event: 'snapshot', data: await snapshot() })
          await deps.clock.sleep(snapshotEveryMs, signal)
        }
      }),
    ),
  )
  api.get(
    '/api/v1/apps/:app/logs/stream',
    logs.handle((c) => {
      const { instance, lines = 0 } = logs.query(c)
      const { app } = deps.apps.require(c.req.param('app') ?? '')
      return streams.open(c, (sink) => followLogs(deps, { app: app.name, instance, older: lines }, sink))
    }),
  )
}

async function takeSnapshot(deps: ApiDeps): Promise<Snapshot> {
  const { apps, metrics, scaling, plugins, clock } = deps
  const atMs = clock.now()
  const [decisions, events, { problems }] = await Promise.all([
    scaling.list({ limit: decisionsShown }),
    deps.events.list({ limit: eventsShown }),
    deps.readiness(),
  ])
  return {
    atMs,
    proxy: deps.proxyAddress(),
    problems,
    apps: apps.list().map((record) => ({
      ...viewApp(record, deps),
      load: newestValues(metrics.snapshot(record.app.name, record.app.scaling.windowSeconds, atMs)),
    })),
    decisions: decisions.map(summarize),
    plugins: plugins.list().map(({ id, version, state, problem, hooks, restarts, memoryMb, instances, incidents }) => ({
      id,
      version,
      state,
      problem,
      hooks,
      restarts,
      memoryMb,
      instances: instances.map(({ name, breaker }) => ({ name, breaker })),
      incidents: incidents.length,
    })),
    events: events.toReversed(),
  }
}

/** Many pages, one reading: an answer is handed out again for `ms`. */
function shareFor<T>({ clock }: Pick<ApiDeps, 'clock'>, ms: number, take: () => Promise<T>): () => Promise<T> {
  let taken: Promise<T> | undefined
  let atMs = 0
  return () => {
    const now = clock.now()
    if (taken && now - atMs < ms && now >= atMs) return taken
    atMs = now
    taken = take()
    return taken
  }
}
