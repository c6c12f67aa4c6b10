/** `/api/v1/apps/{app}/rollout`: how the replacing of replicas fares, what was applied before, and the way back to it. */
import type { Context } from 'hono'
import * as Type from 'typebox'
import { etagOf, viewApp } from './app-view.ts'
import type { Api, ApiDeps, ApiEnv } from './deps.ts'
import { operation } from './operation.ts'
import { json } from './reply.ts'
import { answerStatus, settle, Wait } from './settle.ts'
import { Accepted, Rollout, RolloutHistory } from './shapes.ts'

const tag = 'apps'
const accepted = { 200: Accepted, 202: Accepted }

const show = operation({
  tag,
  summary: 'How far the replacing of replicas has come, and what it waits for',
  query: Wait,
  answers: { 200: Rollout },
  errors: ['ORC_APP_UNKNOWN'],
})
const history = operation({
  tag,
  summary: 'The specs that were applied, newest first, and what became of each',
  answers: { 200: RolloutHistory },
  errors: ['ORC_APP_UNKNOWN'],
})
const undo = operation({
  tag,
  summary: 'Apply an earlier spec again; how the app is scaled stays as it is',
  query: Wait,
  body: Type.Object(
    {
      to: Type.Optional(
        Type.Integer({ minimum: 1, description: 'number in the history; absent = the newest other one that was done' }),
      ),
    },
    { additionalProperties: false },
  ),
  answers: accepted,
  errors: ['ORC_APP_UNKNOWN', 'ORC_ROLLOUT_UNKNOWN', 'ORC_ROLLOUT_NOTHING_EARLIER', 'ORC_SPEC_INVALID'],
})
const restart = operation({
  tag,
  summary: 'Replace all replicas by such of the same spec',
  query: Wait,
  answers: accepted,
  errors: ['ORC_APP_UNKNOWN'],
})

export function mountAppRollout(api: Api, deps: ApiDeps): void {
  const { apps, reconciler, rollouts } = deps
  const nameOf = (c: Context<ApiEnv>) => apps.require(c.req.param('app') ?? '').app.name
  const followed = async (c: Context<ApiEnv>, name: string, query: { wait?: number }) => {
    const isSettled = await settle(deps, c, name, query)
    const record = apps.require(name)
    return json({ app: viewApp(record, deps), isSettled }, answerStatus(isSettled), { ETag: etagOf(record) })
  }

  api.get(
    '/api/v1/apps/:app/rollout',
    show.handle(async (c) => {
      const query = show.query(c)
      const name = nameOf(c)
      await settle(deps, c, name, query)
      return json(reconciler.rollout(name))
    }),
  )
  api.get(
    '/api/v1/apps/:app/rollout/history',
    history.handle(async (c) => {
      const { app, version } = apps.require(nameOf(c))
      const entries = await reconciler.history(app.name)
      return json({
        app: app.name,
        entries: entries.map((entry) => ({ ...entry, isApplied: entry.version === version })),
      })
    }),
  )
  api.post(
    '/api/v1/apps/:app/rollout/undo',
    undo.handle(async (c) => {
      const query = undo.query(c)
      const { to } = await undo.body(c)
      const name = nameOf(c)
      await rollouts.undo(name, to)
      return followed(c, name, query)
    }),
  )
  api.post(
    '/api/v1/apps/:app/rollout/restart',
    restart.handle(async (c) => {
      const query = restart.query(c)
      await restart.body(c)
      const name = nameOf(c)
      await rollouts.restart(name)
      return followed(c, name, query)
    }),
  )
}
