/** MET-01: a guest makes series without end, breaks out of the exposition, and measures what only the runtime measures. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import type { AppView } from '@orchestry/sdk'
import { appSpec } from '../support/app-spec.ts'
import { startOrchestry } from '../support/orchestry.ts'
import { writePlugin } from '../support/plugin-folder.ts'
import { hasTool } from '../support/real-tool.ts'
import { tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'
import { startGuestRoom } from './guest-room.ts'

const capabilities = [{ kind: 'metrics', emit: ['acme*'] }]
const views = [{ name: 'shop', labels: {} } as unknown as AppView]

test('MET-01 of a million label values a hundred make series', async (t) => {
  const room = await startGuestRoom(t, { views })
  await room.install({
    name: 'many',
    capabilities,
    body: `const counts = {}
      for (let index = 0; index < 1900; index += 1) {
        const told = await tell(() => ctx.metrics.emit([{ app: 'shop', metric: 'acmeDepth', value: 1, labels: { user: 'u' + index } }]))
        counts[told] = (counts[told] ?? 0) + 1
      }
      return counts`,
  })
  assert.deepEqual(await room.ask('many'), { done: 100, ORC_CAPABILITY_LIMIT: 1_800 })
  await room.install({
    name: 'flood',
    capabilities,
    body: `const told = []
      for (let round = 0; round < 500; round += 1)
        told.push(await tell(() => ctx.metrics.emit(Array.from({ length: 1000 }, (_, index) => ({ app: 'shop', metric: 'acme' + round, value: 1, labels: { user: 'u' + round + '-' + index } })))))
      return [...new Set(told)]`,
  })
  const told = await room.ask('flood')
  assert.ok(!JSON.stringify(told).includes('done'), JSON.stringify(told))
  // Of a batch that has too many, nothing was recorded.
  assert.deepEqual(room.metrics.metricNames('shop'), ['acmeDepth'])
})

const reserved = ['rps', 'cpuPercent', 'latencyP95Ms', 'replicas', 'acm', 'up', 'constructor']
test('MET-01 names of the runtime and names that are none are refused, and so are values that are no numbers', async (t) => {
  const room = await startGuestRoom(t, { views })
  await room.install({
    name: 'names',
    capabilities,
    head: `const reserved = ${JSON.stringify(reserved)}
      const odd = ['orchestry_apps', '__proto__', 'acme\\n', 'acme"', 'acme{x="y"}', 'acme evil', 'acme' + 'x'.repeat(200)]
      const values = ['5', null, {}, true]`,
    body: `const told = { reserved: [], odd: [], values: [] }
      const emit = (fields) => tell(() => ctx.metrics.emit([{ app: 'shop', metric: 'acmeDepth', value: 1, ...fields }]))
      for (const metric of reserved) told.reserved.push(await emit({ metric }))
      for (const metric of odd) told.odd.push(await emit({ metric }))
      for (const value of values) told.values.push(await emit({ value }))
      for (const value of [NaN, Infinity]) told.values.push(await emit({ value }))
      return { ...told, app: await emit({ app: 'mail' }) }`,
  })
  const told = (await room.ask('names')) as Record<'reserved' | 'odd' | 'values', string[]> & { app: string }
  assert.deepEqual(told.reserved, Array(reserved.length).fill('ORC_CAPABILITY_DENIED'))
  assert.deepEqual(new Set(told.odd), new Set(['ORC_CAPABILITY_ARGUMENT']))
  assert.deepEqual(new Set(told.values), new Set(['ORC_CAPABILITY_ARGUMENT']))
  assert.equal(told.app, 'ORC_CAPABILITY_DENIED')
  assert.deepEqual(room.metrics.metricNames('shop'), [])
})

test('MET-01 a grant for names of the runtime is not given', async (t) => {
  const room = await startGuestRoom(t, { views })
  for (const emit of ['*', 'rps', 'cpu*'])
    await assert.rejects(room.install({ name: 'wide', capabilities: [{ kind: 'metrics', emit: [emit] }] }), {
      code: 'ORC_PLUGIN_MANIFEST_INVALID',
      message: /measures itself/,
    })
})

test('MET-01 the scrape parses whatever stands in labels, and the plugin makes at most a hundred series of it', async (t) => {
  const orchestry = await startOrchestry(t, { env: { ORCHESTRY_TICK_MS: '250' } })
  const code = String.raw`import { definePlugin } from '@orchestry/sdk'
let round = 0
export default definePlugin({
  scaler: {
    metrics: [],
    async decide({ ctx, hold }) {
      const evil = ['a"} 1\norchestry_apps{x="', 'b\\', 'c\n', 'd\u0000', 'e\u2028', '\ud800']
      round += 1
      const told = []
      for (const text of evil)
        told.push(await ctx.metrics.emit([{ app: 'noisy', metric: 'acmeDepth', value: round, labels: { [text]: text, user: text + round } }]).then(() => 'done', (error) => error.code))
      return hold(told.join())
    },
  },
})`
  const path = join(await tempDir(t), 'noisy')
  await writePlugin(path, { name: 'noisy-metrics', manifest: { capabilities }, code })
  const installed = await orchestry.cli('plugin', 'install', path)
  assert.equal(installed.code, 0, installed.stderr)
  const spec = appSpec('noisy', { scaling: { scalers: ['noisy-metrics'], minReplicas: 1, maxReplicas: 2 } })
  await orchestry.api('/api/v1/apps', { method: 'POST', body: spec })
  await waitFor(
    async () => {
      const used = await orchestry.api<{ instances: { uses: { allowed: number }[] }[] }>(
        '/api/v1/plugins/noisy-metrics/capabilities',
      )
      return (used.instances[0]?.uses[0]?.allowed ?? 0) >= 100
    },
    { timeoutMs: 30_000, what: 'the guest to write a hundred samples' },
  )
  const text = await (await fetch(`${orchestry.url}/metrics`)).text()
  const own = text.split('\n').filter((line) => line.includes('acme') || line.includes('noisy-metrics'))
  assert.ok(own.length <= 100, `${own.length} series`)
  const wellFormed = /^(#.*|[a-zA-Z_:][\w:]*(\{[^{}\n]*\})? \S+( \d+)?)?$/
  assert.deepEqual(
    text.split('\n').filter((line) => !wellFormed.test(line)),
    [],
  )
  await t.test('MET-01 promtool reads it', (t) => {
    if (!hasTool('promtool', 'prometheus')) return t.skip('promtool is not installed')
    const { stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' })
    assert.doesNotMatch(`${stdout}${stderr}`, /error while linting|parsing/i)
  })
})
