/** Apps that are broken in the ways users break them: said plainly, contained, and never at the cost of what worked. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AppStatusView, appSpec } from '../support/app-spec.ts'
import { type RunningOrchestry, startOrchestry } from '../support/orchestry.ts'
import { startLoad } from '../support/steady-load.ts'
import { waitFor } from '../support/wait-for.ts'

interface Listed {
  readonly type: string
  readonly data: { readonly instance?: string; readonly outcome?: string }
}

const statusOf = (orchestry: RunningOrchestry, app: string) => orchestry.api<AppStatusView>(`/api/v1/apps/${app}`)
const eventsOf = async (orchestry: RunningOrchestry, app: string, type: string) => {
  const { events } = await orchestry.api<{ events: Listed[] }>(`/api/v1/apps/${app}/events?limit=500`)
  return events.filter((event) => event.type === type)
}
const apply = (orchestry: RunningOrchestry, app: string, env: Record<string, string>) => {
  const list = Object.entries(env).map(([name, value]) => ({ name, value }))
  const { healthCheck: _none, ...spec } = appSpec(app, { env: list }) as Record<string, unknown>
  return orchestry.api(`/api/v1/apps/${app}`, { method: 'PUT', body: spec })
}
const finished = (orchestry: RunningOrchestry, app: string, outcome: string) =>
  waitFor(
    async () => (await eventsOf(orchestry, app, 'rollout.finished')).some(({ data }) => data.outcome === outcome),
    { timeoutMs: 20_000, what: `a rollout that ends as ${outcome}` },
  )

test('without a health check, too, a rollout loses no request, and a version that only exits is rolled back', async (t) => {
  const orchestry = await startOrchestry(t)
  await apply(orchestry, 'web', { V: '1' })
  await waitFor(async () => (await statusOf(orchestry, 'web')).phase === 'running')
  const load = startLoad(t, `${orchestry.proxyUrl}/web/`, 50)
  await waitFor(() => load.sent() > 20)
  await apply(orchestry, 'web', { V: '2', START_DELAY_MS: '500' })
  await finished(orchestry, 'web', 'done')
  await apply(orchestry, 'web', { V: '3', EXIT_AFTER_MS: '0', EXIT_CODE: '3', START_DELAY_MS: '60000' })
  await finished(orchestry, 'web', 'rolledBack')
  const { failures } = await load.stop()
  assert.deepEqual(failures, [])
  const { serving, problems } = await statusOf(orchestry, 'web')
  assert.equal(serving, 1)
  assert.match(problems.join(), /rolled back.+exited with code 3/)
})

test('what an app wrote before it exited can be read, and each end is told once', async (t) => {
  const orchestry = await startOrchestry(t)
  await apply(orchestry, 'web', { EXIT_AFTER_MS: '300', EXIT_CODE: '3' })
  const ends = await waitFor(
    async () => {
      const events = await eventsOf(orchestry, 'web', 'instance.exited')
      return events.length > 1 && events
    },
    { what: 'the app to exit twice' },
  )
  const { stdout } = await orchestry.cli('logs', 'web')
  assert.match(stdout, new RegExp(`${ends[0]?.data.instance} \\| listening on`))
  // The driver lists an end once more, at the next listing (every ten seconds).
  const lists = await waitFor(
    async () => {
      const events = await eventsOf(orchestry, 'web', 'instance.exited')
      return events.length > 4 && events
    },
    { timeoutMs: 20_000, what: 'the app to exit five times' },
  )
  const told = lists.map(({ data }) => data.instance)
  assert.deepEqual(told, [...new Set(told)])
})
