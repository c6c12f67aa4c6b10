/** DEC-01: a scaler answers what is no number of replicas, or another one at every tick. What happens is seen on a real app. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { type AppStatusView, appSpec } from '../support/app-spec.ts'
import { startOrchestry } from '../support/orchestry.ts'
import { writePlugin } from '../support/plugin-folder.ts'
import { tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'

interface Decision {
  readonly action: string
  readonly atMs: number
  readonly from: number
  readonly to: number
  readonly votes: readonly { vote?: { reason?: string }; error?: { code: string } }[]
  readonly limits: readonly { kind: string }[]
}

/** Expressions of the guest, and where they leave an app of two to four replicas that stands at three. */
const answers: [string, 'unchanged' | 'most' | 'least'][] = [
  ['NaN', 'unchanged'],
  ['Infinity', 'unchanged'],
  ['-1', 'unchanged'],
  ["'5'", 'unchanged'],
  ['{}', 'unchanged'],
  ['[5]', 'unchanged'],
  ['null', 'unchanged'],
  ['true', 'unchanged'],
  ['2.5', 'unchanged'],
  ['1e308', 'unchanged'],
  ['Number.MAX_SAFE_INTEGER', 'unchanged'],
  ['100000', 'most'],
  ['0', 'least'],
]

const quick = { scaleIn: { stabilizationWindowSeconds: 0 }, scaleOut: { stabilizationWindowSeconds: 0 } }

test('DEC-01 nonsense leaves the replicas as they are, and what is too much or too little is clamped', async (t) => {
  const orchestry = await startOrchestry(t, { env: { ORCHESTRY_TICK_MS: '250' } })
  const root = await tempDir(t)
  const code = `import { definePlugin, Type } from '@orchestry/sdk'
const values = [3, ${answers.map(([text]) => text).join(', ')}]
export default definePlugin({
  config: Type.Object({ index: Type.Integer({ default: 0 }) }),
  scaler: { metrics: [], decide: ({ config }) => ({ replicas: values[config.index], reason: 'answer ' + config.index }) },
})`
  await writePlugin(join(root, 'odd'), { name: 'odd', code })
  const installed = await orchestry.cli('plugin', 'install', join(root, 'odd'))
  assert.equal(installed.code, 0, installed.stderr)
  const scaling = { scalers: ['odd'], minReplicas: 2, maxReplicas: 4, windowSeconds: 1, cooldownSeconds: 0 }
  await orchestry.api('/api/v1/apps', {
    method: 'POST',
    body: appSpec('shop', { scaling: { ...scaling, behavior: quick } }),
  })
  const desired = async () => (await orchestry.api<AppStatusView>('/api/v1/apps/shop')).desired
  const decisions = async () =>
    (await orchestry.api<{ decisions: Decision[]; latest?: Decision }>('/api/v1/apps/shop/decisions?limit=50')).latest
  const configure = async (index: number) => {
    await orchestry.api('/api/v1/plugins/odd/config', { method: 'PUT', body: { config: { index } } })
    await orchestry.api('/api/v1/plugins/odd/reset', { method: 'POST' })
    return Date.now()
  }

  for (const [index, [text, outcome]] of answers.entries()) {
    if (index === 0 || (await desired()) !== 3) await configure(0)
    await waitFor(async () => (await desired()) === 3, { timeoutMs: 10_000, what: `three replicas before ${text}` })
    const sinceMs = await configure(index + 1)
    const wanted = { unchanged: 3, most: 4, least: 2 }[outcome]
    const decision = await waitFor(
      async () => {
        const latest = await decisions()
        if (latest === undefined || latest.atMs <= sinceMs) return undefined
        const [vote] = latest.votes
        const isHeard = vote?.error !== undefined || vote?.vote?.reason === `answer ${index + 1}`
        // A replica that has only just come up may hold a scale-in back for a tick or two.
        return isHeard && (outcome === 'unchanged' || latest.to === wanted) ? latest : undefined
      },
      { timeoutMs: 20_000, what: `a decision on ${text}` },
    )
    if (outcome === 'unchanged') assert.match(decision.votes[0]?.error?.code ?? '', /OUTPUT_INVALID|BREAKER_OPEN/, text)
    else assert.ok(decision.limits.length > 0 || decision.from === wanted, `${text}: ${JSON.stringify(decision)}`)
    assert.ok(decision.to === wanted || (outcome === 'unchanged' && decision.action === 'hold'), text)
    await waitFor(async () => (await desired()) === wanted, { timeoutMs: 5_000, what: `${text} to leave ${wanted}` })
  }
})

test('DEC-01 whoever wants another number at every tick is held by the cooldown and by the bounds', async (t) => {
  const orchestry = await startOrchestry(t, { env: { ORCHESTRY_TICK_MS: '250' } })
  const root = await tempDir(t)
  const code = `import { definePlugin } from '@orchestry/sdk'
let tick = 0
export default definePlugin({
  scaler: { metrics: [], decide: () => ({ replicas: (tick += 1) % 2 === 0 ? 1 : 50, reason: 'now this, now that' }) },
})`
  await writePlugin(join(root, 'restless'), { name: 'restless', code })
  assert.equal((await orchestry.cli('plugin', 'install', join(root, 'restless'))).code, 0)
  const cooldownSeconds = 2
  const scaling = { scalers: ['restless'], minReplicas: 1, maxReplicas: 3, windowSeconds: 1, cooldownSeconds }
  await orchestry.api('/api/v1/apps', {
    method: 'POST',
    body: appSpec('shop', { scaling: { ...scaling, behavior: quick } }),
  })
  const scalings = async () => {
    const { decisions } = await orchestry.api<{ decisions: Decision[] }>('/api/v1/apps/shop/decisions?limit=500')
    return decisions.filter(({ action }) => action !== 'hold').sort((a, b) => a.atMs - b.atMs)
  }
  const seen = await waitFor(
    async () => {
      const found = await scalings()
      return found.length >= 5 ? found : undefined
    },
    { timeoutMs: 30_000, what: 'five changes' },
  )
  for (const [index, decision] of seen.entries()) {
    assert.ok(decision.to >= 1 && decision.to <= 3, JSON.stringify(decision))
    // To add what is missing never waits for what was taken away; all else waits for the change before.
    const before = seen.slice(0, index).findLast(({ action }) => decision.action === 'in' || action === 'out')
    const pausedMs = before === undefined ? Number.POSITIVE_INFINITY : decision.atMs - before.atMs
    assert.ok(pausedMs >= cooldownSeconds * 1_000, `${decision.action} after ${pausedMs} ms`)
  }
})
