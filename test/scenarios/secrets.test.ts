/** A secret from the command line into a replica's environment, over restarts, and what happens when it or its key is missing. */
import assert from 'node:assert/strict'
import { chmodSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { type AppStatusView, appSpec, type InstanceRow } from '../support/app-spec.ts'
import { type RunningOrchestry, startOrchestry } from '../support/orchestry.ts'
import { tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'

const value = 'correct-horse-battery'
const patience = { timeoutMs: 20_000 }
const statusOf = (orchestry: RunningOrchestry) => orchestry.api<AppStatusView>('/api/v1/apps/shop')

test('an app waits for its secret, gets it, and keeps its replica when the key cannot be used', async (t) => {
  const dataDir = await tempDir(t)
  const env = { ORCHESTRY_ON_EXIT: 'keep' }
  const first = await startOrchestry(t, { dataDir, env })
  await first.api('/api/v1/apps', {
    method: 'POST',
    body: appSpec('shop', { env: [{ name: 'PASSWORD', secret: 'db' }] }),
  })
  await waitFor(
    async () =>
      /secret db, which does not exist.*orchestry secret set db/.test((await statusOf(first)).problems.join()),
    { ...patience, what: 'the missing secret to be said' },
  )
  await first.api('/api/v1/secrets/db', { method: 'PUT', body: { value } })
  await waitFor(async () => (await statusOf(first)).serving === 1, { ...patience, what: 'the app to serve' })

  const pidOf = async (orchestry: RunningOrchestry) => {
    const { instances } = await orchestry.api<{ instances: InstanceRow[] }>('/api/v1/apps/shop/instances')
    return instances.find(({ isRunning }) => isRunning)?.pid
  }
  const pid = await pidOf(first)
  if (process.platform === 'linux')
    assert.ok(readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(`PASSWORD=${value}`))
  const listed = await first.cli('secret', 'list')
  assert.match(listed.stdout, /^NAME .*\ndb +\S+ \S+ +shop/)
  for (const path of ['apps/shop', 'apps/shop/spec', 'apps/shop/events', 'events', 'secrets'])
    assert.equal((await (await fetch(`${first.url}/api/v1/${path}`)).text()).includes(value), false, path)
  assert.equal(first.output().includes(value), false)
  await first.stop()

  chmodSync(join(dataDir, 'secrets.key'), 0o644)
  const second = await startOrchestry(t, { dataDir, env: { ORCHESTRY_ON_EXIT: 'stop' } })
  await waitFor(async () => (await statusOf(second)).serving === 1, { ...patience, what: 'the replica to be taken on' })
  assert.equal(await pidOf(second), pid)
  const ready = await fetch(`${second.url}/readyz`)
  assert.equal(ready.status, 503)
  assert.match(
    await ready.text(),
    /secrets\.key, can be used by others \(its mode is 644, not 600\)\..*Nothing was lost/,
  )
  assert.match(second.output(), /ORC_SECRET_KEY_UNUSABLE/)
  const refused = await fetch(`${second.url}/api/v1/secrets/db`, {
    method: 'PUT',
    body: JSON.stringify({ value }),
    headers: { 'content-type': 'application/json' },
  })
  assert.deepEqual(
    [refused.status, ((await refused.json()) as { code: string }).code],
    [500, 'ORC_SECRET_KEY_UNUSABLE'],
  )

  chmodSync(join(dataDir, 'secrets.key'), 0o600)
  await second.api('/api/v1/secrets/db', { method: 'PUT', body: { value: `${value}-2` } })
  assert.equal((await fetch(`${second.url}/readyz`)).status, 200)
})
