/** What a newcomer does first: start, apply, call, look, stop. With the launcher, real processes and real HTTP. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { type AppStatusView, appSpec, type InstanceRow } from '../support/app-spec.ts'
import { runCli, startOrchestry } from '../support/orchestry.ts'
import { processesNaming } from '../support/processes.ts'
import { replicaCommand } from '../support/sample-app.ts'
import { tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'

describe('a first run', () => {
  test('serves in under ten seconds, with every built-in plugin serving that needs no config', async (t) => {
    const orchestry = await startOrchestry(t)
    t.diagnostic(`ready after ${Math.round(orchestry.readyMs)} ms`)
    assert.ok(orchestry.readyMs < 10_000)
    const ready = await fetch(`${orchestry.url}/readyz`)
    assert.equal(ready.status, 200, await ready.text())
    const { plugins } = await orchestry.api<{ plugins: { id: string; state: string; source: { kind: string } }[] }>(
      '/api/v1/plugins',
    )
    assert.deepEqual(plugins.map(({ id, state, source }) => [id, state, source.kind]).sort(), [
      ['@orchestry/http-health', 'serving', 'builtin'],
      // It waits until somebody says where nginx is.
      ['@orchestry/nginx', 'unconfigured', 'builtin'],
      ['@orchestry/proxy', 'serving', 'builtin'],
      ['@orchestry/tcp-health', 'serving', 'builtin'],
      ['@orchestry/threshold-scaler', 'serving', 'builtin'],
    ])
    for (const path of ['/', '/healthz', '/metrics', '/openapi.json']) {
      const response = await fetch(`${orchestry.url}${path}`)
      assert.equal(response.status, 200, path)
      await response.arrayBuffer()
    }
  })

  test('an app applied from a file answers through the proxy, is listed, scaled by hand, stopped, started, deleted', async (t) => {
    const orchestry = await startOrchestry(t)
    const dir = await tempDir(t)
    const file = join(dir, 'app.yaml')
    writeFileSync(
      file,
      [
        'apiVersion: v1',
        'kind: App',
        'metadata: { name: hello }',
        'spec:',
        `  command: ${JSON.stringify(replicaCommand)}`,
        'scaling: { maxReplicas: 4 }',
        'healthCheck: { path: /healthz }',
      ].join('\n'),
    )
    const applied = await orchestry.cli('apply', '-f', file)
    assert.equal(applied.code, 0, applied.stderr)
    const answer = await waitFor(
      async () => {
        const response = await fetch(`${orchestry.proxyUrl}/hello/`)
        return response.ok ? ((await response.json()) as { instance: string }) : undefined
      },
      { timeoutMs: 10_000 },
    )
    assert.match(answer.instance, /^hello-/)

    const scaled = await orchestry.cli('scale', 'hello', '3')
    assert.equal(scaled.code, 0, scaled.stderr)
    await waitFor(async () => (await orchestry.api<AppStatusView>('/api/v1/apps/hello')).serving === 3, {
      timeoutMs: 10_000,
      what: 'three serving replicas',
    })
    const tooMany = await orchestry.cli('scale', 'hello', '9')
    assert.equal(tooMany.code, 1)
    assert.match(tooMany.stderr, /4/)

    const status = await orchestry.cli('status', 'hello')
    assert.match(status.stdout, /hello/)
    const why = await orchestry.cli('why', 'hello', '--json')
    assert.ok(JSON.parse(why.stdout))
    const logs = await orchestry.cli('logs', 'hello', '-n', '5')
    assert.equal(logs.code, 0, logs.stderr)

    assert.equal((await orchestry.cli('down', 'hello')).code, 0)
    await waitFor(async () => (await orchestry.api<AppStatusView>('/api/v1/apps/hello')).running === 0, {
      timeoutMs: 15_000,
    })
    assert.equal((await fetch(`${orchestry.proxyUrl}/hello/`)).status, 503)
    assert.equal((await orchestry.cli('up', 'hello')).code, 0)
    await waitFor(async () => (await fetch(`${orchestry.proxyUrl}/hello/`)).ok, { timeoutMs: 10_000 })
    const { desired } = await orchestry.api<AppStatusView>('/api/v1/apps/hello')
    assert.equal(desired, 3, 'what was wanted survives a stop')
    assert.equal((await orchestry.cli('delete', '-f', 'hello')).code, 0)
    await waitFor(async () => (await fetch(`${orchestry.proxyUrl}/hello/`)).status === 404, { timeoutMs: 15_000 })
    const { events } = await orchestry.api<{ events: { type: string; app?: string }[] }>('/api/v1/events?limit=200')
    const types = new Set(events.filter(({ app }) => app === 'hello').map(({ type }) => type))
    for (const type of ['app.registered', 'instance.started', 'app.scaled', 'app.stopped', 'app.deleted']) {
      assert.ok(types.has(type), `${type} is missing in ${[...types]}`)
    }
  })

  test('ends with SIGTERM, and nothing that it started is left', async (t) => {
    const orchestry = await startOrchestry(t)
    await orchestry.api('/api/v1/apps', { method: 'POST', body: appSpec('leftover', { scaling: { minReplicas: 2 } }) })
    await waitFor(async () => (await orchestry.api<AppStatusView>('/api/v1/apps/leftover')).serving === 2, {
      timeoutMs: 10_000,
    })
    const { instances } = await orchestry.api<{ instances: InstanceRow[] }>('/api/v1/apps/leftover/instances')
    assert.ok(processesNaming(orchestry.dataDir).length >= 3)
    const pids = instances.map(({ pid }) => pid)
    assert.equal(await orchestry.stop(), 0, orchestry.output())
    assert.deepEqual(processesNaming(orchestry.dataDir), [])
    for (const pid of pids)
      assert.throws(() => readFileSync(`/proc/${pid}/cmdline`, 'latin1').length > 0 && process.kill(pid ?? 0, 0))
  })
})

describe('what a command line says when something is wrong', () => {
  test('nobody serves: exit code 69 and the command that would', async () => {
    const { code, stderr } = await runCli(['status'], { ORCHESTRY_URL: 'http://127.0.0.1:1' })
    assert.equal(code, 69)
    assert.match(stderr, /orchestry serve/)
  })

  test('a port in use: exit code 1, the port, and the flag', async (t) => {
    const orchestry = await startOrchestry(t)
    const port = new URL(orchestry.url).port
    const dir = await tempDir(t)
    const { code, stderr } = await runCli(['serve', '--port', port, '--proxy-port', '0', '--data-dir', dir])
    assert.equal(code, 1)
    assert.match(stderr, new RegExp(`${port}[\\s\\S]*--port`))
    assert.deepEqual(processesNaming(dir), [])
  })

  test('the proxy port in use: the same', async (t) => {
    const orchestry = await startOrchestry(t)
    const port = new URL(orchestry.proxyUrl).port
    const dir = await tempDir(t)
    const { code, stderr } = await runCli(['serve', '--port', '0', '--proxy-port', port, '--data-dir', dir])
    assert.equal(code, 1)
    assert.match(stderr, new RegExp(`${port}[\\s\\S]*--proxy-port`))
    assert.deepEqual(processesNaming(dir), [])
  })

  test('a second Orchestry on one data directory: refused, naming the pid of the first', async (t) => {
    const orchestry = await startOrchestry(t)
    const { code, stderr } = await runCli([
      'serve',
      '--port',
      '0',
      '--proxy-port',
      '0',
      '--data-dir',
      orchestry.dataDir,
    ])
    assert.equal(code, 1)
    assert.match(stderr, new RegExp(String(orchestry.pid)))
    assert.equal((await fetch(`${orchestry.url}/readyz`)).status, 200, 'the first goes on')
  })

  const bad: [string, string, RegExp][] = [
    ['broken YAML', 'apiVersion: v1\nkind: App\nmetadata: { name: x\n', /\d+:\d+/],
    [
      'an unknown field',
      'apiVersion: v1\nkind: App\nmetadata: { name: x }\nspec: { command: [a] }\nscalling: {}\n',
      /5:1[\s\S]*scaling/,
    ],
    [
      'a name with ../',
      'apiVersion: v1\nkind: App\nmetadata: { name: ../x }\nspec: { command: [a] }\n',
      /3:\d+[\s\S]*name/,
    ],
    ['nothing to run', 'apiVersion: v1\nkind: App\nmetadata: { name: x }\nspec: {}\n', /command/],
    [
      'min above max',
      'apiVersion: v1\nkind: App\nmetadata: { name: x }\nspec: { command: [a] }\nscaling: { minReplicas: 5, maxReplicas: 2 }\n',
      /minReplicas|maxReplicas/,
    ],
  ]
  test('a spec that is not valid: exit code 1, line and column, nothing stored', async (t) => {
    const orchestry = await startOrchestry(t)
    const dir = await tempDir(t)
    for (const [name, text, words] of bad) {
      const file = join(dir, 'bad.yaml')
      writeFileSync(file, text)
      const { code, stderr } = await orchestry.cli('apply', '-f', file)
      assert.equal(code, 1, name)
      assert.match(stderr, words, name)
      assert.doesNotMatch(stderr, /\n\s+at /, 'no stack')
    }
    const { total } = await orchestry.api<{ total: number }>('/api/v1/apps')
    assert.equal(total, 0)
  })
})
