/** The load balancer that works without any other program: it drives the reverse proxy that comes with Orchestry. */
import { definePlugin } from '@orchestry/sdk'

export default definePlugin({
  loadBalancer: {
    apply: (upstream, { ctx }) => ctx.proxy.apply(upstream),
    remove: (app, { ctx }) => ctx.proxy.remove(app),
    status: (app, { ctx }) => ctx.proxy.status(app),
    metrics: (_, { ctx }) => ctx.proxy.traffic(),
    signals: (_, { ctx }) => ctx.proxy.signals(),
  },
})
