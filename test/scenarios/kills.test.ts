/** `kill -9` on a replica, on a sandbox host and on Orchestry itself, under load: nothing lost, doubled or left over. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AppStatusView, appSpec, type InstanceRow } from '../support/app-spec.ts'
import { type RunningOrchestry, startOrchestry } from '../support/orchestry.ts'
import { isAlive, processesNaming } from '../support/processes.ts'
import { startLoad } from '../support/steady-load.ts'
import { removeDir, tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'

const instancesOf = async (orchestry: RunningOrchestry, app: string) =>
  (await orchestry.api<{ instances: InstanceRow[] }>(`/api/v1/apps/${app}/instances`)).instances
const serving = (orchestry: RunningOrchestry, app: string, count: number, timeoutMs = 15_000) =>
  waitFor(async () => (await orchestry.api<AppStatusView>(`/api/v1/apps/${app}`)).serving === count, {
    timeoutMs,
    what: `${count} serving replicas of ${app}`,
  })
const inThree = { scaling: { mode: 'manual', minReplicas: 3, maxReplicas: 3 } }

test('a killed replica leaves the rotation at once and is replaced; requests are not lost', async (t) => {
  const orchestry = await startOrchestry(t)
  await orchestry.api('/api/v1/apps', { method: 'POST', body: appSpec('web', inThree) })
  await serving(orchestry, 'web', 3)
  const load = startLoad(t, `${orchestry.proxyUrl}/web/`, 100)
  await waitFor(() => load.sent() > 100)
  const [victim] = await instancesOf(orchestry, 'web')
  const killedMs = performance.now()
  process.kill(victim?.pid ?? 0, 'SIGKILL')
  await waitFor(
    async () =>
      !(await instancesOf(orchestry, 'web')).some(({ id, rotation }) => id === victim?.id && rotation === 'serving'),
    { everyMs: 5 },
  )
  const outMs = performance.now() - killedMs
  await serving(orchestry, 'web', 3)
  const backMs = performance.now() - killedMs
  await waitFor(() => load.sent() > 300)
  const { failures, sent } = await load.stop()
  t.diagnostic(
    `out of rotation ${Math.round(outMs)} ms, replaced ${Math.round(backMs)} ms, ${failures.length} of ${sent} requests failed`,
  )
  assert.deepEqual(failures, [], 'a GET that was in the killed replica is asked of another')
  const { events } = await orchestry.api<{ events: { type: string }[] }>('/api/v1/apps/web/events?limit=100')
  assert.ok(events.some(({ type }) => type === 'instance.exited'))
})

test('a killed sandbox host is replaced: its plugin serves on, the others never notice', async (t) => {
  const orchestry = await startOrchestry(t)
  await orchestry.api('/api/v1/apps', { method: 'POST', body: appSpec('web', inThree) })
  await serving(orchestry, 'web', 3)
  const load = startLoad(t, `${orchestry.proxyUrl}/web/`, 50)
  type Plugin = { id: string; pid: number; restarts: number; state: string }
  // One that waits for its config has no process.
  const plugins = async () =>
    (await orchestry.api<{ plugins: Plugin[] }>('/api/v1/plugins')).plugins.filter(({ pid }) => pid !== undefined)
  for (const { id, pid } of await plugins()) {
    const killedMs = performance.now()
    process.kill(pid, 'SIGKILL')
    await waitFor(
      async () => {
        const now = (await plugins()).find((plugin) => plugin.id === id)
        return now?.state === 'serving' && now.pid !== pid && now.restarts === 1
      },
      { timeoutMs: 5_000, everyMs: 5, what: `${id} to serve again` },
    )
    t.diagnostic(`${id} serving again after ${Math.round(performance.now() - killedMs)} ms`)
    assert.ok(!isAlive(pid))
  }
  await serving(orchestry, 'web', 3)
  const { failures } = await load.stop()
  assert.deepEqual(failures, [])
  const restarts = (await plugins()).map((plugin) => plugin.restarts)
  assert.ok(restarts.length > 2 && restarts.every((count) => count === 1), `restarts: ${restarts.join(', ')}`)
})

test('a killed Orchestry: traffic goes on, the next one adopts every replica and the proxy, loses and doubles nothing', async (t) => {
  const dataDir = await tempDir()
  t.after(() => removeDir(dataDir))
  const first = await startOrchestry(t, { dataDir })
  await first.api('/api/v1/apps', { method: 'POST', body: appSpec('web', inThree) })
  await first.api('/api/v1/apps', {
    method: 'POST',
    body: appSpec('two', { scaling: { mode: 'manual', maxReplicas: 4 } }),
  })
  await first.api('/api/v1/apps/two/scale', { method: 'POST', body: { replicas: 2 } })
  await serving(first, 'web', 3)
  await serving(first, 'two', 2)
  const before = (await instancesOf(first, 'web')).map(({ pid }) => pid).sort()
  const load = startLoad(t, `${first.proxyUrl}/web/`, 100)
  await waitFor(() => load.sent() > 50)
  await first.kill()
  await waitFor(() => processesNaming(dataDir).every(({ command }) => !command.includes('sandbox-host')), {
    what: 'the sandbox processes of the killed Orchestry to end',
  })
  await waitFor(() => load.sent() > 150)
  // A replica dies while nobody watches.
  process.kill(before[0] ?? 0, 'SIGKILL')
  const second = await startOrchestry(t, { dataDir, args: ['--proxy-port', new URL(first.proxyUrl).port] })
  assert.equal(second.proxyUrl, first.proxyUrl)
  await serving(second, 'web', 3)
  await serving(second, 'two', 2)
  await waitFor(() => load.sent() > 400)
  const { failures, sent, longestGapMs } = await load.stop()
  t.diagnostic(
    `${failures.length} of ${sent} requests failed, longest gap ${Math.round(longestGapMs)} ms, ready again in ${Math.round(second.readyMs)} ms`,
  )
  assert.deepEqual(failures, [])
  const after = (await instancesOf(second, 'web')).map(({ pid }) => pid)
  assert.equal(after.length, 3)
  assert.equal(after.filter((pid) => before.includes(pid)).length, 2, 'those that ran are the same processes')
  const { decisions } = await second.api<{ decisions: { app: string }[] }>('/api/v1/decisions?limit=50')
  assert.ok(
    decisions.some(({ app }) => app === 'two'),
    'what was decided before is still known',
  )
  assert.equal(await second.stop(), 0)
  assert.deepEqual(processesNaming(dataDir), [])
})

test('asked to keep: replicas and proxy go on without it and belong to the next one', async (t) => {
  const dataDir = await tempDir()
  t.after(() => removeDir(dataDir))
  const first = await startOrchestry(t, { dataDir, args: ['--on-exit', 'keep'] })
  await first.api('/api/v1/apps', { method: 'POST', body: appSpec('web', inThree) })
  await serving(first, 'web', 3)
  const before = (await instancesOf(first, 'web')).map(({ pid }) => pid).sort()
  const load = startLoad(t, `${first.proxyUrl}/web/`, 50)
  assert.equal(await first.stop(), 0, first.output())
  await waitFor(() => load.sent() > 50)
  const second = await startOrchestry(t, { dataDir, args: ['--proxy-port', new URL(first.proxyUrl).port] })
  await serving(second, 'web', 3)
  assert.deepEqual((await instancesOf(second, 'web')).map(({ pid }) => pid).sort(), before)
  const { failures } = await load.stop()
  assert.deepEqual(failures, [])
})
