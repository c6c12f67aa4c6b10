/** What the nginx plugin writes and reads, without nginx: tables of what goes in and what comes out. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { Manifest, type Upstream } from '@orchestry/sdk'
import { checkConfig } from '@orchestry/sdk/testing'
import { Compile } from 'typebox/compile'
import { readLine, samplesOf, signalsOf } from '../../plugins-builtin/nginx/access-log.ts'
import plugin from '../../plugins-builtin/nginx/plugin.ts'
import { render } from '../../plugins-builtin/nginx/render.ts'
import { complaint } from '../../plugins-builtin/nginx/server.ts'
import { serversOf } from '../../plugins-builtin/nginx/servers.ts'
import type { Settings } from '../../plugins-builtin/nginx/settings.ts'
import { endpointAddress, hostName, pathPrefix, RefusedError } from '../../plugins-builtin/nginx/tokens.ts'

const settings = checkConfig(plugin, { path: '/usr/sbin/nginx' }).config as Settings
const upstream = (app: string, changes: Partial<Upstream> = {}): Upstream => ({
  app,
  generation: 1,
  route: { path: `/${app}/` },
  endpoints: [{ id: `${app}-1`, host: '127.0.0.1', port: 9001 }],
  draining: [],
  ...changes,
})

test('the manifest is valid, waits for the operator, and asks for nothing beyond nginx', async () => {
  const text = await readFile(new URL('../../plugins-builtin/nginx/package.json', import.meta.url), 'utf8')
  const { orchestry } = JSON.parse(text) as { orchestry: Manifest }
  assert.ok(Compile(Manifest).Check(orchestry))
  assert.equal(orchestry.optIn, true)
  assert.deepEqual(
    orchestry.capabilities?.map(({ kind }) => kind),
    ['files', 'exec', 'files', 'exec', 'net', 'kv', 'timers', 'apps', 'clock', 'log'],
  )
})

test('APP-03: the configuration is byte for byte what it is known to be', async () => {
  const { text, candidate, id } = render(
    [
      upstream('shop', {
        route: { host: 'shop.example', path: '/a.b/' },
        endpoints: [
          { id: 's2', host: '::1', port: 9003 },
          { id: 's1', host: '10.0.0.7', port: 9002 },
        ],
      }),
      upstream('docs', { route: { path: '/' } }),
      upstream('idle', { endpoints: [] }),
    ],
    settings,
  )
  assert.equal(candidate, text)
  assert.match(id, /^[0-9a-f]{28}$/)
  const golden = await readFile(new URL('nginx.golden.conf', import.meta.url), 'utf8')
  assert.equal(text.replaceAll(id, 'GENERATION'), golden)
})

test('the same upstreams make the same text in whatever order they come, and others another generation', () => {
  const [a, b] = [upstream('a'), upstream('b')]
  assert.deepEqual(render([a, b], settings), render([b, a], settings))
  const changed = { ...a, endpoints: [{ id: 'a-2', host: '127.0.0.1', port: 9002 }] }
  assert.notEqual(render([a], settings).id, render([changed], settings).id)
  // Only what nginx is told counts: what drains is not in it.
  assert.equal(render([a], settings).id, render([{ ...a, generation: 9, draining: b.endpoints }], settings).id)
})

const hostile = [
  'x;}',
  'x\nlisten 1;',
  '$host',
  'a b',
  `a"b`,
  `a'b`,
  'a\\b',
  'a{b',
  'a#b',
  'ünder',
  'ａ',
  'a\u202eb',
  '',
  '-a',
  'a_b',
  '../a',
  '~^a',
  '@a',
]
const isPath = (text: string) => ['-a', 'a_b'].includes(text)
for (const text of hostile) {
  test(`APP-03, C64: ${JSON.stringify(text)} is refused as a name, host, path and address`, () => {
    for (const changes of [
      { app: text },
      { route: { host: text, path: '/' } },
      ...(isPath(text) ? [] : [{ route: { path: `/${text}/` } }]),
      { route: { path: text } },
      { endpoints: [{ id: 'x', host: text, port: 80 }] },
    ])
      assert.throws(() => render([{ ...upstream('ok'), ...changes }], settings), RefusedError, JSON.stringify(changes))
    assert.ok(plugin.validateConfig?.({ ...settings, host: text }).length)
  })
}
for (const port of [0, -1, 65_536, 1.5, Number.NaN, '80; }' as unknown as number])
  test(`C64: the port ${port} is refused`, () => {
    assert.throws(() => endpointAddress({ host: '127.0.0.1', port }), RefusedError)
  })

test('addresses, hosts and paths: what is one and what is not', () => {
  for (const [host, shown] of [
    ['127.0.0.1', '127.0.0.1:80'],
    ['::1', '[::1]:80'],
    ['2001:db8::7', '[2001:db8::7]:80'],
    ['1:2:3:4:5:6:7:8', '[1:2:3:4:5:6:7:8]:80'],
  ] as const)
    assert.equal(endpointAddress({ host, port: 80 }), shown)
  for (const host of [
    'localhost',
    '127.1',
    '0127.0.0.1',
    '256.1.1.1',
    '1.2.3',
    ':::',
    '1::2::3',
    'fe80::1%eth0',
    '[::1]',
  ])
    assert.throws(() => endpointAddress({ host, port: 80 }), RefusedError, host)
  for (const path of ['/', '/shop/', '/a/b.c/~d/', '/A-Z_0/']) assert.equal(pathPrefix(path), path)
  for (const path of ['shop/', '/shop', '//', '/a//b/', '/a/../b/', '/./', '/a%2f/', '/ä/', '/a?b/', '/a:b/'])
    assert.throws(() => pathPrefix(path), RefusedError, path)
  for (const host of ['a', 'shop.example', 'x-1.y']) assert.equal(hostName(host), host)
  for (const host of ['Shop.example', 'a..b', '.a', 'a.', '*.a', 'a:80', '-a.b'])
    assert.throws(() => hostName(host), RefusedError)
})

test('exact host before any host, then the longest path, as the embedded proxy has it', () => {
  const route = (app: string, path: string, host?: string) => ({
    app,
    route: host === undefined ? { path } : { host, path },
  })
  const servers = serversOf([
    route('any-shop', '/shop/'),
    route('any-root', '/'),
    route('any-deep', '/own/deep/'),
    route('own', '/own/', 'h.example'),
    route('all', '/', 'all.example'),
    route('late-root', '/'),
  ])
  assert.deepEqual(
    servers.map(({ host, apps }) => [host, apps.map(({ path, app }) => `${path} ${app}`)]),
    [
      ['all.example', ['/ all']],
      ['h.example', ['/ any-root', '/own/ own', '/shop/ any-shop']],
      [undefined, ['/ any-root', '/own/deep/ any-deep', '/shop/ any-shop']],
    ],
  )
})

test('beside others in an nginx that runs already nothing of theirs is set', () => {
  const existing = {
    dir: '/etc/nginx/orchestry',
    logDir: '/var/log/nginx',
  }
  const { text, candidate } = render([upstream('shop')], { ...settings, port: 80, existing })
  const top = text
    .split('\n')
    .filter((line) => /^[a-z]/.test(line))
    .map((line) => line.split(' ')[0])
  assert.deepEqual([...new Set(top)].sort(), ['log_format', 'map', 'server', 'upstream'])
  assert.match(text, /access_log \/var\/log\/nginx\/orchestry-access\.log /)
  assert.match(text, /if \(-f \/etc\/nginx\/orchestry\/closing-/)
  assert.match(candidate, /listen 127\.0\.0\.1:65534/)
  assert.doesNotMatch(candidate, /\/var\/log/)
})

const at = '1700000000.123'
test('a line of the log says whose it is, how it went, and who was tried', () => {
  assert.deepEqual(readLine(`${at}|shop|200|0.012|0.034|10.0.0.1:80|200`), {
    app: 'shop',
    status: 200,
    firstByteMs: 12,
    durationMs: 34,
    attempts: [{ address: '10.0.0.1:80', isAnswered: true }],
  })
  assert.deepEqual(readLine(`${at}|shop|200|-, 0.010|0.020|10.0.0.1:80, [::1]:81|502, 200`), {
    app: 'shop',
    status: 200,
    firstByteMs: 10,
    durationMs: 20,
    attempts: [
      { address: '10.0.0.1:80', isAnswered: false },
      { address: '[::1]:81', isAnswered: true },
    ],
  })
  const none = readLine(`${at}|shop|502|-|0.001|10.0.0.1:80|502`)
  assert.deepEqual([none?.firstByteMs, none?.attempts[0]?.isAnswered], [undefined, false])
  assert.deepEqual(readLine(`${at}|shop|503|-|0.000|-|-`)?.attempts, [])
})
for (const line of [
  '',
  'x',
  `${at}||404|-|0.000|-|-`,
  '200|0.1|0.1|10.0.0.1:80|200',
  `${at}|a|200|0.1|0.1|a|b|c`,
  `1|a|200|-|0|-|-`,
])
  test(`the line ${JSON.stringify(line)} counts for nobody`, () => assert.equal(readLine(line), undefined))

test('without traffic the rate is zero and there is no latency; with it there are quantiles', () => {
  const window = { lines: [], ms: 2_000, weight: 1 }
  assert.deepEqual(
    samplesOf(['shop'], window, 5).map(({ metric, value }) => [metric, value]),
    [
      ['rps', 0],
      ['activeConnections', 0],
    ],
  )
  const lines = Array.from({ length: 100 }, (_, index) => ({
    app: 'shop',
    status: index < 5 ? 502 : 200,
    durationMs: 40,
    attempts: [],
    ...(index < 5 ? {} : { firstByteMs: index }),
  }))
  const values = (weight: number) =>
    Object.fromEntries(samplesOf(['shop'], { ...window, lines, weight }, 5).map(({ metric, value }) => [metric, value]))
  assert.deepEqual(values(1), {
    rps: 50,
    activeConnections: 2,
    errorPercent: 5,
    latencyP50Ms: 52,
    latencyP95Ms: 95,
    latencyP99Ms: 99,
  })
  assert.deepEqual([values(3).rps, values(3).errorPercent], [150, 5], 'what could not be read is stood for')
})

test('signals are told by replica; addresses of nobody are left out', () => {
  const line = (attempts: [string, boolean][]) => ({
    app: 'shop',
    status: 200,
    durationMs: 1,
    attempts: attempts.map(([address, isAnswered]) => ({ address, isAnswered })),
  })
  const ids = new Map([
    ['a:1', 'one'],
    ['b:2', 'two'],
  ])
  const found = signalsOf(
    [
      line([
        ['a:1', false],
        ['b:2', true],
      ]),
      line([
        ['b:2', true],
        ['c:3', true],
      ]),
    ],
    (_, address) => ids.get(address),
  )
  assert.deepEqual(found, [
    { app: 'shop', id: 'one', answered: 0, failed: 1 },
    { app: 'shop', id: 'two', answered: 2, failed: 0 },
  ])
})

test('of all that nginx says, the line that says why is told', () => {
  assert.equal(
    complaint(
      '2026/01/01 10:00:00 [warn] 1#1: x\nnginx: [emerg] bind() to 0.0.0.0:80 failed (13: Permission denied)\nnginx: configuration file test failed',
    ),
    '[emerg] bind() to 0.0.0.0:80 failed (13: Permission denied)',
  )
  assert.equal(complaint('2026/01/01 10:00:00 [emerg] 7#7: no port in upstream'), '[emerg] 7#7: no port in upstream')
  assert.equal(complaint(''), 'it did not say why')
})

for (const [config, why] of [
  [{ path: '/usr/sbin/nginx', host: 'localhost' }, /host must be an IP address/],
  [{ path: '/usr/sbin/nginx', port: 8082 }, /two ports/],
  [{ path: '/usr/sbin/nginx', url: 'shop.example' }, /url must begin/],
  [{ path: '/usr/sbin/nginx', existing: { dir: '/etc/x; y', logDir: '/var/log/nginx' } }, /existing\.dir must be/],
] as const)
  test(`the config ${JSON.stringify(config)} is refused: ${why.source}`, () => {
    const complete = { ...settings, ...config } as Settings
    assert.match(plugin.validateConfig?.(complete).join() ?? '', why)
  })
