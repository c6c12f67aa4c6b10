/** The load balancer for those who have nginx: it writes nginx's configuration, and nginx carries the traffic. */
import { definePlugin } from '@orchestry/sdk'
import { createBalancer } from './balancer.ts'
import { Settings } from './settings.ts'
import { siteOf } from './site.ts'
import { ipAddress, systemPath } from './tokens.ts'
import { createTraffic } from './traffic.ts'

const balancer = createBalancer()
const traffic = createTraffic()
const lookMs = 2_000

export default definePlugin({
  config: Settings,
  validateConfig({ host, port, statusPort, url, existing }) {
    const problems: string[] = []
    const check = (name: string, form: string, given: string, read: (text: string) => string) => {
      try {
        read(given)
      } catch {
        problems.push(`${name} must be ${form}, and is ${JSON.stringify(given)}`)
      }
    }
    check('host', 'an IP address of this machine', host, ipAddress)
    for (const name of ['dir', 'logDir', 'conf'] as const)
      if (existing?.[name] !== undefined) check(`existing.${name}`, 'a plain absolute path', existing[name], systemPath)
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
    metrics: (_, { ctx, config }) => traffic.samples(ctx, siteOf(ctx, config).log, balancer.apps()),
    signals: (_, { ctx, config }) => traffic.signals(siteOf(ctx, config).log, balancer.idOf),
  },
})
