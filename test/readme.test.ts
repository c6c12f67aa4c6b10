/** The README's examples, run as a stranger would run them: what stands there must work. */
import assert from 'node:assert/strict'
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { AppStatusView } from './support/app-spec.ts'
import { startOrchestry } from './support/orchestry.ts'
import { replicaServer } from './support/sample-app.ts'
import { tempDir } from './support/temp-dir.ts'
import { waitFor } from './support/wait-for.ts'

const readme = await readFile(fileURLToPath(new URL('../README.md', import.meta.url)), 'utf8')
const example = /<!-- example: (\S+) -->\n```\w*\n([\s\S]*?)```/g

test('the README says the two commands, and its examples do what it says', async (t) => {
  assert.match(readme, /npm ci && npm start/)
  assert.match(readme, /npm ci && npm test/)
  const dir = await tempDir(t)
  const names: string[] = []
  for (const [, name = '', text = ''] of readme.matchAll(example)) {
    await mkdir(dirname(join(dir, name)), { recursive: true })
    await writeFile(join(dir, name), text)
    names.push(name)
  }
  assert.deepEqual(names, ['app.yaml', 'scaler/package.json', 'scaler/plugin.ts'])
  await copyFile(replicaServer, join(dir, 'server.js'))

  const orchestry = await startOrchestry(t)
  const applied = await orchestry.cli('apply', '-f', join(dir, 'app.yaml'))
  assert.equal(applied.code, 0, applied.stderr)
  await waitFor(async () => (await fetch(`${orchestry.proxyUrl}/shop/`)).ok, { timeoutMs: 15_000 })
  for (const command of [
    ['status', 'shop'],
    ['why', 'shop'],
    ['logs', 'shop'],
    ['scale', 'shop', '3'],
  ]) {
    const result = await orchestry.cli(...command)
    assert.equal(result.code, 0, `${command.join(' ')}: ${result.stderr}`)
  }
  const installed = await orchestry.cli('plugin', 'install', join(dir, 'scaler'))
  assert.equal(installed.code, 0, installed.stderr)
  const shown = await orchestry.cli('plugin', 'show', 'my-scaler')
  assert.match(shown.stdout, /serving/)
  await writeFile(
    join(dir, 'app.yaml'),
    (await readFile(join(dir, 'app.yaml'), 'utf8')).replace('minReplicas: 1', 'minReplicas: 1\n  scalers: [my-scaler]'),
  )
  assert.equal((await orchestry.cli('apply', '-f', join(dir, 'app.yaml'))).code, 0)
  await waitFor(
    async () => {
      const { latest } = await orchestry.api<{ latest?: { votes: { scaler: string }[] } }>(
        '/api/v1/apps/shop/decisions',
      )
      return latest?.votes.some(({ scaler }) => scaler === 'my-scaler')
    },
    { timeoutMs: 10_000, what: 'the scaler of the README to vote' },
  )
  for (const command of [
    ['down', 'shop'],
    ['up', 'shop'],
    ['delete', '-f', 'shop'],
  ]) {
    assert.equal((await orchestry.cli(...command)).code, 0, command.join(' '))
  }
  await waitFor(async () => (await orchestry.api<{ apps: AppStatusView[] }>('/api/v1/apps')).apps.length === 0, {
    timeoutMs: 15_000,
  })
})

test('every flag and variable of the README exists', async (t) => {
  const orchestry = await startOrchestry(t)
  const { stdout } = await orchestry.cli('serve', '--help')
  for (const [flag] of readme.matchAll(/(?<=`)--[a-z-]+(?=`)/g)) {
    if (flag !== '--help' && flag !== '--json') assert.ok(stdout.includes(flag), `${flag} is not a flag of serve`)
  }
})
