/** `/api/v1/apps`: what is registered. What is done with an app is in `app-actions`, what is seen of it in `app-reads`. */
import type { Context } from 'hono'
import * as Type from 'typebox'
import type { AppRecord } from '../apps/app.ts'
import { OrchestryError } from '../errors.ts'
import { etagOf, viewApp } from './app-view.ts'
import type { Api, ApiDeps, ApiEnv } from './deps.ts'
import { operation } from './operation.ts'
import { json } from './reply.ts'
import { answerStatus, settle, Wait } from './settle.ts'
import { App, AppList, Applied, Deleted } from './shapes.ts'

/** How long an answer waits for what a load balancer says of itself. */
const urlMs = 500
const tag = 'apps'
const specMedia = ['application/yaml', 'application/json']

const list = operation({
  tag,
  summary: 'All apps, by name',
  query: Type.Object(
    {
      limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 200 })),
      after: Type.Optional(Type.String({ maxLength: 253, description: 'the name that the page before ended with' })),
      label: Type.Optional(Type.String({ pattern: '^[^=]+(=.*)?$', description: 'name=value, or name alone' })),
    },
    { additionalProperties: false },
  ),
  answers: { 200: AppList },
  errors: ['ORC_API_VALIDATION'],
})
const create = operation({
  tag,
  summary: 'Register a new app from a spec',
  rawBody: specMedia,
  answers: { 201: Applied },
  errors: [
    'ORC_SPEC_INVALID',
    'ORC_SPEC_FORBIDDEN',
    'ORC_SPEC_UNREADABLE',
    'ORC_APP_EXISTS',
    'ORC_APP_ROUTE_TAKEN',
    'ORC_API_BODY_TOO_LARGE',
  ],
})
const show = operation({
  tag,
  summary: 'One app: what is wanted, what is, and the newest decision',
  answers: { 200: App },
  errors: ['ORC_APP_UNKNOWN'],
})
const apply = operation({
  tag,
  summary: 'Create or change an app to be as the spec says',
  description:
    'With `If-Match: "<revision>"` only if nobody changed it since; with `If-None-Match: *` only if it is new.',
  rawBody: specMedia,
  answers: { 200: Applied, 201: Applied },
  errors: [
    'ORC_SPEC_INVALID',
    'ORC_SPEC_FORBIDDEN',
    'ORC_SPEC_UNREADABLE',
    'ORC_APP_ROUTE_TAKEN',
    'ORC_API_PRECONDITION',
  ],
})
const applyAny = operation({
  tag,
  summary: 'Create or change the app that the spec names',
  rawBody: specMedia,
  answers: { 200: Applied, 201: Applied },
  errors: ['ORC_SPEC_INVALID', 'ORC_SPEC_FORBIDDEN', 'ORC_SPEC_UNREADABLE', 'ORC_APP_ROUTE_TAKEN'],
})
const remove = operation({
  tag,
  summary: 'Stop an app and forget it',
  query: Wait,
  answers: { 200: Deleted, 202: Deleted },
  errors: ['ORC_APP_UNKNOWN', 'ORC_API_PRECONDITION'],
})

/** Where clients reach it, if its load balancer says so at once: one that hangs does not keep the rest from being shown. */
async function urlOf({ balancing, clock }: ApiDeps, app: string): Promise<string | undefined> {
  const isOver = new AbortController()
  const status = await Promise.race([balancing.status(app).catch(() => null), clock.sleep(urlMs, isOver.signal)])
  isOver.abort()
  return status?.url
}

export function mountApps(api: Api, deps: ApiDeps): void {
  const { apps, reconciler } = deps

  api.get(
    '/api/v1/apps',
    list.handle((c) => {
      const { limit = 200, after, label } = list.query(c)
      const all = apps.list().filter((record) => label === undefined || hasLabel(record, label))
      const sorted = all.sort((a, b) => (a.app.name < b.app.name ? -1 : 1))
      const rest = after === undefined ? sorted : sorted.filter(({ app }) => app.name > after)
      const page = rest.slice(0, limit)
      const next = rest.length > limit ? page.at(-1)?.app.name : undefined
      return json({ apps: page.map((record) => viewApp(record, deps)), total: all.length, next })
    }),
  )
  api.post(
    '/api/v1/apps',
    create.handle(async (c) => {
      const { record, outcome } = await apps.apply(await c.req.text(), { ifAbsent: true })
      return json({ outcome, app: viewApp(record, deps) }, 201, {
        ETag: etagOf(record),
        Location: `/api/v1/apps/${encodeURIComponent(record.app.name)}`,
      })
    }),
  )
  api.put(
    '/api/v1/apps',
    applyAny.handle(async (c) => {
      const { record, outcome } = await apps.apply(await c.req.text())
      return json({ outcome, app: viewApp(record, deps) }, outcome === 'created' ? 201 : 200, { ETag: etagOf(record) })
    }),
  )
  api.get(
    '/api/v1/apps/:app',
    show.handle(async (c) => {
      const record = apps.require(c.req.param('app') ?? '')
      const url = await urlOf(deps, record.app.name)
      return json({ ...viewApp(record, deps), url }, 200, { ETag: etagOf(record) })
    }),
  )
  api.put(
    '/api/v1/apps/:app',
    apply.handle(async (c) => {
      const expectedName = c.req.param('app') ?? ''
      const expectedRevision = expectedRevisionOf(c, apps.get(expectedName))
      const { record, outcome } = await apps.apply(await c.req.text(), {
        expectedName,
        ...(expectedRevision !== undefined && { expectedRevision }),
      })
      return json({ outcome, app: viewApp(record, deps) }, outcome === 'created' ? 201 : 200, { ETag: etagOf(record) })
    }),
  )
  api.delete(
    '/api/v1/apps/:app',
    remove.handle(async (c) => {
      const query = remove.query(c)
      await remove.body(c)
      const { app } = apps.require(c.req.param('app') ?? '')
      expectedRevisionOf(c, apps.get(app.name))
      await apps.remove(app.name)
      reconciler.markDirty(app.name)
      const isSettled = await settle(deps, c, app.name, query)
      return json({ name: app.name, isSettled }, answerStatus(isSettled))
    }),
  )
}

function hasLabel({ app }: AppRecord, label: string): boolean {
  const at = label.indexOf('=')
  if (at < 0) return Object.hasOwn(app.labels, label)
  const name = label.slice(0, at)
  return Object.hasOwn(app.labels, name) && app.labels[name] === label.slice(at + 1)
}

/** What the preconditions in the headers ask of the stored record; refuses at once what cannot hold any more. */
function expectedRevisionOf(c: Context<ApiEnv>, record: AppRecord | undefined): number | undefined {
  const present = record ? `is at ${etagOf(record)}` : 'does not exist'
  const refuse = (header: string, value: string): never => {
    throw new OrchestryError(
      'ORC_API_PRECONDITION',
      `${header} is ${value}, but the app ${present}. Nothing was changed: read it again and decide anew.`,
    )
  }
  const ifNoneMatch = c.req.header('if-none-match')
  if (ifNoneMatch !== undefined) {
    if (ifNoneMatch.trim() !== '*' || record) refuse('If-None-Match', ifNoneMatch)
    return 0
  }
  const ifMatch = c.req.header('if-match')
  if (ifMatch === undefined) return undefined
  const tags = ifMatch.split(',').map((part) => part.trim())
  if (!record || !(tags.includes('*') || tags.includes(etagOf(record)))) return refuse('If-Match', ifMatch)
  return record.revision
}
