/** What was decided and why, of one app and of all. */
import * as Type from 'typebox'
import type { Api, ApiDeps } from './deps.ts'
import { operation } from './operation.ts'
import { json } from './reply.ts'
import { DecisionList } from './shapes.ts'

const page = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 500, default: 50 })),
  before: Type.Optional(
    Type.String({ minLength: 1, maxLength: 128, description: 'the id that the page before ended with' }),
  ),
}
const strict = { additionalProperties: false }
const errors = ['ORC_APP_UNKNOWN', 'ORC_API_VALIDATION'] as const

const all = operation({
  tag: 'decisions',
  summary: 'Decisions of all apps, newest first',
  query: Type.Object({ ...page, app: Type.Optional(Type.String({ minLength: 1, maxLength: 253 })) }, strict),
  answers: { 200: DecisionList },
  errors,
})
const ofApp = operation({
  tag: 'decisions',
  summary: 'Decisions of one app, newest first, and the one of the newest tick',
  query: Type.Object(page, strict),
  answers: { 200: DecisionList },
  errors,
})

export function mountDecisions(api: Api, { apps, scaling }: ApiDeps): void {
  const read = async (limit: number, before: string | undefined, app: string | undefined) => {
    // One more than asked for tells whether there is a next page.
    const found = await scaling.list({
      limit: limit + 1,
      ...(app !== undefined && { app }),
      ...(before !== undefined && { before }),
    })
    const decisions = found.slice(0, limit)
    return { decisions, next: found.length > limit ? decisions.at(-1)?.id : undefined }
  }
  api.get(
    '/api/v1/decisions',
    all.handle(async (c) => {
      const { limit = 50, before, app } = all.query(c)
      if (app !== undefined) apps.require(app)
      return json(await read(limit, before, app))
    }),
  )
  api.get(
    '/api/v1/apps/:app/decisions',
    ofApp.handle(async (c) => {
      const { limit = 50, before } = ofApp.query(c)
      const { app } = apps.require(c.req.param('app') ?? '')
      return json({ ...(await read(limit, before, app.name)), latest: scaling.latest(app.name) })
    }),
  )
}
