/** The load balancer for those who have nginx: it writes nginx's configuration, and nginx carries the traffic. */
import { definePlugin } from '@orchestry/sdk'
import { createBalancer } from './balancer.ts'
import { Settings } from './settings.ts'
import { ipAddress } from './tokens.ts'
import { createTraffic } from './traffic.ts'

const balancer = createBalancer()
const traffic = createTraffic()
const lookMs = 2_000

export default definePlugin({
  config: Settings,
  validateConfig({ host, port, statusPort, url }) {
    const problems: string[] = []
    try {
      ipAddress(host)
    } catch {
      problems.push(`host must be an IP address of this machine, and is ${JSON.stringify(host)}`)
    }
    if (port === statusPort) problems.push('port and statusPort must be two ports')
    if (url !== undefined && !/^https?:\/\/[^\s"'<>]+$/.test(url))
      problems.push('url must begin with http:// or https://')
    return problems
  },
  async activate(ctx, config) {
    // Not at once: whether this version comes to serve is decided only when it is up.
    await ctx.timers.every(lookMs, async () => {
      await balancer.converge(ctx, config).catch((error) => ctx.log.warn(String(error)))
    })
  },
  loadBalancer: {
    apply: (upstream, { ctx, config }) => balancer.apply(ctx, config, upstream),
    remove: (app, { ctx, config }) => balancer.remove(ctx, config, app),
    status: (app, { ctx, config }) => balancer.status(ctx, config, app),
    metrics: (_, { ctx }) => traffic.samples(ctx, balancer.apps()),
    signals: (_, { ctx }) => traffic.signals(ctx, balancer.idOf),
  },
})
