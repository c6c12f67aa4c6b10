/** DEC-02: a guest scales apps that it was not granted, and its own beyond what was granted. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { type AppStatusView, appSpec } from '../support/app-spec.ts'
import { startOrchestry } from '../support/orchestry.ts'
import { writePlugin } from '../support/plugin-folder.ts'
import { tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'

const selector = { team: 'web' }
const asked: [string, number][] = [
  ['bank', 0],
  ['bank', 5],
  ['nobody', 1],
  ['../bank', 1],
  ['__proto__', 1],
  ['BANK', 1],
  ['own', 4],
]

test('DEC-02 only granted apps are scaled, only as far as granted, and of others nothing moves', async (t) => {
  const orchestry = await startOrchestry(t, { env: { ORCHESTRY_TICK_MS: '250' } })
  const root = await tempDir(t)
  const code = `import { definePlugin } from '@orchestry/sdk'
const asked = ${JSON.stringify(asked)}
const say = (app, replicas) => (ctx) => ctx.apps.scale(app, replicas, 'because').then(() => 'done', (error) => error.code)
export default definePlugin({
  scaler: {
    metrics: [],
    async decide({ ctx, hold }) {
      const told = []
      for (const [app, replicas] of asked) told.push(await say(app, replicas)(ctx))
      const seen = (await ctx.apps.list()).map(({ name }) => name).join('+')
      const other = await ctx.apps.get('bank')
      return hold(told.join() + ' ' + seen + ' ' + other)
    },
  },
})`
  const capabilities = [{ kind: 'apps', read: true, scale: { maxReplicas: 3 }, selector }]
  await writePlugin(join(root, 'greedy'), { name: 'greedy', code, manifest: { capabilities } })
  const refused = await orchestry.cli('plugin', 'install', join(root, 'greedy'))
  assert.equal(refused.code, 1, 'scaling apps is only granted on purpose')
  assert.match(refused.stderr, /ORC_PLUGIN_CONSENT_NEEDED[\s\S]*apps read true scale \{"maxReplicas":3\}/)
  assert.equal((await orchestry.cli('plugin', 'install', join(root, 'greedy'), '--yes')).code, 0)
  const manual = { mode: 'manual', minReplicas: 1, maxReplicas: 6 }
  const bank = appSpec('bank', { scaling: manual })
  await orchestry.api('/api/v1/apps', { method: 'POST', body: bank })
  const own = appSpec('own', { scaling: { scalers: ['greedy'], minReplicas: 1, maxReplicas: 6 } }) as {
    metadata: object
  }
  await orchestry.api('/api/v1/apps', { method: 'POST', body: { ...own, metadata: { name: 'own', labels: selector } } })
  const status = (app: string) => orchestry.api<AppStatusView>(`/api/v1/apps/${app}`)
  await waitFor(async () => (await status('bank')).serving === 1, { timeoutMs: 15_000 })
  const pids = async () =>
    (await orchestry.api<{ instances: { id: string; pid?: number }[] }>('/api/v1/apps/bank/instances')).instances.map(
      ({ id, pid }) => `${id} ${pid}`,
    )
  const before = await pids()

  const denied = asked.map(() => 'ORC_CAPABILITY_DENIED').join()
  const reason = await waitFor(
    async () => {
      const { latest } = await orchestry.api<{ latest?: { votes: { vote?: { reason?: string } }[] } }>(
        '/api/v1/apps/own/decisions?limit=1',
      )
      return latest?.votes[0]?.vote?.reason
    },
    { timeoutMs: 15_000, what: 'the guest to tell what it got' },
  )
  assert.equal(reason, `${denied} own null`)
  await waitFor(async () => {
    const { instances } = await orchestry.api<{ instances: { uses: { denied: number }[] }[] }>(
      '/api/v1/plugins/greedy/capabilities',
    )
    return (instances[0]?.uses[0]?.denied ?? 0) >= 3 * asked.length
  })
  assert.deepEqual(await pids(), before, 'no replica of it was started or stopped')
  assert.deepEqual([(await status('bank')).desired, (await status('own')).desired], [1, 1])
  const { decisions } = await orchestry.api<{ decisions: { by: string }[] }>('/api/v1/apps/bank/decisions')
  assert.deepEqual(
    decisions.filter(({ by }) => by === 'operator'),
    [],
  )
  const { events } = await orchestry.api<{ events: { data: { code?: string } }[] }>(
    '/api/v1/events?type=plugin.violated',
  )
  assert.equal(events[0]?.data.code, 'ORC_CAPABILITY_DENIED')
})
