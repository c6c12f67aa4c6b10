/** Which app has which route: one host and path, one app. In memory, so that a claim is made before the write it is made for. */
import { OrchestryError } from '../errors.ts'
import type { App } from './app.ts'

export interface Routes {
  /** @throws ORC_APP_ROUTE_TAKEN naming the app that has it. */
  claim(app: App): void
  /** Gives the route of `app` back, unless `kept` has the same. */
  release(app: App, kept?: App): void
}

export function createRoutes(): Routes {
  const holders = new Map<string, string>()
  const keyOf = ({ ingress }: App) => `${ingress.host ?? '*'} ${ingress.path}`
  return {
    claim(app) {
      const { host, path } = app.ingress
      const holder = holders.get(keyOf(app))
      if (holder !== undefined && holder !== app.name)
        throw new OrchestryError(
          'ORC_APP_ROUTE_TAKEN',
          `The route ${path}${host === undefined ? '' : ` of the host ${host}`} belongs to the app \`${holder}\`. Nothing was stored; give \`${app.name}\` another \`ingress.path\` or \`ingress.host\`.`,
        )
      holders.set(keyOf(app), app.name)
    },
    release(app, kept) {
      const key = keyOf(app)
      if (holders.get(key) === app.name && !(kept && keyOf(kept) === key)) holders.delete(key)
    },
  }
}
