/** Orchestry itself: alive, ready, measured, configured. */

import { newestValues } from './app-view.ts'
import type { Api, ApiDeps } from './deps.ts'
import { operation } from './operation.ts'
import { json, text } from './reply.ts'
import { Alive, MetricsSummary, Ready, SandboxReport, Settings } from './shapes.ts'

const tag = 'system'
const alive = operation({ tag, summary: 'The process answers', answers: { 200: Alive } })
const ready = operation({
  tag,
  summary: 'Everything Orchestry needs is there; otherwise what is not',
  answers: { 200: Ready, 503: Ready },
})
const exposition = operation({
  tag,
  summary: 'Metrics of Orchestry and its apps for Prometheus',
  answers: { 200: { media: 'text/plain', about: 'Prometheus text format' } },
})
const sandbox = operation({ tag, summary: 'Where plugin code runs', answers: { 200: SandboxReport } })
const settings = operation({ tag, summary: 'The settings of this process', answers: { 200: Settings } })
const summary = operation({ tag, summary: 'Replicas and newest load of all apps', answers: { 200: MetricsSummary } })

export function mountSystem(api: Api, deps: ApiDeps): void {
  api.get(
    '/healthz',
    alive.handle(() => json({ status: 'ok' })),
  )
  api.get(
    '/readyz',
    ready.handle(async () => {
      const { ok, problems } = await deps.readiness()
      return json({ ok, problems }, ok ? 200 : 503)
    }),
  )
  api.get(
    '/metrics',
    exposition.handle(async () => text(await deps.exposition.text(), deps.exposition.contentType)),
  )
  api.get(
    '/api/v1/sandbox',
    sandbox.handle(() => json(deps.sandbox)),
  )
  api.get(
    '/api/v1/config',
    settings.handle(() => json(deps.config)),
  )
  api.get(
    '/api/v1/metrics/summary',
    summary.handle(() => json(summarizeLoad(deps))),
  )
}

export function summarizeLoad({ apps, reconciler, metrics, clock }: ApiDeps) {
  const atMs = clock.now()
  const totals = { apps: 0, desired: 0, running: 0, serving: 0 }
  const loads = apps.list().map(({ app, desired }) => {
    const { phase, running, serving } = reconciler.status(app.name)
    totals.apps += 1
    totals.desired += desired
    totals.running += running
    totals.serving += serving
    const load = newestValues(metrics.snapshot(app.name, app.scaling.windowSeconds, atMs))
    return { app: app.name, phase, desired, serving, load }
  })
  return { atMs, totals, apps: loads }
}
