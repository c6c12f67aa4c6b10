/** The README's examples, run as a stranger would run them: what stands there must work. */
import assert from 'node:assert/strict'
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { readConfig } from '../runtime/config.ts'
import type { AppStatusView } from './support/app-spec.ts'
import { dockerSkip, importReplica, startDockerEngine } from './support/docker-engine.ts'
import { startOrchestry } from './support/orchestry.ts'
import { readmeExamples } from './support/readme-examples.ts'
import { replicaServer } from './support/sample-app.ts'
import { tempDir } from './support/temp-dir.ts'
import { waitFor } from './support/wait-for.ts'

const page = fileURLToPath(new URL('../README.md', import.meta.url))
const readme = await readFile(page, 'utf8')
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
  assert.deepEqual(names, ['app.yaml', 'container.yaml', 'scaler/package.json', 'scaler/plugin.ts'])
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

test('the container of the README runs as it says', { skip: dockerSkip }, async (t) => {
  const dir = await tempDir(t)
  const text = (await readmeExamples(page)).get('container.yaml') ?? ''
  const [, image = ''] = /image: (\S+)/.exec(text) ?? []
  await writeFile(join(dir, 'container.yaml'), text)
  const engine = await startDockerEngine(t)
  await importReplica(engine, image)
  const orchestry = await startOrchestry(t, { env: { ORCHESTRY_DOCKER_HOST: engine.host } })
  await orchestry.api('/api/v1/secrets/db-password', { method: 'PUT', body: { value: 'a secret' } })
  const applied = await orchestry.cli('apply', '-f', join(dir, 'container.yaml'))
  assert.equal(applied.code, 0, applied.stderr)
  await waitFor(async () => (await fetch(`${orchestry.proxyUrl}/web/`)).ok, { timeoutMs: 60_000 })
  const [container] = await engine.docker.listContainers()
  const { Config, HostConfig, Mounts } = await engine.docker.getContainer(container?.Id ?? '').inspect()
  assert.equal(Config.User, '1000:1000')
  assert.deepEqual(
    [HostConfig.CapAdd?.map((name: string) => name.replace(/^CAP_/, '')), HostConfig.PidsLimit, HostConfig.Memory],
    [['NET_BIND_SERVICE'], 256, 2 ** 28],
  )
  assert.deepEqual(
    Mounts.map(({ Destination, Type }) => [Type, Destination]),
    [['volume', '/var/lib/shop']],
  )
  assert.equal((await orchestry.cli('delete', '-f', 'web')).code, 0)
})

test('the policy of the README is one', () => {
  const [, text = ''] = /^ {2}`(\{"images".*\})`\.$/m.exec(readme) ?? []
  const { containerPolicy } = readConfig({}, { ORCHESTRY_CONTAINER_POLICY: text })
  assert.equal(containerPolicy.allowRoot, false)
  const [, registries = ''] = /ORCHESTRY_REGISTRIES='(.*?)'/.exec(readme) ?? []
  assert.equal(readConfig({}, { ORCHESTRY_REGISTRIES: registries }).registries['registry.example']?.username, 'ci')
})

test('every flag and variable of the README exists', async (t) => {
  const orchestry = await startOrchestry(t)
  const { stdout } = await orchestry.cli('serve', '--help')
  for (const [flag] of readme.matchAll(/(?<=`)--[a-z-]+(?=`)/g)) {
    if (flag !== '--help' && flag !== '--json') assert.ok(stdout.includes(flag), `${flag} is not a flag of serve`)
  }
})
