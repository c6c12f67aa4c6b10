/** nginx as an operator gets it: a whole Orchestry, real apps, real load, and everything killed that can be. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { test } from 'node:test'
import { type AppStatusView, appSpec } from '../support/app-spec.ts'
import { nginxPath, withoutNginx } from '../support/nginx.ts'
import { type RunningOrchestry, startOrchestry } from '../support/orchestry.ts'
import { isAlive } from '../support/processes.ts'
import { freePort } from '../support/proxy.ts'
import { startLoad } from '../support/steady-load.ts'
import { removeDir, tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'

interface Plugin {
  readonly id: string
  readonly state: string
  readonly pid?: number
}
const nginxOf = async (orchestry: RunningOrchestry) => {
  const { plugins } = await orchestry.api<{ plugins: Plugin[] }>('/api/v1/plugins')
  return plugins.find(({ id }) => id === '@orchestry/nginx')
}
const masterOf = async (dataDir: string) =>
  (JSON.parse(await readFile(join(dataDir, 'daemons', 'nginx.serve.json'), 'utf8')) as { pid: number }).pid
const app = (name: string, ingress: object) => ({
  ...appSpec(name, { scaling: { mode: 'manual', maxReplicas: 4 }, rollout: { drainSeconds: 1 } }),
  ingress,
})
const scale = (orchestry: RunningOrchestry, name: string, replicas: number) =>
  orchestry.api(`/api/v1/apps/${name}/scale`, { method: 'POST', body: { replicas } })
const settled = (orchestry: RunningOrchestry, name: string, count: number) =>
  waitFor(
    async () => {
      const { serving, running } = await orchestry.api<AppStatusView>(`/api/v1/apps/${name}`)
      return serving === count && running === count
    },
    { timeoutMs: 20_000, what: `${count} replicas of ${name} and no more` },
  )

/** Which app answers. */
const answerOf = (url: string, host?: string): Promise<string | undefined> =>
  new Promise((resolve) => {
    const sent = request(url, { agent: false, ...(host === undefined ? {} : { headers: { host } }) }, (response) => {
      let text = ''
      response.on('data', (chunk) => (text += chunk))
      response.on('end', () =>
        resolve(response.statusCode === 200 ? (JSON.parse(text) as { app: string }).app : undefined),
      )
    })
    sent.on('error', () => resolve(undefined))
    sent.end()
  })

test('two apps through nginx: chosen, scaled and killed under load, and not a request is lost', {
  skip: withoutNginx,
}, async (t) => {
  const dataDir = await tempDir()
  t.after(() => removeDir(dataDir))
  const first = await startOrchestry(t, { dataDir })
  assert.equal((await nginxOf(first))?.state, 'unconfigured')
  assert.deepEqual(await first.api('/readyz'), { ok: true, problems: [] })
  const [port, statusPort] = [await freePort(), await freePort()]
  const config = JSON.stringify({ path: nginxPath, port, statusPort })
  const configured = await first.cli('plugin', 'config', 'nginx', config)
  assert.equal(configured.code, 0, configured.stderr)
  const url = `http://127.0.0.1:${port}`

  await first.api('/api/v1/apps', { method: 'POST', body: app('web', { loadBalancer: 'nginx' }) })
  const byHost = app('shop', { loadBalancer: 'nginx', host: 'shop.example', path: '/' })
  await first.api('/api/v1/apps', { method: 'POST', body: byHost })
  await first.api('/api/v1/apps', { method: 'POST', body: app('plain', {}) })
  await waitFor(() => answerOf(`${url}/web/`), { timeoutMs: 20_000, what: 'web through nginx' })
  await waitFor(() => answerOf(`${url}/any`, 'shop.example'), { timeoutMs: 20_000, what: 'shop through nginx' })
  assert.equal(await answerOf(`${url}/any`, 'shop.example'), 'shop')
  await waitFor(() => answerOf(`${first.proxyUrl}/plain/`), {
    timeoutMs: 20_000,
    what: 'plain through the embedded proxy',
  })
  assert.equal(await answerOf(`${url}/plain/`), undefined, 'who names no load balancer stays where it was')
  assert.equal((await first.api<{ url?: string }>('/api/v1/apps/web')).url, url)
  assert.match((await first.cli('status', 'web')).stdout, new RegExp(`at ${url}`))

  const load = startLoad(t, `${url}/web/`, 100)
  await scale(first, 'web', 3)
  await settled(first, 'web', 3)
  await scale(first, 'web', 1)
  await settled(first, 'web', 1)
  const metrics = await waitFor(
    async () => {
      const found = await first.api<{ metrics: Record<string, { last: number } | undefined> }>(
        '/api/v1/apps/web/metrics',
      )
      return found.metrics.latencyP95Ms && found.metrics.rps ? found.metrics : undefined
    },
    { timeoutMs: 10_000, what: 'metrics from nginx' },
  )
  assert.ok(Number(metrics.rps?.last) > 10, `rps ${metrics.rps?.last}`)

  const master = await masterOf(dataDir)
  process.kill((await nginxOf(first))?.pid ?? 0, 'SIGKILL')
  await waitFor(async () => (await nginxOf(first))?.state === 'serving', { what: 'the plugin to be back' })
  await first.kill()
  const sent = load.sent()
  await waitFor(() => load.sent() > sent + 100)
  const second = await startOrchestry(t, { dataDir, args: ['--on-exit', 'keep'] })
  await settled(second, 'web', 1)
  assert.equal(await masterOf(dataDir), master, 'it is the same nginx')
  await scale(second, 'web', 2)
  await settled(second, 'web', 2)
  assert.equal(await second.stop(), 0)
  await waitFor(() => load.sent() > sent + 300)
  const { failures, sent: all, longestGapMs } = await load.stop()
  t.diagnostic(`${failures.length} of ${all} requests failed, longest gap ${Math.round(longestGapMs)} ms`)
  assert.deepEqual(failures, [])

  const third = await startOrchestry(t, { dataDir })
  await settled(third, 'web', 2)
  assert.equal(await masterOf(dataDir), master, 'kept, it belongs to the next one')
  process.kill(master, 'SIGKILL')
  await waitFor(() => answerOf(`${url}/web/`), { timeoutMs: 10_000, what: 'nginx to be back' })

  // As the default it carries everybody who names nobody else.
  const made = await third.cli('plugin', 'config', 'nginx', '--default')
  assert.equal(made.code, 0, made.stderr)
  await waitFor(() => answerOf(`${url}/plain/`), { timeoutMs: 15_000, what: 'plain through nginx' })
  await waitFor(async () => (await answerOf(`${third.proxyUrl}/plain/`)) === undefined, {
    what: 'plain to leave the proxy',
  })
  const last = await masterOf(dataDir)
  assert.equal(await third.stop(), 0)
  assert.ok(!isAlive(last), 'it ends with Orchestry')
  assert.equal(await answerOf(`${url}/web/`), undefined)
})
