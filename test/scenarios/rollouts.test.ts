/** Rollouts of real processes under load: no request is lost, whatever becomes of the new version. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { RolloutView } from '../../runtime/reconcile/reconcile.ts'
import { appSpec, type InstanceRow } from '../support/app-spec.ts'
import { type RunningOrchestry, startOrchestry } from '../support/orchestry.ts'
import { processesNaming } from '../support/processes.ts'
import { startLoad } from '../support/steady-load.ts'
import { removeDir, tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'

interface Told {
  readonly type: string
  readonly data: Record<string, unknown>
}

const env = (values: Record<string, string>) => Object.entries(values).map(([name, value]) => ({ name, value }))
const specOf = (values: Record<string, string>, more: { replicas?: number; rollout?: object } = {}) => {
  const { replicas = 4, rollout = {} } = more
  return appSpec('web', {
    env: env(values),
    scaling: { mode: 'manual', minReplicas: 1, maxReplicas: 12, replicas },
    rollout: { minReadySeconds: 0.2, drainSeconds: 5, ...rollout },
  })
}
const apply = (orchestry: RunningOrchestry, spec: object) =>
  orchestry.api('/api/v1/apps/web', { method: 'PUT', body: spec })
const rolloutOf = (orchestry: RunningOrchestry) => orchestry.api<RolloutView>('/api/v1/apps/web/rollout')
const until = (orchestry: RunningOrchestry, state: RolloutView['state']) =>
  waitFor(
    async () => {
      const view = await rolloutOf(orchestry)
      return view.state === state && view.isSettled && view
    },
    { timeoutMs: 60_000, everyMs: 50, what: `a rollout that is ${state}` },
  )
const eventsOf = async (orchestry: RunningOrchestry, type: string) => {
  const { events } = await orchestry.api<{ events: Told[] }>('/api/v1/apps/web/events?limit=500')
  return events.filter((event) => event.type === type)
}
const instancesOf = async (orchestry: RunningOrchestry) =>
  (await orchestry.api<{ instances: InstanceRow[] }>('/api/v1/apps/web/instances')).instances
/** What the app that serves now was told by its environment. */
const servedBy = async (orchestry: RunningOrchestry) =>
  ((await (await fetch(`${orchestry.proxyUrl}/web/env`)).json()) as Record<string, string>).V

async function loaded(test: TestContext, options: Parameters<typeof startOrchestry>[1] = {}) {
  const orchestry = await startOrchestry(test, options)
  await apply(orchestry, specOf({ V: '1' }))
  await until(orchestry, 'done')
  const load = startLoad(test, `${orchestry.proxyUrl}/web/?delayMs=20`, 60)
  await waitFor(() => load.sent() > 30)
  return { orchestry, load }
}

test('four replicas are replaced under load, forth, back and by a restart, and no request is lost', async (t) => {
  const { orchestry, load } = await loaded(t)
  const before = (await instancesOf(orchestry)).map(({ id }) => id)
  await apply(orchestry, specOf({ V: '2' }, { rollout: { maxSurge: '50%' } }))
  const { version } = await until(orchestry, 'done')
  assert.equal(await servedBy(orchestry), '2')
  assert.equal((await instancesOf(orchestry)).filter(({ id }) => before.includes(id)).length, 0)

  const undone = await orchestry.cli('rollout', 'undo', 'web')
  assert.equal(undone.code, 0, undone.stderr)
  assert.equal(await servedBy(orchestry), '1')
  const [event] = await eventsOf(orchestry, 'rollout.undone')
  assert.deepEqual([event?.data.number, event?.data.from], [1, version])

  const ids = (await instancesOf(orchestry)).map(({ id }) => id)
  const restarted = await orchestry.cli('rollout', 'restart', 'web', '--wait', '60')
  assert.equal(restarted.code, 0, restarted.stderr)
  assert.equal((await instancesOf(orchestry)).filter(({ id }) => ids.includes(id)).length, 0)
  assert.equal(await servedBy(orchestry), '1')

  const { failures, sent } = await load.stop()
  t.diagnostic(`${failures.length} of ${sent} requests failed`)
  assert.deepEqual(failures, [])
  const { stdout } = await orchestry.cli('rollout', 'history', 'web')
  assert.match(stdout, /^4 \*.+done/m)
  assert.match(stdout, /^1 .+done/m)
  const none = await orchestry.cli('rollout', 'undo', 'web', '--to', '99')
  assert.equal(none.code, 1)
  assert.match(none.stderr, /ORC_ROLLOUT_UNKNOWN/)
})

test('versions that break in their own ways are rolled back under load, and the command line says why', async (t) => {
  const { orchestry, load } = await loaded(t)
  const before = (await instancesOf(orchestry)).map(({ id }) => id).sort()
  const dir = await tempDir(t)
  const file = join(dir, 'web.json')
  const broken: [values: Record<string, string>, why: RegExp][] = [
    [{ V: '2', EXIT_AFTER_MS: '0', EXIT_CODE: '7' }, /exited with code 7/],
    // Healthy at first, and gone before it has served for long enough.
    [{ V: '3', EXIT_AFTER_MS: '1500', EXIT_CODE: '8' }, /exited with code 8.*Last output: .*listening on/],
  ]
  for (const [values, why] of broken) {
    await writeFile(file, JSON.stringify(specOf(values, { rollout: { minReadySeconds: 4 } })))
    const applied = await orchestry.cli('apply', file, '--wait', '--timeout', '60')
    assert.equal(applied.code, 3, applied.stdout + applied.stderr)
    assert.match(applied.stderr, /was rolled back and version \w+ runs/)
    assert.match(applied.stderr, why)
    const status = await orchestry.cli('rollout', 'status', 'web')
    assert.equal(status.code, 3)
    assert.match(status.stderr, why)
  }
  // Never healthy: the deadline of the rollout is nearer than the time that a start is given.
  await writeFile(file, JSON.stringify(specOf({ V: '4', STATUS: '503' }, { rollout: { progressDeadlineSeconds: 6 } })))
  const applied = await orchestry.cli('apply', file, '--wait', '--timeout', '60')
  assert.equal(applied.code, 3, applied.stdout + applied.stderr)
  assert.match(applied.stderr, /no progress for 6 s/)

  const { failures, sent } = await load.stop()
  t.diagnostic(`${failures.length} of ${sent} requests failed`)
  assert.deepEqual(failures, [])
  await until(orchestry, 'rolledBack')
  assert.deepEqual((await instancesOf(orchestry)).map(({ id }) => id).sort(), before, 'the old ones were never touched')
  assert.equal((await eventsOf(orchestry, 'rollout.rolledBack')).length, 3)
  await apply(orchestry, specOf({ V: '5' }))
  await until(orchestry, 'done')
  assert.equal(await servedBy(orchestry), '5')
})

test('a rollout that takes too long for who waits goes on, with an exit code that says so', async (t) => {
  const orchestry = await startOrchestry(t)
  await apply(orchestry, specOf({ V: '1' }, { replicas: 1 }))
  await until(orchestry, 'done')
  await apply(orchestry, specOf({ V: '2', START_DELAY_MS: '4000' }, { replicas: 1 }))
  const early = await orchestry.cli('rollout', 'status', 'web', '--wait', '--timeout', '1')
  assert.equal(early.code, 1, early.stdout)
  assert.match(early.stderr, /After 1 s the rollout of web is not over; it goes on\./)
  const late = await orchestry.cli('rollout', 'status', 'web', '--wait')
  assert.equal(late.code, 0, late.stderr)
  assert.match(late.stdout, /is rolled out/)
})

test('a rollout that kill -9 of Orchestry interrupts is gone on with, and no request is lost', async (t) => {
  const dataDir = await tempDir()
  t.after(() => removeDir(dataDir))
  const { orchestry: first, load } = await loaded(t, { dataDir })
  await apply(first, specOf({ V: '2', START_DELAY_MS: '800' }, { rollout: { minReadySeconds: 1 } }))
  await waitFor(async () => (await rolloutOf(first)).ready >= 1, {
    timeoutMs: 20_000,
    what: 'the first of the new ones',
  })
  await first.kill()
  await waitFor(() => processesNaming(dataDir).every(({ command }) => !command.includes('sandbox-host')), {
    what: 'the sandbox processes of the killed Orchestry to end',
  })
  const second = await startOrchestry(t, { dataDir, args: ['--proxy-port', new URL(first.proxyUrl).port] })
  await until(second, 'done')
  assert.equal(await servedBy(second), '2')
  assert.equal((await instancesOf(second)).length, 4)
  const { failures, sent } = await load.stop()
  t.diagnostic(`${failures.length} of ${sent} requests failed`)
  assert.deepEqual(failures, [])
  assert.equal((await eventsOf(second, 'rollout.started')).length, 1, 'it is the same rollout')
  assert.equal((await eventsOf(second, 'rollout.finished')).length, 1)
})

test('an app is scaled out and in while it is rolled out, and no request is lost', async (t) => {
  const { orchestry, load } = await loaded(t)
  const scale = (replicas: number) => orchestry.api('/api/v1/apps/web/scale', { method: 'POST', body: { replicas } })
  await apply(orchestry, specOf({ V: '2', START_DELAY_MS: '300' }, { rollout: { minReadySeconds: 0.5 } }))
  await waitFor(async () => (await rolloutOf(orchestry)).ready >= 1, { timeoutMs: 20_000 })
  await scale(8)
  await waitFor(async () => (await rolloutOf(orchestry)).ready >= 4, { timeoutMs: 30_000 })
  await scale(2)
  await until(orchestry, 'done')
  assert.equal((await instancesOf(orchestry)).length, 2)
  assert.equal(await servedBy(orchestry), '2')
  const { failures, sent } = await load.stop()
  t.diagnostic(`${failures.length} of ${sent} requests failed`)
  assert.deepEqual(failures, [])
})

test('replicas that ignore SIGTERM hold up no others: they are killed side by side when their grace is over', async (t) => {
  const orchestry = await startOrchestry(t)
  await apply(orchestry, specOf({ V: '1', IGNORE_SIGTERM: '1' }, { replicas: 6, rollout: { stopGraceSeconds: 2 } }))
  await until(orchestry, 'done')
  const startedMs = performance.now()
  const down = await orchestry.cli('down', 'web', '--wait', '30')
  const tookMs = performance.now() - startedMs
  assert.equal(down.code, 0, down.stderr)
  t.diagnostic(`six that ignore SIGTERM ended in ${Math.round(tookMs)} ms`)
  assert.ok(tookMs < 6 * 2_000, `${Math.round(tookMs)} ms`)
})
