/** The command line as a user meets it: real processes against a real server. */
import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { createApi } from '../../runtime/api/app.ts'
import { type ApiServer, listen } from '../../runtime/api/server.ts'
import { OrchestryError } from '../../runtime/errors.ts'
import { createFakeRooms, type FakeRooms, makeApp, makeDecision, makePlugin } from '../support/fake-rooms.ts'
import { type Ended, runCli, startCli } from '../support/orchestry-cli.ts'
import { tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'

let server: ApiServer
let rooms: FakeRooms
let env: Record<string, string>

before(async () => {
  rooms = createFakeRooms()
  server = await listen({ api: createApi(rooms.deps), host: '127.0.0.1', port: 0 })
  env = { ORCHESTRY_URL: server.url }
})
after(() => server.close())
/** What every test begins with. */
function furnish(): void {
  rooms.records.clear()
  rooms.plugins.clear()
  rooms.decisions.length = 0
  rooms.logs.length = 0
  rooms.settleMs = 0
  rooms.addApp('shop')
  rooms.plugins.set('@acme/queue', makePlugin('@acme/queue'))
}

const orchestry = (...args: string[]): Promise<Ended> => runCli(args, { env })
/** Characters that a terminal obeys; tabs and ends of lines are ours. */
const obeyed = (text: string) =>
  [...text.matchAll(/\p{Cc}|\p{Bidi_Control}/gu)].map(([found]) => found).filter((found) => !'\t\n'.includes(found))

test('every reading command has a table for people and JSON for programs', async (t) => {
  furnish()
  rooms.decisions.push(makeDecision('00000001', 'shop', 1, 2, 'cpu is high'))
  rooms.logs.push({ instance: 'shop-1', stream: 'stdout', line: 'hello' })
  rooms.appendEvent('app.scaled', 'shop', { from: 1, to: 2 })
  const cases: [string[], RegExp[]][] = [
    [['list'], [/^NAME +PHASE +REPLICAS/, /shop +running +2\/2 +auto 1–5 +\/shop\//]],
    [['ls'], [/shop/]],
    [['status'], [/shop +running/]],
    [
      ['status', 'shop'],
      [/route +\/shop\//, /rps 12/, /out 1 → 2: cpu is high/, /shop-1 +serving +healthy +127\.0\.0\.1:20001/],
    ],
    [
      ['decisions', 'shop'],
      [/scales out from 1 to 2: cpu is high/, /threshold: 2 replicas/, /ORC_SANDBOX_TIMEOUT/, /maxReplicas is 5/],
    ],
    [['why', 'shop'], [/cpu is high/]],
    [['decisions'], [/cpu is high/]],
    [['events', 'shop'], [/app\.scaled +shop +from=1 to=2/]],
    [['events', '-n', '1'], [/app\.scaled/]],
    [['logs', 'shop'], [/shop-1 \| hello/]],
    [
      ['metrics', 'shop'],
      [/METRIC +LAST/, /rps +12 +11/],
    ],
    [['health', 'shop'], [/shop-2 +healthy/]],
    [['health', 'shop', '--check'], [/shop-1 +healthy.*3 ms +200/]],
    [['config'], [/dataDir +\/nowhere/]],
    [
      ['info'],
      [
        /ready/,
        /sandbox +none, fake/,
        /tier +1 of 3; .* from tier 1 on/,
        /holds +limits of the kernel/,
        /but +no control group/,
        /no tier 3: bwrap is not installed/,
      ],
    ],
    [['plugin', 'list'], [/@acme\/queue +1\.0\.0 +serving +scaler +default/]],
    [
      ['plugin', 'show', 'queue'],
      [
        /limits +memoryMb 32 \(--plugin-limits\), cpuMs 100 \(manifest\), timeoutMs 1000,/,
        /may +net hosts \["queue\.example"\]: reads the queue/,
        /breaker closed/,
        /"jobs":5/,
        /7 calls, 1 errors/,
      ],
    ],
    [
      ['plugin', 'usage', '@acme/queue'],
      [/PLUGIN +INSTANCE +BREAKER +CALLS.*DROPS/, /@acme\/queue +default +closed +7 +1/],
    ],
    [['plugin', 'usage'], [/@acme\/queue +default +closed +7 +1/]],
    [['plugin', 'usage', 'queue', '--by', 'hook'], [/queue +default +scaler +7 +1/]],
    [
      ['plugin', 'usage', 'queue', '--by', 'app', '--sort', 'calls'],
      [/queue +default +shop +7[\s\S]*queue +default +\(none\) +0/],
    ],
  ]
  for (const [args, wanted] of cases) {
    await t.test(args.join(' '), async () => {
      const { code, stdout, stderr } = await orchestry(...args)
      assert.deepEqual([code, stderr], [0, ''], stdout)
      for (const pattern of wanted) assert.match(stdout, pattern)
      assert.deepEqual(obeyed(stdout), [])
    })
    await t.test(`${args.join(' ')} --json`, async () => {
      const { code, stdout, stderr } = await orchestry(...args, '--json')
      assert.deepEqual([code, stderr], [0, ''])
      assert.ok(JSON.parse(stdout))
    })
  }
})

test('CLI-01: no text of an app or plugin reaches the terminal as a command', async (t) => {
  furnish()
  const evil = '\u001b[2J\u001b]52;c;aGk=\u0007\u009b31m\u202egnp.exe\r\nfake line'
  rooms.logs.push({ instance: 'shop-1', stream: 'stdout', line: evil })
  rooms.decisions.push(makeDecision('00000001', 'shop', 1, 2, evil))
  rooms.appendEvent('plugin.failed', 'shop', { text: evil, [evil]: 1 })
  const incident = { code: 'ORC_SANDBOX_GUEST_ERROR' as const, message: evil, plugin: 'x', version: '1.0.0', atMs: 0 }
  rooms.plugins.set(
    '@acme/evil',
    makePlugin('@acme/evil', { problem: evil, incidents: [incident], capabilities: [{ kind: 'net', why: evil }] }),
  )
  rooms.addApp('bad', { source: `# ${evil}` })
  for (const args of [
    ['logs', 'shop'],
    ['why', 'shop'],
    ['status', 'shop'],
    ['events'],
    ['plugin', 'show', 'evil'],
    ['plugin', 'list'],
    ['spec', 'bad'],
  ])
    for (const json of [false, true])
      await t.test(`${args.join(' ')}${json ? ' --json' : ''}`, async () => {
        const { code, stdout } = await orchestry(...args, ...(json ? ['--json'] : []))
        assert.equal(code, 0)
        assert.deepEqual(obeyed(stdout), [])
        if (args[0] !== 'spec') assert.doesNotMatch(stdout, /^fake line/m)
        if (json) JSON.parse(stdout)
      })
  await t.test('a refusal that quotes it', async () => {
    const { code, stderr } = await orchestry('status', evil)
    assert.equal(code, 1)
    assert.deepEqual(obeyed(stderr), [])
  })
})

test('the spec comes back line by line, and JSON survives its escapes', async () => {
  furnish()
  rooms.addApp('multi', { source: 'kind: App\nmetadata:\n\tname: x # \u202e\n' })
  assert.equal((await orchestry('spec', 'multi')).stdout, 'kind: App\nmetadata:\n\tname: x # \\u202e\n')
  rooms.logs.push({ instance: 'shop-1', stream: 'stdout', line: 'a\u009bb\u202ec\u007f' })
  assert.equal(JSON.parse((await orchestry('logs', 'shop', '--json')).stdout)[0].line, 'a\u009bb\u202ec\u007f')
})

test('apply reads files and standard input, says what became of each, and fails if one fails', async (t) => {
  furnish()
  const dir = await tempDir(t)
  await writeFile(join(dir, 'new app.yaml'), 'metadata: { name: fresh }\n')
  await writeFile(join(dir, 'bad.yaml'), 'nothing: here\n')
  const at = (...args: string[]) => runCli(args, { env, cwd: dir })
  assert.match((await at('apply', '-f', 'new app.yaml')).stdout, /^fresh created\n/)
  assert.match((await at('register', 'new app.yaml')).stdout, /^fresh unchanged\n/)
  const piped = await runCli(['apply', '-'], { env, input: '{"metadata":{"name":"piped"}}' })
  assert.deepEqual([piped.code, piped.stdout], [0, 'piped created\n'])
  const bad = await at('apply', '-f', 'bad.yaml')
  assert.equal(bad.code, 1)
  assert.match(bad.stderr, /ORC_SPEC_INVALID: .*\n +bad\.yaml: .*\n +1:1 +\/metadata\/name +is missing/)
  const both = await at('apply', 'bad.yaml', 'new app.yaml')
  assert.equal(both.code, 1)
  assert.match(both.stdout, /fresh unchanged/)
  const absent = await at('apply', '-f', 'absent.yaml')
  assert.equal(absent.code, 2)
  assert.match(absent.stderr, /absent\.yaml.* is not there/)
  assert.equal((await at('apply')).code, 2)
})

test('up, down and scale wait until it is so, and say with 1 when it is not', async () => {
  furnish()
  assert.match((await orchestry('down', 'shop')).stdout, /shop stopped/)
  assert.equal(rooms.records.get('shop')?.isRunning, false)
  assert.match((await orchestry('up', 'shop')).stdout, /shop running +replicas 2\/2/)
  const scaled = await orchestry('scale', 'shop', '4', '--reason', 'sale', '--json')
  assert.deepEqual([scaled.code, JSON.parse(scaled.stdout).decision.reason], [0, 'sale'])
  rooms.settleMs = 60_000
  const late = await orchestry('up', 'shop', '--wait', '1')
  assert.equal(late.code, 1)
  assert.match(late.stderr, /After 1 s shop is not yet as it should be/)
  assert.equal((await orchestry('up', 'shop', '--no-wait')).code, 0)
})

test('pause and resume suspend one way or both', async () => {
  furnish()
  for (const [args, paused] of [
    [['pause', 'shop', '--in'], 'in'],
    [['pause', 'shop', '--out'], 'out'],
    [['pause', 'shop'], 'all'],
    [['resume', 'shop'], 'none'],
  ] as const) {
    assert.equal((await orchestry(...args)).code, 0)
    assert.equal(rooms.records.get('shop')?.paused, paused)
  }
  assert.equal((await orchestry('pause', 'shop', '--in', '--out')).code, 2)
})

test('health says so where an app has no health check, and still lists its replicas', async () => {
  furnish()
  const { healthCheck: _, ...app } = makeApp('plain')
  rooms.addApp('plain', { app })
  for (const check of [[], ['--check']]) {
    const { code, stdout } = await orchestry('health', 'plain', ...check)
    assert.equal(code, 0)
    assert.match(stdout, /plain has no health check.*\n.*\nplain-1/)
  }
})

test('what cannot be taken back is not done unasked', async () => {
  furnish()
  const refused = await orchestry('delete', 'shop')
  assert.equal(refused.code, 2)
  assert.match(refused.stderr, /Nobody can be asked.*\n.*add -f/)
  assert.ok(rooms.records.has('shop'))
  assert.equal((await orchestry('plugin', 'remove', 'queue')).code, 2)
  assert.match((await orchestry('delete', 'shop', '-f')).stdout, /shop deleted/)
  assert.ok(!rooms.records.has('shop'))
  assert.match((await orchestry('plugin', 'remove', 'queue', '-f')).stdout, /@acme\/queue removed/)
  const gone = await orchestry('delete', 'shop', '-f')
  assert.equal(gone.code, 1)
  assert.match(gone.stderr, /ORC_APP_UNKNOWN.*\n.*\nhint: `orchestry list`/)
})

test('plugins are installed from a directory, configured, switched and reset', async (t) => {
  furnish()
  const dir = await tempDir(t)
  await mkdir(join(dir, 'my scaler'))
  await writeFile(join(dir, 'config.json'), '{ "jobs": 8 }')
  const at = (...args: string[]) => runCli(['plugin', ...args], { env, cwd: dir })
  const installed = await at('install', './my scaler', '--config', 'config.json', '--name', 'fast')
  assert.equal(installed.code, 0, installed.stderr)
  assert.match(installed.stdout, /@acme\/my scaler 1\.0\.0 +serving\nmay +net/)
  const plugin = () => rooms.plugins.get('@acme/my scaler')
  assert.deepEqual([plugin()?.source.path, plugin()?.instances[0]?.name], [join(dir, 'my scaler'), 'fast'])
  assert.equal((await at('config', 'my scaler', '{"jobs":3}', '--name', 'fast')).code, 0)
  assert.deepEqual(JSON.parse((await at('config', 'my scaler')).stdout), { fast: { jobs: 3 } })
  assert.match((await at('disable', 'my scaler')).stdout, /disabled/)
  assert.match((await at('enable', 'my scaler')).stdout, /serving/)
  assert.match((await at('reset', 'my scaler')).stdout, /serving/)
  for (const [args, code] of [
    [['install', './absent'], 1],
    [['install'], 2],
    [['install', '.', '--config', '{half'], 2],
    [['install', '.', '--config', 'absent.json'], 2],
    [['show', 'absent'], 1],
    [['nonsense'], 2],
  ] as const)
    assert.equal((await at(...args)).code, code, args.join(' '))
})

test('a refusal of the server shows code, title, detail, every place and what helps, and never a stack', async (t) => {
  furnish()
  const broken = createFakeRooms({
    apps: {
      ...rooms.deps.apps,
      apply: async () => {
        throw new OrchestryError('ORC_SPEC_INVALID', 'The spec has 2 errors. Nothing was stored.', {
          problems: [
            { path: '/spec/ports/0', message: 'must be a port', line: 4, column: 7 },
            { path: '/scaling', message: 'minReplicas is above maxReplicas' },
          ],
        })
      },
      list: () => {
        throw new Error('secret')
      },
    },
  })
  const other = await listen({ api: createApi(broken.deps), host: '127.0.0.1', port: 0 })
  t.after(() => other.close())
  const refused = await runCli(['apply', '-', '--url', other.url], { input: 'x: 1' })
  assert.equal(refused.code, 1)
  assert.equal(
    refused.stderr,
    'error ORC_SPEC_INVALID: The app spec is not valid\n  The spec has 2 errors. Nothing was stored.\n  4:7  /spec/ports/0  must be a port\n  /scaling  minReplicas is above maxReplicas\n',
  )
  const failed = await runCli(['--url', other.url, 'list'])
  assert.equal(failed.code, 1)
  assert.match(failed.stderr, /ORC_API_INTERNAL.*\n.*urn:uuid:.*\nhint: .*log/)
  assert.doesNotMatch(failed.stderr, /secret|\n\s+at /)
})

test('where nobody answers, or somebody else, the exit code is 69 and the text says what to do', async (t) => {
  furnish()
  const { createServer } = await import('node:http')
  const stranger = createServer((_request, response) => response.end('<h1>hello</h1>'))
  await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve))
  t.after(() => stranger.close())
  const address = stranger.address()
  assert.ok(address && typeof address === 'object')
  const nobody = await runCli(['list', '--url', 'http://127.0.0.1:1'])
  assert.deepEqual([nobody.code, nobody.stdout], [69, ''])
  assert.match(nobody.stderr, /ORC_API_UNREACHABLE.*\n.*127\.0\.0\.1:1.*\nhint: .*`orchestry serve`/)
  const other = await runCli(['list'], { env: { ORCHESTRY_URL: `http://127.0.0.1:${address.port}` } })
  assert.equal(other.code, 69)
  assert.match(other.stderr, /is not Orchestry/)
})

test('a wrong command line is 2, says what was meant, and sends nothing', async (t) => {
  furnish()
  const cases: [string[], RegExp][] = [
    [['lst'], /unknown command 'lst'.*\n*.*Did you mean one of list, ls/],
    [[], /Usage: orchestry/],
    [['scale', 'shop'], /missing required argument 'replicas'/],
    [['scale', 'shop', 'many'], /whole number from 0 to 100000/],
    [['scale', 'shop', '-1'], /'-1' is invalid.*whole number from 0 to 100000/],
    [['list', '--jsn'], /unknown option '--jsn'.*\n*.*--json/],
    [['logs', 'shop', '-n', '0'], /whole number from 1 to 2000/],
    [['list', '--url', 'ftp://x'], /is not the address of an Orchestry/],
    [['status', '..'], /cannot be a name/],
    [['serve', '--port', '99999'], /whole number from 0 to 65535/],
    [['serve', '--on-exit', 'burn'], /Allowed choices are stop, keep/],
    [['serve', '--sandbox-tier', '4'], /Allowed choices are best, 3, 2, 1, 0/],
    [['serve', '--sandbox-floor', '4'], /whole number from 0 to 3/],
    [['help', 'nonsense'], /unknown command/],
  ]
  for (const [args, pattern] of cases)
    await t.test(args.join(' ') || '(nothing)', async () => {
      const { code, stdout, stderr } = await orchestry(...args)
      assert.deepEqual([code, stdout], [2, ''])
      assert.match(stderr, pattern)
    })
})

test('help and version come from any place, with the exit codes, and quickly', async (t) => {
  furnish()
  const cases: [string[], RegExp][] = [
    [['--help'], /Exit codes:\n +0 +done/],
    [['-h'], /apply\|register/],
    [['help'], /Plugins:\n +plugin/],
    [['help', 'scale'], /Usage: orchestry scale .*<app> <replicas>/],
    [['why', '--help'], /Usage: orchestry decisions/],
    [['plugin', '--help'], /install .*<dir>/],
    [['plugin', 'install', '--help'], /Usage: orchestry plugin install/],
    [['help', 'plugin'], /reset/],
    [['--version'], /^\d+\.\d+\.\d+\n$/],
  ]
  for (const [args, pattern] of cases)
    await t.test(args.join(' '), async () => {
      const { code, stdout, stderr } = await orchestry(...args)
      assert.deepEqual([code, stderr], [0, ''])
      assert.match(stdout, pattern)
    })
})

test('serve and demo hand their flags to what runs them', async () => {
  const run = (...args: string[]) => runCli(args, { isWithoutRuntime: true })
  const { code, stdout } = await run(
    'serve',
    '--port',
    '0',
    '--proxy-port',
    '9',
    '--data-dir',
    '/a b',
    '--host',
    '::1',
    '--log-level',
    'warn',
    '--on-exit',
    'keep',
  )
  assert.equal(code, 0)
  assert.deepEqual(JSON.parse(stdout.slice('serve '.length)), {
    port: 0,
    proxyPort: 9,
    dataDir: '/a b',
    host: '::1',
    logLevel: 'warn',
    onExit: 'keep',
  })
  assert.equal((await run('serve')).stdout, 'serve {}\n')
  assert.equal((await run('demo')).stdout, 'demo\n')
})

test('events -f and logs -f begin with what was there and go on with what comes', async (t) => {
  furnish()
  rooms.appendEvent('app.started', 'shop', { round: 'before' })
  rooms.logs.push({ instance: 'shop-1', stream: 'stdout', line: 'old line' })
  const events = startCli(['events', 'shop', '-f'], { env })
  const logs = startCli(['logs', 'shop', '-f', '--json'], { env })
  t.after(async () => {
    events.child.kill()
    logs.child.kill()
    await Promise.all([events.ended, logs.ended])
  })
  await waitFor(() => events.stdout().includes('round=before') && logs.stdout().includes('old line'))
  rooms.appendEvent('acme.queueDrained', 'shop', { round: 'after' })
  rooms.logs.push({ instance: 'shop-1', stream: 'stderr', line: 'new line' })
  await waitFor(() => events.stdout().includes('acme.queueDrained') && logs.stdout().includes('new line'))
  assert.equal(events.stdout().match(/round=before/g)?.length, 1)
  assert.deepEqual(
    logs
      .stdout()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).line),
    ['old line', 'new line'],
  )
  assert.equal(events.stderr() + logs.stderr(), '')
})
