/** A scaler of fifteen lines in a folder outside the repository: it decides for its app, and going wrong harms nobody else. */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { type AppStatusView, appSpec } from '../support/app-spec.ts'
import { type RunningOrchestry, startOrchestry } from '../support/orchestry.ts'
import { startLoad } from '../support/steady-load.ts'
import { tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'

const manifest = {
  name: 'my-scaler',
  version: '1.0.0',
  type: 'module',
  orchestry: { manifest: 1, engine: '>=1.0 <2', entry: 'plugin.ts', limits: { timeoutMs: 300 } },
}
const plugin = (body: string) => `import { definePlugin, Type } from '@orchestry/sdk'
export default definePlugin({
  config: Type.Object({ size: Type.Integer({ minimum: 1, default: 3 }) }),
  scaler: {
    metrics: ['rps'],
    decide({ app, config, hold }) {
      if (app.labels.quiet) return hold('as I was told')
      ${body}
    },
  },
})
`

interface Decision {
  readonly action: string
  readonly to: number
  readonly reason: string
  readonly votes: readonly { scaler: string; vote?: { replicas?: number }; error?: { code: string } }[]
  readonly limits: readonly { kind: string }[]
}

const latest = async (orchestry: RunningOrchestry, app: string) =>
  (await orchestry.api<{ latest?: Decision }>(`/api/v1/apps/${app}/decisions?limit=1`)).latest
const statusOf = (orchestry: RunningOrchestry, app: string) => orchestry.api<AppStatusView>(`/api/v1/apps/${app}`)

test('a custom scaler decides for its app; looping, throwing, nonsense and eating memory veto scale-in only', async (t) => {
  const orchestry = await startOrchestry(t)
  const dir = join(await tempDir(t), 'my scaler')
  mkdirSync(dir)
  const write = (body: string, version: string) => {
    writeFileSync(join(dir, 'package.json'), JSON.stringify({ ...manifest, version }))
    writeFileSync(join(dir, 'plugin.ts'), plugin(body))
  }
  const install = async (body: string, version: string) => {
    write(body, version)
    const result = await orchestry.cli('plugin', 'install', dir)
    assert.equal(result.code, 0, result.stderr)
  }

  await install('return { replicas: config.size, reason: `I like ${config.size}` }', '1.0.0')
  const scaling = { minReplicas: 1, maxReplicas: 5, scalers: ['my-scaler'], cooldownSeconds: 0, windowSeconds: 2 }
  const quick = { ...scaling, behavior: { scaleIn: { stabilizationWindowSeconds: 0 } } }
  await orchestry.api('/api/v1/apps', { method: 'POST', body: appSpec('mine', { scaling: quick }) })
  const bystander = { targets: { rpsPerReplica: 100 }, windowSeconds: 2, cooldownSeconds: 0 }
  await orchestry.api('/api/v1/apps', {
    method: 'POST',
    body: appSpec('other', { scaling: { ...bystander, minReplicas: 1, maxReplicas: 3 } }),
  })
  await waitFor(async () => (await statusOf(orchestry, 'mine')).serving === 3, {
    timeoutMs: 15_000,
    what: 'three replicas, as the custom scaler wants',
  })
  assert.match((await latest(orchestry, 'mine'))?.reason ?? '', /I like 3/)
  const why = await orchestry.cli('why', 'mine')
  assert.match(why.stdout, /my-scaler/)
  await waitFor(async () => (await fetch(`${orchestry.proxyUrl}/other/`)).ok, { timeoutMs: 10_000 })
  const load = startLoad(t, `${orchestry.proxyUrl}/other/`, 20)

  const wrongs: [string, string, string, RegExp][] = [
    ['loops for ever', 'for (;;);', '1.1.0', /TIMEOUT|NOT_SERVING|QUARANTINED/],
    ['throws', "throw new Error('no idea')", '1.2.0', /GUEST_ERROR/],
    ['answers nonsense', "return { replicas: 'many', reason: 5 }", '1.3.0', /OUTPUT_INVALID/],
    [
      'eats memory',
      'const all = []; for (;;) all.push(new Array(1000).fill(1))',
      '1.4.0',
      /OUT_OF_MEMORY|NOT_SERVING|QUARANTINED/,
    ],
  ]
  for (const [name, body, version, code] of wrongs) {
    await install(body, version)
    const decision = await waitFor(
      async () => {
        const found = await latest(orchestry, 'mine')
        const error = found?.votes.find(({ scaler }) => scaler === 'my-scaler')?.error
        return error !== undefined && code.test(error.code) ? found : undefined
      },
      { timeoutMs: 15_000, what: `the error vote of a scaler that ${name}` },
    )
    assert.equal(decision.action, 'hold', name)
    const { desired, serving } = await statusOf(orchestry, 'mine')
    assert.deepEqual([desired, serving], [3, 3], `${name}: nothing is scaled in`)
    const shown = await waitFor(
      async () => {
        const { stdout } = await orchestry.cli('plugin', 'show', 'my-scaler')
        return stdout.includes(version) && code.test(stdout) ? stdout : undefined
      },
      { timeoutMs: 10_000, what: `plugin show to name why it ${name}` },
    )
    assert.match(shown, /my-scaler/)
    const other = await latest(orchestry, 'other')
    assert.deepEqual(
      other?.votes.map(({ scaler, error }) => [scaler, error]),
      [['threshold-scaler', undefined]],
      name,
    )
    const byHand = await orchestry.cli('scale', 'mine', '3')
    assert.equal(byHand.code, 0, `${name}: a person can still decide`)
  }

  await install('return { replicas: 2, reason: `mended` }', '2.0.0')
  await waitFor(
    async () => {
      if ((await statusOf(orchestry, 'mine')).serving === 2) return true
      throw new Error(JSON.stringify(await latest(orchestry, 'mine')))
    },
    { timeoutMs: 30_000, what: 'the mended scaler to scale in' },
  )
  const { failures, sent } = await load.stop()
  assert.ok(sent > 100)
  assert.deepEqual(failures, [], 'the other app never noticed')
  const { restarts } = await orchestry.api<{ restarts: number }>('/api/v1/plugins/threshold-scaler')
  assert.equal(restarts, 0)
})

test('a package that is not right is refused with its reason, and nothing is installed', async (t) => {
  const orchestry = await startOrchestry(t)
  const root = await tempDir(t)
  const cases: [string, object | string, string, RegExp][] = [
    ['no package.json', '', '', /package\.json/],
    ['no key orchestry', { name: 'a', version: '1.0.0' }, '', /orchestry/],
    [
      'an unknown manifest field',
      { ...manifest, orchestry: { ...manifest.orchestry, permissions: [] } },
      plugin('return hold("x")'),
      /permissions/,
    ],
    [
      'an unknown capability',
      { ...manifest, orchestry: { ...manifest.orchestry, capabilities: [{ kind: 'root' }] } },
      plugin('return hold("x")'),
      /root|kind/,
    ],
    [
      'another engine',
      { ...manifest, orchestry: { ...manifest.orchestry, engine: '>=9' } },
      plugin('return hold("x")'),
      /engine|>=9/,
    ],
    ['a syntax error', manifest, 'export default {', /plugin\.ts:\d+:\d+/],
    ['a Node built-in', manifest, `import fs from 'node:fs'\nexport default { x: fs }`, /node:fs/],
    ['a top level that loops', manifest, 'for (;;);', /deadline|start/],
    ['a name with ../', { ...manifest, name: '../evil' }, plugin('return hold("x")'), /name/],
  ]
  for (const [index, [name, pkg, code, words]] of cases.entries()) {
    const dir = join(root, `case-${index}`)
    mkdirSync(dir)
    if (pkg !== '') writeFileSync(join(dir, 'package.json'), JSON.stringify(pkg))
    if (code !== '') writeFileSync(join(dir, 'plugin.ts'), code)
    const result = await orchestry.cli('plugin', 'install', dir)
    assert.equal(result.code, 1, name)
    assert.match(result.stderr, words, name)
  }
  const { plugins } = await orchestry.api<{ plugins: { source: { kind: string } }[] }>('/api/v1/plugins')
  assert.deepEqual(
    plugins.filter(({ source }) => source.kind !== 'builtin'),
    [],
  )
})
