/** Two hundred real replicas, of which half hang: through the real plugin in its real sandbox. */
import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { systemClock } from '../../runtime/clock.ts'
import type { Instance } from '../../runtime/drivers/driver.ts'
import { createHealth } from '../../runtime/health/prober.ts'
import { createLog } from '../../runtime/log.ts'
import { createFakeApps, sampleCheck, sampleSpec } from '../support/fake-apps.ts'
import { startHealthPlugin } from '../support/health-plugin.ts'
import { waitFor } from '../support/wait-for.ts'

const half = 100
const check = sampleCheck({ path: '/healthz', periodSeconds: 1, timeoutSeconds: 1, failureThreshold: 2 })

test('of 200 replicas 100 hang: the others go on being judged in time, and none of them falls', async (t) => {
  const script = fileURLToPath(new URL('../support/many-replicas.ts', import.meta.url))
  const child = fork(script, [String(half), String(half)], { stdio: 'ignore' })
  t.after(() => void child.kill('SIGKILL'))
  const [ports] = (await once(child, 'message')) as [number[]]
  const { hooks } = await startHealthPlugin(t, 'http-health')
  // They were running before us, and for longer than a start may take.
  const startedAtMs = Date.now() - 600_000
  const instances = ports.map(
    (port, index): Instance => ({
      id: `${index < half ? 'good' : 'bad'}-${index}`,
      app: 'shop',
      version: 'v1',
      host: '127.0.0.1',
      port,
      startedAtMs,
      isRunning: true,
    }),
  )
  const apps = createFakeApps()
  apps.put('shop', { app: sampleSpec('shop', { healthCheck: check }) })
  const health = createHealth({
    apps,
    instances: () => instances,
    onInstancesChanged: () => () => {},
    hooks,
    clock: systemClock,
    log: createLog({ level: 'silent' }),
    events: { emit: () => {} },
  })
  t.after(() => health.stop())
  const fallen: string[] = []
  health.onChange(({ instance, to }) => {
    if (to === 'unhealthy') fallen.push(instance)
  })
  const beganMs = Date.now()
  health.start()
  const of = (word: string) => instances.filter(({ id }) => id.startsWith(word)).map(({ id }) => health.stateOf(id))
  await waitFor(() => of('good').every((state) => state?.status === 'healthy'), { timeoutMs: 15_000 })
  const knownMs = Date.now() - beganMs
  await waitFor(() => of('bad').every((state) => state?.status === 'unhealthy'), { timeoutMs: 30_000 })
  let oldestMs = 0
  const untilMs = performance.now() + 6_000
  while (performance.now() < untilMs) {
    for (const state of of('good')) oldestMs = Math.max(oldestMs, Date.now() - (state?.last?.atMs ?? 0))
    await sleep(20)
  }
  t.diagnostic(`good ones known after ${knownMs} ms; the oldest word of one was ${oldestMs} ms old (period 1000 ms)`)
  assert.ok(oldestMs < 3_000, `${oldestMs} ms`)
  assert.deepEqual(
    fallen.filter((id) => id.startsWith('good')),
    [],
  )
})
