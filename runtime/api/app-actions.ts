/** What an operator does with an app that is registered. */
import type { Context } from 'hono'
import * as Type from 'typebox'
import type { AppRecord } from '../apps/app.ts'
import { viewApp } from './app-view.ts'
import type { Api, ApiDeps, ApiEnv } from './deps.ts'
import { operation } from './operation.ts'
import { json } from './reply.ts'
import { answerStatus, settle, Wait } from './settle.ts'
import { Accepted, ScalingDocument } from './shapes.ts'

const tag = 'apps'
const strict = { additionalProperties: false }
const accepted = { 200: Accepted, 202: Accepted }

const start = operation({ tag, summary: 'Run an app', query: Wait, answers: accepted, errors: ['ORC_APP_UNKNOWN'] })
const stop = operation({
  tag,
  summary: 'Drain and stop all replicas of an app; what was desired is kept for the next start',
  query: Wait,
  answers: accepted,
  errors: ['ORC_APP_UNKNOWN'],
})
const scale = operation({
  tag,
  summary: 'Set the number of replicas by hand, within the bounds of the app',
  query: Wait,
  body: Type.Object(
    {
      replicas: Type.Integer({ minimum: 0, maximum: 100_000 }),
      reason: Type.Optional(Type.String({ minLength: 1, maxLength: 500 })),
    },
    strict,
  ),
  answers: accepted,
  errors: ['ORC_APP_UNKNOWN', 'ORC_API_VALIDATION', 'ORC_API_BODY_INVALID'],
})
const pause = operation({
  tag,
  summary: 'Suspend automatic scaling, both ways or one way',
  body: Type.Object({ direction: Type.Optional(Type.Enum(['all', 'in', 'out'])) }, strict),
  answers: { 200: Accepted },
  errors: ['ORC_APP_UNKNOWN', 'ORC_API_VALIDATION'],
})
const resume = operation({
  tag,
  summary: 'Let an app scale again',
  answers: { 200: Accepted },
  errors: ['ORC_APP_UNKNOWN'],
})
const readScaling = operation({
  tag,
  summary: 'The scaling section of an app, complete with its defaults',
  answers: { 200: ScalingDocument },
  errors: ['ORC_APP_UNKNOWN'],
})
const writeScaling = operation({
  tag,
  summary: 'Change fields of the scaling section; those that are absent stay as they are',
  body: Type.Object({}, { additionalProperties: true }),
  answers: { 200: ScalingDocument },
  errors: ['ORC_APP_UNKNOWN', 'ORC_SPEC_INVALID'],
})
export function mountAppActions(api: Api, deps: ApiDeps): void {
  const { apps, scaling, reconciler } = deps
  const nameOf = (c: Context<ApiEnv>) => apps.require(c.req.param('app') ?? '').app.name
  const answer = (record: AppRecord) => json({ app: viewApp(record, deps), isSettled: false })

  const run = (promised: typeof start, isRunning: boolean) =>
    promised.handle(async (c) => {
      const query = promised.query(c)
      await promised.body(c)
      const name = nameOf(c)
      await apps.setRunning(name, isRunning)
      reconciler.markDirty(name)
      const isSettled = await settle(deps, c, name, query)
      return json({ app: viewApp(apps.require(name), deps), isSettled }, answerStatus(isSettled))
    })
  api.post('/api/v1/apps/:app/start', run(start, true))
  api.post('/api/v1/apps/:app/stop', run(stop, false))
  api.post(
    '/api/v1/apps/:app/scale',
    scale.handle(async (c) => {
      const query = scale.query(c)
      const { replicas, reason = 'scaled by hand' } = await scale.body(c)
      const name = nameOf(c)
      const decision = await scaling.scaleByHand(name, replicas, reason)
      const isSettled = await settle(deps, c, name, query)
      return json({ app: viewApp(apps.require(name), deps), decision, isSettled }, answerStatus(isSettled))
    }),
  )
  api.post(
    '/api/v1/apps/:app/pause',
    pause.handle(async (c) => {
      const { direction = 'all' } = await pause.body(c)
      return answer(await apps.setPaused(nameOf(c), direction))
    }),
  )
  api.post(
    '/api/v1/apps/:app/resume',
    resume.handle(async (c) => {
      await resume.body(c)
      return answer(await apps.setPaused(nameOf(c), 'none'))
    }),
  )
  api.get(
    '/api/v1/apps/:app/scaling',
    readScaling.handle((c) => {
      const { app } = apps.require(c.req.param('app') ?? '')
      return json({ app: app.name, scaling: app.scaling })
    }),
  )
  api.put(
    '/api/v1/apps/:app/scaling',
    writeScaling.handle(async (c) => {
      const patch = await writeScaling.body(c)
      const { app } = await apps.setScaling(nameOf(c), patch)
      return json({ app: app.name, scaling: app.scaling })
    }),
  )
}
