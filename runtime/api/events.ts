/** What happened: pages of the log, and the log as it grows. */
import type { Context } from 'hono'
import * as Type from 'typebox'
import type { Api, ApiDeps, ApiEnv } from './deps.ts'
import { operation } from './operation.ts'
import { json } from './reply.ts'
import { EventList } from './shapes.ts'
import type { Sink, Streams } from './streams.ts'

const tag = 'events'
const strict = { additionalProperties: false }
const name = Type.String({ minLength: 1, maxLength: 253 })
const page = {
  type: Type.Optional(Type.String({ minLength: 1, maxLength: 128 })),
  after: Type.Optional(Type.String({ maxLength: 128, description: 'only events after the one with this id' })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 100 })),
}
const filters = { type: page.type, after: page.after }
const errors = ['ORC_APP_UNKNOWN', 'ORC_API_VALIDATION'] as const
const stream = { 200: { media: 'text/event-stream', about: 'Each event under its id; Last-Event-ID goes on after it' } }
const beatMs = 15_000
const pageOfStream = 500

const all = operation({
  tag,
  summary: 'The newest events, or the oldest after an id; oldest first',
  query: Type.Object({ ...page, app: Type.Optional(name) }, strict),
  answers: { 200: EventList },
  errors,
})
const ofApp = operation({
  tag,
  summary: 'Events of one app',
  query: Type.Object(page, strict),
  answers: { 200: EventList },
  errors,
})
const streamAll = operation({
  tag,
  summary: 'Events as they happen (server-sent events)',
  query: Type.Object({ ...filters, app: Type.Optional(name) }, strict),
  answers: stream,
  errors: [...errors, 'ORC_API_TOO_MANY_STREAMS'],
})
const streamOfApp = operation({
  tag,
  summary: 'Events of one app as they happen (server-sent events)',
  query: Type.Object(filters, strict),
  answers: stream,
  errors: [...errors, 'ORC_API_TOO_MANY_STREAMS'],
})

interface Wanted {
  readonly app?: string | undefined
  readonly type?: string | undefined
  readonly after?: string | undefined
}

export function mountEvents(api: Api, deps: ApiDeps, streams: Streams): void {
  const { apps, events } = deps
  const read = async (wanted: Wanted, limit: number) => {
    const found = await events.list({ ...given(wanted), limit })
    return json({ events: found, next: found.at(-1)?.id })
  }
  const follow = async (c: Context<ApiEnv>, wanted: Wanted) => {
    const after = c.req.header('last-event-id') ?? wanted.after
    // An id that is none is refused here, while there is still a status line to do it with.
    if (after !== undefined) await events.list({ after, limit: 1 })
    return streams.open(c, (sink) => followEvents(deps, { ...wanted, after }, sink))
  }
  const nameOf = (c: Context<ApiEnv>) => apps.require(c.req.param('app') ?? '').app.name

  api.get(
    '/api/v1/events',
    all.handle((c) => {
      const { limit = 100, ...wanted } = all.query(c)
      return read(wanted, limit)
    }),
  )
  api.get(
    '/api/v1/apps/:app/events',
    ofApp.handle((c) => {
      const { limit = 100, ...wanted } = ofApp.query(c)
      return read({ ...wanted, app: nameOf(c) }, limit)
    }),
  )
  api.get(
    '/api/v1/events/stream',
    streamAll.handle((c) => follow(c, streamAll.query(c))),
  )
  api.get(
    '/api/v1/apps/:app/events/stream',
    streamOfApp.handle((c) => follow(c, { ...streamOfApp.query(c), app: nameOf(c) })),
  )
}

function given({ app, type, after }: Wanted) {
  return {
    ...(app !== undefined && { app }),
    ...(type !== undefined && { type }),
    ...(after !== undefined && { after }),
  }
}

/** The subscription only wakes; what is sent is read from the log after the last id: no gap, no doubling, no queue. */
async function followEvents({ events, clock }: ApiDeps, wanted: Wanted, sink: Sink): Promise<void> {
  let wake = new AbortController()
  let newest: string | undefined
  const stop = events.subscribe((event) => {
    newest = event.id
    if (wanted.app !== undefined && event.app !== wanted.app) return
    if (wanted.type === undefined || event.type === wanted.type) wake.abort()
  })
  const leave = () => wake.abort()
  sink.signal.addEventListener('abort', leave, { once: true })
  try {
    await sink.beat()
    let after = wanted.after ?? (await events.list({ limit: 1 })).at(-1)?.id
    while (!sink.signal.aborted) {
      wake = new AbortController()
      const heard = newest
      const found = await events.list({ ...given({ ...wanted, after }), limit: pageOfStream })
      for (const event of found) {
        if (sink.signal.aborted) return
        await sink.send({ id: event.id, data: event })
        after = event.id
      }
      if (found.length === pageOfStream) continue
      // Everything heard before the reading was in it: what did not match need not be read again.
      if (heard !== undefined && (after === undefined || heard > after)) after = heard
      if (sink.signal.aborted) return
      await clock.sleep(beatMs, wake.signal)
      if (!wake.signal.aborted) await sink.beat()
    }
  } finally {
    stop()
    sink.signal.removeEventListener('abort', leave)
  }
}
