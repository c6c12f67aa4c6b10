/** The HTTP API, put together: guard, resources, refusals. */
import { Hono } from 'hono'
import { mountAppActions } from './app-actions.ts'
import { mountAppReads } from './app-reads.ts'
import { mountAppRollout } from './app-rollout.ts'
import { mountApps } from './apps.ts'
import { createPageFiles } from './dashboard.ts'
import { mountDecisions } from './decisions.ts'
import type { Api, ApiDeps, ApiEnv } from './deps.ts'
import { mountEvents } from './events.ts'
import { guard } from './guard.ts'
import { mountHealth } from './health.ts'
import { mountLive } from './live.ts'
import { mountOpenApi } from './openapi.ts'
import { mountPlugins } from './plugins.ts'
import { createNotFound, createOnError } from './problem.ts'
import { mountSecrets } from './secrets.ts'
import { createStreams } from './streams.ts'
import { mountSystem } from './system.ts'

/** The returned app answers requests with or without a socket; `listen` in `server.ts` gives it one. */
export function createApi(deps: ApiDeps): Api {
  const api: Api = new Hono<ApiEnv>()
  const streams = createStreams(deps)
  guard(api)
  api.onError(createOnError(deps))
  api.notFound(createNotFound(api, createPageFiles(deps)))
  mountApps(api, deps)
  mountAppActions(api, deps)
  mountAppReads(api, deps)
  mountAppRollout(api, deps)
  mountHealth(api, deps)
  mountDecisions(api, deps)
  mountEvents(api, deps, streams)
  mountPlugins(api, deps)
  mountSecrets(api, deps)
  mountSystem(api, deps)
  mountLive(api, deps, streams)
  mountOpenApi(api)
  return api
}
