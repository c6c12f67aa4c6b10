/** What health checks found of an app's replicas, and finding it out now. */
import type { Context } from 'hono'
import type { HealthState } from '../health/health.ts'
import type { Api, ApiDeps, ApiEnv } from './deps.ts'
import { operation } from './operation.ts'
import { json } from './reply.ts'
import { HealthReport } from './shapes.ts'

const tag = 'apps'
const errors = ['ORC_APP_UNKNOWN'] as const

const read = operation({ tag, summary: 'What the health checks found', answers: { 200: HealthReport }, errors })
const check = operation({ tag, summary: 'Probe all replicas now', answers: { 200: HealthReport }, errors })

export function mountHealth(api: Api, deps: ApiDeps): void {
  const { apps, reconciler, health } = deps
  const nameOf = (c: Context<ApiEnv>) => apps.require(c.req.param('app') ?? '').app.name

  function report(name: string, found?: ReadonlyMap<string, HealthState>) {
    const { healthCheck } = apps.require(name).app
    const instances = reconciler.instances(name).map(({ id, rotation, health: known }) => {
      const state = found?.get(id) ?? known
      return { id, rotation, ...(state === undefined ? {} : { health: state }) }
    })
    const counts = { healthy: 0, unhealthy: 0, unknown: 0 }
    for (const instance of instances) if (instance.health) counts[instance.health.status] += 1
    return json({
      app: name,
      hasHealthCheck: healthCheck !== undefined,
      protocol: healthCheck?.protocol,
      healthCheck,
      ...counts,
      problems: reconciler.status(name).problems,
      instances,
    })
  }

  api.get(
    '/api/v1/apps/:app/health',
    read.handle((c) => report(nameOf(c))),
  )
  api.post(
    '/api/v1/apps/:app/health/check',
    check.handle(async (c) => {
      await check.body(c)
      const name = nameOf(c)
      return report(name, await health.checkNow(name))
    }),
  )
}
