/** Compiled, never run: what an author's editor must accept, and (each `@ts-expect-error`) what it must refuse. */
import { definePlugin, type KindsOf, Type, type Vote } from '../../../sdk/index.ts'

export const complete = definePlugin({
  config: Type.Object({ url: Type.String(), perReplica: Type.Number({ default: 50 }) }),
  async activate(ctx, config) {
    await ctx.kv.put('url', config.url)
  },
  dispose: (ctx) => ctx.log.info('bye'),
  validateConfig: ({ url }) => (url === '' ? ['url is empty'] : []),
  scaler: {
    metrics: ['rps'],
    decide({ app, metrics, config, hold, ctx }) {
      if (!ctx.has('clock')) return hold('no clock')
      const rps = metrics.rps?.mean
      if (rps === undefined) return hold(`nothing known of ${app.name}`)
      return { replicas: Math.ceil(rps / config.perReplica), reason: 'load', confidence: 0.9 }
    },
  },
  healthCheck: { protocol: 'PING', check: async ({ instance }) => ({ status: 'healthy', message: instance.host }) },
  eventHandler: { events: ['app.*'], handle: (event, { config }) => void [event.type, config.url] },
  authProvider: { authenticate: ({ token }) => (token === undefined ? null : { subject: token, scopes: [] }) },
})

export const plain = definePlugin({ scaler: { decide: ({ hold }) => hold('always') } })
export const whole = definePlugin({
  scaler: { decideAll: (inputs, { hold }) => inputs.map(({ app }) => hold(app.name)) },
})

definePlugin({
  config: Type.Object({ size: Type.Number() }),
  scaler: {
    // @ts-expect-error: the schema has no such field
    decide: ({ config, hold }) => hold(config.sise),
  },
})
definePlugin({
  scaler: {
    decide: ({ metrics, hold }) =>
      // @ts-expect-error: a metric may be missing, and must be looked at before it is used
      hold(String(metrics.rps.mean)),
  },
})
// @ts-expect-error: a vote must say why
definePlugin({ scaler: { decide: () => ({ replicas: 3 }) } })
// @ts-expect-error: a health check names its protocol
definePlugin({ healthCheck: { check: () => ({ status: 'healthy' }) } })
// @ts-expect-error: a status is one of three words
definePlugin({ healthCheck: { protocol: 'X', check: () => ({ status: 'fine' }) } })
// @ts-expect-error: a load balancer must be able to remove an app
definePlugin({ loadBalancer: { apply: () => {}, status: () => null } })
// @ts-expect-error: there is no such hook
definePlugin({ scalar: { decide: () => ({ replicas: 1, reason: '' }) } })
// @ts-expect-error: there is no such function of ctx.kv
definePlugin({ activate: (ctx) => ctx.kv.set('a', 1), scaler: {} })

export const collected: KindsOf<'collect'> = 'scaler'
// @ts-expect-error: health checks are not collected
export const wrongDiscipline: KindsOf<'collect'> = 'healthCheck'

export const votes = [
  { replicas: 1, reason: 'a' },
  { floor: 1, reason: 'b', ttlSeconds: 60 },
  { ceiling: 1, reason: 'c', metadata: { by: 'me' } },
  { hold: true, reason: 'd' },
] satisfies Vote[]
