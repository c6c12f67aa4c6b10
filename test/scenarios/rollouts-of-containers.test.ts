/** Rollouts of containers on a real engine: an image that is not there, and an engine that is away. No request is lost. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RolloutView } from '../../runtime/reconcile/reconcile.ts'
import { dockerSkip, importReplica, startDockerEngine } from '../support/docker-engine.ts'
import { type RunningOrchestry, startOrchestry } from '../support/orchestry.ts'
import { startLoad } from '../support/steady-load.ts'
import { waitFor } from '../support/wait-for.ts'

const specOf = (image: string, value: string) => ({
  apiVersion: 'v1',
  kind: 'App',
  metadata: { name: 'web' },
  spec: { image, ports: [{ containerPort: 8080 }], env: [{ name: 'V', value }] },
  scaling: { mode: 'manual', minReplicas: 1, maxReplicas: 4, replicas: 2 },
  healthCheck: { path: '/healthz', periodSeconds: 1 },
  rollout: { minReadySeconds: 0.5, drainSeconds: 3, stopGraceSeconds: 3 },
})
const apply = (orchestry: RunningOrchestry, image: string, value: string) =>
  orchestry.api('/api/v1/apps/web', { method: 'PUT', body: specOf(image, value) })
const rolloutOf = (orchestry: RunningOrchestry) => orchestry.api<RolloutView>('/api/v1/apps/web/rollout')
const until = (orchestry: RunningOrchestry, state: RolloutView['state']) =>
  waitFor(
    async () => {
      const view = await rolloutOf(orchestry)
      return view.state === state && view.isSettled && view
    },
    { timeoutMs: 90_000, everyMs: 100, what: `a rollout that is ${state}` },
  )

test('an image that is not there is rolled back; an engine that is away rolls nothing back', {
  skip: dockerSkip,
}, async (t) => {
  const engine = await startDockerEngine(t, { liveRestore: true })
  await importReplica(engine)
  const orchestry = await startOrchestry(t, { env: { ORCHESTRY_DOCKER_HOST: engine.host } })
  const image = 'test/replica:1'
  await apply(orchestry, image, '1')
  const { version: first } = await until(orchestry, 'done')
  const load = startLoad(t, `${orchestry.proxyUrl}/web/?delayMs=20`, 40)
  await waitFor(() => load.sent() > 20)

  await apply(orchestry, '127.0.0.1:1/test/replica:none', '2')
  const { because, target } = await until(orchestry, 'rolledBack')
  assert.equal(target, first)
  assert.match(because ?? '', /replica:none/)

  await engine.stop()
  await apply(orchestry, image, '3')
  const ready = () => fetch(`${orchestry.url}/readyz`)
  await waitFor(async () => (await ready()).status === 503, { timeoutMs: 30_000, what: '/readyz to say so' })
  assert.match(await (await ready()).text(), /Driver docker cannot be reached/)
  await waitFor(async () => /its driver/.test((await rolloutOf(orchestry)).waitsFor ?? ''), { timeoutMs: 30_000 })
  const sent = load.sent()
  await waitFor(() => load.sent() > sent + 200, { timeoutMs: 60_000 })
  await engine.start()
  await until(orchestry, 'done')
  const { failures } = await load.stop()
  assert.deepEqual(failures, [])
  const { events } = await orchestry.api<{ events: { type: string }[] }>('/api/v1/events?limit=500')
  const count = (type: string) => events.filter((event) => event.type === type).length
  assert.deepEqual([count('rollout.rolledBack'), count('driver.lost'), count('driver.restored')], [1, 1, 1])
  assert.equal((await ready()).status, 200)
  await orchestry.cli('delete', 'web', '--force', '--wait', '60')
})
