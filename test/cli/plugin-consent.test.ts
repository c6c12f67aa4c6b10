/** What a plugin asks for, on the command line: shown, asked about, agreed to, and taken away again. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { createApi } from '../../runtime/api/app.ts'
import { listen } from '../../runtime/api/server.ts'
import { runCli } from '../../runtime/cli/cli.ts'
import { OrchestryError } from '../../runtime/errors.ts'
import { createFakeRooms, makePlugin } from '../support/fake-rooms.ts'
import { startOrchestry } from '../support/orchestry.ts'
import { writePlugin } from '../support/plugin-folder.ts'
import { tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'

/** A server whose plugins ask for much, and a terminal with somebody at it who types this. */
async function atTerminal(t: TestContext, typed: string | undefined) {
  const rooms = createFakeRooms()
  const agreed: (boolean | undefined)[] = []
  const install = rooms.deps.plugins.install
  const plugins = {
    ...rooms.deps.plugins,
    install: async (options: Parameters<typeof install>[0]) => {
      agreed.push(options.isAgreed)
      if (options.isAgreed === true) return install(options)
      throw new OrchestryError('ORC_PLUGIN_CONSENT_NEEDED', 'It asks for what is only given on purpose.', {
        problems: [{ path: '/orchestry/capabilities/0', message: 'net hosts ["\u001b[2Jevil.example"]: because' }],
      })
    },
  }
  const server = await listen({ api: createApi({ ...rooms.deps, plugins }), host: '127.0.0.1', port: 0 })
  t.after(() => server.close())
  const stream = () => Object.assign(new PassThrough(), { isTTY: typed !== undefined })
  const [stdin, stdout, stderr] = [stream(), stream(), stream()]
  const dir = await tempDir(t)
  const nothing = async () => {}
  const deps = { stdin, stdout, stderr, env: { ORCHESTRY_URL: server.url, NO_COLOR: '1' }, version: '1.0.0' }
  const runInstall = async (...args: string[]) => {
    const ended = runCli({ ...deps, serve: nothing, demo: nothing }, [
      'node',
      'orchestry',
      'plugin',
      'install',
      dir,
      ...args,
    ])
    if (typed !== undefined) stdin.write(`${typed}\n`)
    const code = await ended
    return { code, stdout: String(stdout.read() ?? ''), stderr: String(stderr.read() ?? '') }
  }
  return { install: runInstall, agreed }
}

test('at a terminal the operator is shown what is asked for, and asked', async (t) => {
  const yes = await atTerminal(t, 'y')
  const installed = await yes.install()
  assert.equal(installed.code, 0, installed.stderr)
  assert.match(
    installed.stderr,
    /It asks for:\n {2}net hosts \["\\u001b\[2Jevil\.example"\]: because\n.*Grant this\? \[y\/N\]/,
  )
  assert.deepEqual(yes.agreed, [false, true])

  const no = await atTerminal(t, 'n')
  const refused = await no.install()
  assert.deepEqual([refused.code, no.agreed], [1, [false]])
  assert.match(refused.stderr, /It was not granted/)
})

test('where nobody can be asked, --yes is the agreement, and without it there is none', async (t) => {
  const { install, agreed } = await atTerminal(t, undefined)
  const refused = await install()
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /ORC_PLUGIN_CONSENT_NEEDED[\s\S]*evil\.example"\]: because/)
  assert.equal((await install('--yes')).code, 0)
  assert.deepEqual(agreed, [false, true])
})

test('what waits is shown and approved, what was never used is shown and taken away, and log lines obey nobody', async (t) => {
  const rooms = createFakeRooms()
  const pending = { version: '2.0.0', differences: ['net.hosts: "new.example"'], askedAtMs: 0 }
  rooms.plugins.set('@acme/queue', makePlugin('@acme/queue', { pending }))
  const server = await listen({ api: createApi(rooms.deps), host: '127.0.0.1', port: 0 })
  t.after(() => server.close())
  const run = async (...args: string[]) => {
    const [stdout, stderr] = [new PassThrough(), new PassThrough()]
    const nothing = async () => {}
    const env = { ORCHESTRY_URL: server.url }
    const deps = { stdin: new PassThrough(), stdout, stderr, env, version: '1.0.0', serve: nothing, demo: nothing }
    const code = await runCli(deps, ['node', 'orchestry', 'plugin', ...args])
    return { code, stdout: String(stdout.read() ?? ''), stderr: String(stderr.read() ?? '') }
  }
  assert.match(
    (await run('show', 'queue')).stdout,
    /pending +2\.0\.0 asks for more[^\n]*\n +wants +net\.hosts: "new\.example"/,
  )
  const approved = await run('approve', 'queue')
  assert.match(approved.stdout, /wants +net\.hosts: "new\.example"\n@acme\/queue 2\.0\.0 +serving/)
  const again = await run('approve', 'queue')
  assert.deepEqual([again.code, /ORC_PLUGIN_NOTHING_PENDING/.test(again.stderr)], [1, true])
  const shown = await run('tighten', 'queue')
  assert.match(shown.stdout, /net +41 uses since \S+ \S+, 1 refused +can be narrower/)
  assert.match(shown.stdout, / {4}- hosts "other\.example"\n {6}hosts "queue\.example"\n/)
  assert.match(shown.stdout, /To apply it: orchestry plugin tighten queue --apply/)
  assert.match((await run('tighten', 'queue', '--apply')).stdout, /applied.*\nTo give it back: .*tighten queue --undo/)
  assert.match((await run('tighten', 'queue', '--undo')).stdout, /given back/)
  assert.equal((await run('tighten', 'queue', '--undo', '--apply')).code, 2)
  assert.equal(JSON.parse((await run('tighten', 'queue', '--json')).stdout).instances[0].isTighter, true)
  const line = { plugin: '@acme/queue', atMs: 0, level: 'warn', instance: 'default', message: 'slow\u001b[2J' } as const
  rooms.pluginLogs.push({ ...line, message: 'first' }, { ...line, fields: '{"ms":5}' })
  assert.match((await run('logs', 'queue')).stdout, /warn +default \| first\n.*slow\\u001b\[2J +\{"ms":5\}\n$/)
  assert.doesNotMatch((await run('logs', 'queue', '-n', '1')).stdout, /first/)
  assert.equal((await run('logs', 'queue', '-n', '0')).code, 2)
})

const code = (host: string) => `import { definePlugin } from '@orchestry/sdk'
export default definePlugin({
  async activate(ctx) {
    ctx.log.warn('asking ${host}\\u001b[2J', { host: '${host}' })
    await ctx.events.emit('acme.begun', {})
  },
  scaler: { decide: ({ hold }) => hold('nothing') },
})`

test('from a whole Orchestry: install, upgrade, approve, tighten and logs', async (t) => {
  const orchestry = await startOrchestry(t)
  const dir = join(await tempDir(t), 'asks')
  const write = (version: string, hosts: readonly string[]) =>
    writePlugin(dir, {
      name: 'asks',
      version,
      code: code(hosts.at(-1) ?? ''),
      manifest: {
        capabilities: [
          { kind: 'net', hosts, why: 'asks the broker' },
          { kind: 'events', emit: ['acme.*'] },
          { kind: 'log' },
          { kind: 'kv', optional: true },
        ],
      },
    })
  await write('1.0.0', ['a.example'])
  const bare = await orchestry.cli('plugin', 'install', dir)
  assert.equal(bare.code, 1)
  assert.match(bare.stderr, /net hosts \["a\.example"\]: asks the broker/)
  assert.equal((await orchestry.cli('plugin', 'show', 'asks')).code, 1)
  assert.equal((await orchestry.cli('plugin', 'install', dir, '--yes')).code, 0)

  await write('2.0.0', ['a.example', 'b.example'])
  const wider = await orchestry.cli('plugin', 'install', dir)
  assert.equal(wider.code, 1)
  assert.match(wider.stderr, /net\.hosts: "b\.example"[\s\S]*orchestry plugin approve asks/)
  assert.match((await orchestry.cli('plugin', 'show', 'asks')).stdout, /asks 1\.0\.0 +serving[\s\S]*pending +2\.0\.0/)
  const approved = await orchestry.cli('plugin', 'approve', 'asks')
  assert.match(approved.stdout, /asks 2\.0\.0 +serving/, approved.stderr)

  const logs = await waitFor(async () => {
    const { stdout } = await orchestry.cli('plugin', 'logs', 'asks', '-n', '1')
    return stdout.includes('b.example') ? stdout : undefined
  })
  assert.match(logs, /warn +asks \| asking b\.example\\u001b\[2J +\{"host":"b\.example"\}\n$/)

  const shown = await orchestry.cli('plugin', 'tighten', 'asks')
  assert.match(shown.stdout, /net +0 uses since[^\n]+never used: could be refused/)
  assert.match(
    shown.stdout,
    /events +\d+ uses since[^\n]+can be narrower\n +- emit "acme\.\*"\n +\+ emit "acme\.begun"/,
  )
  assert.match(shown.stdout, /kv [^\n]+can go\n/)
  assert.equal((await orchestry.cli('plugin', 'tighten', 'asks', '--apply')).code, 0)
  const { instances } = await orchestry.api<{ instances: { grants: { kind: string; emit?: string[] }[] }[] }>(
    '/api/v1/plugins/asks/capabilities',
  )
  const grants = instances[0]?.grants ?? []
  assert.deepEqual(
    grants.map(({ kind }) => kind),
    ['net', 'events', 'log'],
  )
  assert.deepEqual(grants[1]?.emit, ['acme.begun'])

  const commands = [{ name: 'x', path: '/nowhere/program' }]
  const missing = join(await tempDir(t), 'missing')
  const capabilities = [{ kind: 'log' }, { kind: 'exec', commands, why: 'runs it' }]
  await writePlugin(missing, { name: 'missing', version: '1.0.0', code: code('x'), manifest: { capabilities } })
  assert.match(
    (await orchestry.cli('plugin', 'install', missing, '--yes')).stderr,
    /capabilities\/1: ctx\.exec: there is no program \/nowhere\/program\. Nothing was run\. Nothing was changed\./,
  )
})
