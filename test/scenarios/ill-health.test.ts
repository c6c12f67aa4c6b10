/** Replicas that fall ill, one or all at once, checks that cannot be made, and a door that is shut: in a whole Orchestry, under load. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type AppStatusView, appSpec } from '../support/app-spec.ts'
import { type RunningOrchestry, startOrchestry } from '../support/orchestry.ts'
import { startLoad } from '../support/steady-load.ts'
import { waitFor } from '../support/wait-for.ts'

interface Row {
  readonly id: string
  readonly pid: number
  readonly host: string
  readonly port: number
  readonly rotation: string
}
interface Report {
  readonly hasHealthCheck: boolean
  readonly healthy: number
  readonly unhealthy: number
  readonly problems: readonly string[]
  readonly instances: readonly {
    readonly id: string
    readonly rotation: string
    readonly health?: {
      readonly status: string
      readonly problem?: string
      readonly last?: { readonly message?: string; readonly responseTimeMs?: number; readonly atMs: number }
    }
  }[]
}
interface Told {
  readonly type: string
  readonly data: { readonly instance?: string; readonly statusCode?: number; readonly message?: string }
}

const inThree = { scaling: { mode: 'manual', minReplicas: 3, maxReplicas: 3 } }
const settled = { timeoutMs: 20_000 }

const rows = async (orchestry: RunningOrchestry, app = 'web') =>
  (await orchestry.api<{ instances: Row[] }>(`/api/v1/apps/${app}/instances`)).instances
const ids = (all: readonly Row[]) => all.map(({ id }) => id).sort()
const statusOf = (orchestry: RunningOrchestry, app = 'web') => orchestry.api<AppStatusView>(`/api/v1/apps/${app}`)
const running = (orchestry: RunningOrchestry, app = 'web') =>
  waitFor(async () => (await statusOf(orchestry, app)).phase === 'running', { ...settled, what: `${app} to run` })
const events = async (orchestry: RunningOrchestry, type: string, app = 'web') => {
  const { events: all } = await orchestry.api<{ events: Told[] }>(`/api/v1/apps/${app}/events?limit=500`)
  return all.filter((event) => event.type === type)
}
const say = ({ host, port }: Row, status: number) =>
  fetch(`http://${host}:${port}/health?status=${status}`, { method: 'POST' }).then((answer) => answer.arrayBuffer())

async function startWeb(t: Parameters<typeof startOrchestry>[0], check: object = {}, more = inThree) {
  const orchestry = await startOrchestry(t)
  const healthCheck = { path: '/healthz', periodSeconds: 0.5, failureThreshold: 3, ...check }
  await orchestry.api('/api/v1/apps', { method: 'POST', body: { ...appSpec('web', more), healthCheck } })
  await running(orchestry)
  return orchestry
}

test('a replica that fails its checks leaves rotation after as many as the spec says, and is replaced without a lost request', async (t) => {
  const orchestry = await startWeb(t)
  const load = startLoad(t, `${orchestry.proxyUrl}/web/`, 50)
  const [sick] = await rows(orchestry)
  assert.ok(sick)
  const saidMs = performance.now()
  await say(sick, 503)
  await waitFor(
    async () => !(await rows(orchestry)).some(({ id, rotation }) => id === sick.id && rotation === 'serving'),
    settled,
  )
  const outMs = performance.now() - saidMs
  // Two whole periods and what is left of the one in which it fell ill.
  assert.ok(outMs > 800, `out after ${outMs} ms`)
  await waitFor(async () => !ids(await rows(orchestry)).includes(sick.id), settled)
  await running(orchestry)
  const { failures } = await load.stop()
  assert.deepEqual(failures, [])
  const [told] = await events(orchestry, 'instance.unhealthy')
  assert.deepEqual(
    [told?.data.instance, told?.data.statusCode, told?.data.message],
    [sick.id, 503, 'status 503, expected 200-399'],
  )
})

test('when all fall ill at once nothing is killed in a storm, requests are still answered, and all come back at once', async (t) => {
  const orchestry = await startWeb(t)
  const load = startLoad(t, `${orchestry.proxyUrl}/web/`, 50)
  const all = await rows(orchestry)
  // What is started meanwhile depends on the same thing and is no better.
  const sicken = async () => {
    for (const row of await rows(orchestry)) await say(row, 503).catch(() => {})
  }
  await sicken()
  const { problems } = await waitFor(async () => {
    await sicken()
    const status = await statusOf(orchestry)
    return status.problems.some((text) => text.includes('they take requests until one does')) && status
  }, settled)
  assert.match(problems.join(), /replicas are unhealthy \(status 503, expected 200-399\)/)
  await sleep(3_000)
  const later = await rows(orchestry)
  const kept = all.filter(({ id }) => ids(later).includes(id))
  assert.ok(kept.length >= 2, `${kept.length} of ${all.length} were kept`)
  assert.ok(later.length <= 5, `${later.length} replicas`)
  for (const row of await rows(orchestry)) await say(row, 200).catch(() => {})
  const wellMs = performance.now()
  await waitFor(async () => (await statusOf(orchestry)).serving >= 2, settled)
  assert.ok(performance.now() - wellMs < 5_000)
  await running(orchestry)
  const { failures } = await load.stop()
  assert.deepEqual(failures, [])
})

test('a check that cannot be made changes nothing: its plugin killed under load, disabled, and enabled again', async (t) => {
  const orchestry = await startWeb(t)
  const before = ids(await rows(orchestry))
  const load = startLoad(t, `${orchestry.proxyUrl}/web/`, 50)
  const plugin = '/api/v1/plugins/http-health'
  for (let times = 0; times < 2; times += 1) {
    const { pid } = await waitFor(async () => {
      const view = await orchestry.api<{ pid?: number; state: string }>(plugin)
      return view.state === 'serving' && view.pid !== undefined && { pid: view.pid }
    }, settled)
    process.kill(pid, 'SIGKILL')
    await sleep(1_500)
  }
  await orchestry.api(`${plugin}/disable`, { method: 'POST' })
  const { instances, problems } = await waitFor(async () => {
    const report = await orchestry.api<Report>('/api/v1/apps/web/health')
    return report.problems.length > 0 && report
  }, settled)
  assert.match(problems.join(), /protocol HTTP/)
  assert.deepEqual([...new Set(instances.map(({ health }) => health?.status))], ['healthy'])
  await sleep(2_000)
  assert.equal((await statusOf(orchestry)).serving, 3)
  await orchestry.api(`${plugin}/enable`, { method: 'POST' })
  await running(orchestry)
  assert.deepEqual(ids(await rows(orchestry)), before)
  for (const type of ['instance.unhealthy', 'instance.failed', 'instance.stopped'])
    assert.deepEqual(await events(orchestry, type), [], type)
  const { failures } = await load.stop()
  assert.deepEqual(failures, [])
})

test('a replica without a health check whose port no longer answers is found by the requests that fail there, and replaced', async (t) => {
  const orchestry = await startOrchestry(t)
  const { healthCheck: _none, ...spec } = appSpec('web', inThree) as Record<string, unknown>
  await orchestry.api('/api/v1/apps', { method: 'POST', body: spec })
  await running(orchestry)
  const [deaf] = await rows(orchestry)
  assert.ok(deaf)
  const load = startLoad(t, `${orchestry.proxyUrl}/web/`, 50)
  await fetch(`http://${deaf.host}:${deaf.port}/deafen`, { method: 'POST' }).then((answer) => answer.arrayBuffer())
  await waitFor(async () => !ids(await rows(orchestry)).includes(deaf.id), { ...settled, what: 'the deaf one to go' })
  await running(orchestry)
  const { failures } = await load.stop()
  assert.deepEqual(failures, [], 'others answer what it refuses')
  const [told] = await events(orchestry, 'instance.unhealthy')
  assert.deepEqual([told?.data.instance, told?.data.message], [deaf.id, 'it no longer accepts connections'])
})

test('a slow start is waited for as long as its startup says, and one that takes longer is replaced with its last words', async (t) => {
  const orchestry = await startOrchestry(t)
  const slow = (name: string, delayMs: string, failureThreshold: number) => ({
    ...appSpec(name, {
      env: [
        { name: 'START_DELAY_MS', value: delayMs },
        { name: 'PRINT', value: 'still loading' },
      ],
    }),
    healthCheck: { path: '/healthz', periodSeconds: 5, startup: { periodSeconds: 0.5, failureThreshold } },
  })
  await orchestry.api('/api/v1/apps', { method: 'POST', body: slow('patient', '2500', 20) })
  await orchestry.api('/api/v1/apps', { method: 'POST', body: slow('hasty', '60000', 3) })
  await running(orchestry, 'patient')
  assert.deepEqual(await events(orchestry, 'instance.failed', 'patient'), [])
  const failed = await waitFor(async () => {
    const all = await events(orchestry, 'instance.failed', 'hasty')
    return all.length >= 2 && all
  }, settled)
  for (const { data } of failed)
    assert.match(JSON.stringify(data), /did not become healthy within 1.5 s: .*refused.*still loading/)
})

test('health can be asked for and checked at once, also where there is none', async (t) => {
  const orchestry = await startWeb(t, { periodSeconds: 60, startup: { periodSeconds: 0.5 } })
  const [sick] = await rows(orchestry)
  assert.ok(sick)
  await say(sick, 503)
  const report = await orchestry.api<Report>('/api/v1/apps/web/health/check', { method: 'POST' })
  assert.deepEqual([report.hasHealthCheck, report.instances.length], [true, 3])
  const found = report.instances.find(({ id }) => id === sick.id)?.health
  assert.deepEqual([found?.status, found?.last?.message], ['healthy', 'status 503, expected 200-399'])
  assert.ok((found?.last?.responseTimeMs ?? -1) >= 0 && (found?.last?.atMs ?? 0) > 0)
  const { stdout } = await orchestry.cli('health', 'web', '--check')
  assert.match(stdout, new RegExp(`HTTP GET /healthz every 60 s.*\\n[^]*${sick.id} +healthy +serving .*status 503`))
  const { healthCheck: _none, ...spec } = appSpec('plain') as Record<string, unknown>
  await orchestry.api('/api/v1/apps', { method: 'POST', body: spec })
  await running(orchestry, 'plain')
  const plain = await orchestry.api<Report>('/api/v1/apps/plain/health/check', { method: 'POST' })
  assert.deepEqual([plain.hasHealthCheck, plain.instances.length, plain.healthy], [false, 1, 0])
  const text = await (await fetch(`${orchestry.url}/metrics`)).text()
  assert.match(text, /orchestry_health_checks_total\{app="web",status="failure"\} \d+\n/)
  assert.match(text, /orchestry_health_check_duration_seconds_count\{app="web"\}/)
  await assert.rejects(orchestry.api('/api/v1/apps/nobody/health/check', { method: 'POST' }), /404 .*ORC_APP_UNKNOWN/)
})

test('an app that speaks no HTTP is checked over TCP, and one that takes no connection any more is replaced', async (t) => {
  const orchestry = await startWeb(t, { protocol: 'TCP', path: undefined })
  const report = await orchestry.api<Report>('/api/v1/apps/web/health/check', { method: 'POST' })
  assert.deepEqual([...new Set(report.instances.map(({ health }) => health?.last?.message))], ['accepts connections'])
  const [deaf] = await rows(orchestry)
  assert.ok(deaf)
  await fetch(`http://${deaf.host}:${deaf.port}/deafen`, { method: 'POST' }).then((answer) => answer.arrayBuffer())
  await waitFor(async () => !ids(await rows(orchestry)).includes(deaf.id), settled)
  await running(orchestry)
})
