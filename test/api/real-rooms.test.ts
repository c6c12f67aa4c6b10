/** The API over the real apps, events and decisions: what the stand-ins of the other tests promise must hold there too. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { createApi } from '../../runtime/api/app.ts'
import type { Api } from '../../runtime/api/deps.ts'
import { listen } from '../../runtime/api/server.ts'
import { createApps } from '../../runtime/apps/registry.ts'
import { systemClock as clock } from '../../runtime/clock.ts'
import { createEvents } from '../../runtime/events/log.ts'
import { createLog } from '../../runtime/log.ts'
import { createDecisionLog } from '../../runtime/scaling/decision-log.ts'
import { createMemoryStore } from '../../runtime/store/memory.ts'
import { createFakeRooms, makeDecision } from '../support/fake-rooms.ts'
import { runCli } from '../support/orchestry-cli.ts'

const yaml = { 'content-type': 'application/yaml' }
const spec = (name: string, extra = '') =>
  `apiVersion: v1\nkind: App\nmetadata: { name: ${name} }\nspec:\n  command: [node, server.js]\n${extra}`

async function build(t: TestContext) {
  const store = createMemoryStore({ clock })
  const log = createLog({ level: 'silent' })
  const events = createEvents({ store, clock, log })
  const apps = await createApps({ store, clock, events, drivers: ['process'] })
  const decisions = createDecisionLog({ store, clock })
  const { deps, errors } = createFakeRooms()
  const api = createApi({ ...deps, apps, events, scaling: { ...deps.scaling, list: decisions.list } })
  t.after(async () => {
    await Promise.all([events.stop(), decisions.stop()])
    await store.close()
  })
  return { api, events, decisions, errors }
}
const put = async (api: Api, path: string, body: string, headers = {}) =>
  api.request(path, { method: 'PUT', body, headers: { ...yaml, ...headers } })

test('an app is created, found unchanged, changed under its revision, and gone', async (t) => {
  const { api, events } = await build(t)
  const created = await put(api, '/api/v1/apps', spec('shop'))
  assert.deepEqual([created.status, created.headers.get('etag')], [201, '"1"'])
  const same = await put(api, '/api/v1/apps/shop', spec('shop'), { 'if-match': '"1"' })
  assert.deepEqual([same.status, ((await same.json()) as { outcome: string }).outcome], [200, 'unchanged'])
  const changed = await put(api, '/api/v1/apps/shop', spec('shop', 'scaling: { maxReplicas: 3 }\n'), {
    'if-match': '"1"',
  })
  assert.equal(changed.status, 200)
  assert.equal((await put(api, '/api/v1/apps/shop', spec('shop'), { 'if-match': '"1"' })).status, 412)
  assert.equal((await put(api, '/api/v1/apps/other', spec('shop'))).status, 400)
  assert.equal((await api.request('/api/v1/apps', { method: 'POST', body: spec('shop'), headers: yaml })).status, 409)
  assert.equal((await api.request('/api/v1/apps/shop', { method: 'DELETE' })).status, 202)
  assert.equal((await api.request('/api/v1/apps/shop')).status, 404)
  await events.flush()
  const { events: seen } = (await (await api.request('/api/v1/events')).json()) as { events: { type: string }[] }
  assert.deepEqual(
    seen.map(({ type }) => type),
    ['app.registered', 'app.changed', 'app.deleted'],
  )
})

test('only one of many who change the same revision at once succeeds', async (t) => {
  const { api } = await build(t)
  await put(api, '/api/v1/apps', spec('shop'))
  const answers = await Promise.all(
    Array.from({ length: 8 }, (_, index) =>
      put(api, '/api/v1/apps/shop', spec('shop', `scaling: { maxReplicas: ${index + 2} }\n`), { 'if-match': '"1"' }),
    ),
  )
  const statuses = answers.map(({ status }) => status)
  assert.deepEqual(
    [statuses.filter((status) => status === 200).length, statuses.filter((status) => status === 412).length],
    [1, 7],
  )
})

const hostile: [string, string][] = [
  ['nothing', ''],
  ['no YAML', 'a: [b'],
  ['a scalar', '42'],
  ['many nested lists', '['.repeat(100_000)],
  ['many nested items', '- '.repeat(20_000)],
  ['many nested maps', `{"a":`.repeat(50_000)],
  [
    'an alias bomb',
    `a: &a [x,x,x,x,x,x,x,x,x]\n${'bcdefghi'
      .split('')
      .map((name, at) => `${name}: &${name} [${`*${'abcdefgh'[at]},`.repeat(9)}]`)
      .join('\n')}`,
  ],
  ['a name with ../', spec('"../x"')],
  ['a reserved key', spec('x', '__proto__: { isAdmin: true }\n')],
  ['unknown fields', spec('x', 'role: admin\n')],
  ['a name of 300 characters', spec('x'.repeat(300))],
  ['control characters', spec('"a\\u001b[2J"')],
  ['two documents', `${spec('x')}---\n${spec('y')}`],
  ['bytes that are no text', '\u0000\u0001\ufffd'],
]
test('a hostile spec is a 400 that stores nothing, whichever way it comes', async (t) => {
  const { api, errors } = await build(t)
  for (const [title, body] of hostile)
    await t.test(title, async () => {
      for (const [method, path] of [
        ['POST', '/api/v1/apps'],
        ['PUT', '/api/v1/apps'],
        ['PUT', '/api/v1/apps/x'],
      ] as const) {
        const response = await api.request(path, { method, body, headers: yaml })
        const { code } = (await response.json()) as { code: string }
        assert.deepEqual([response.status, errors], [400, []], `${code} ${JSON.stringify(errors)}`)
      }
      assert.equal(((await (await api.request('/api/v1/apps')).json()) as { total: number }).total, 0)
    })
})

test('cursors that are none are a 400', async (t) => {
  const { api } = await build(t)
  for (const path of ['/api/v1/events?after=x', '/api/v1/events/stream?after=x', '/api/v1/decisions?before=-1'])
    assert.equal((await api.request(path)).status, 400, path)
})

test('pages of decisions hold everything once, newest first', async (t) => {
  const { api, decisions } = await build(t)
  await decisions.append(Array.from({ length: 7 }, (_, index) => makeDecision('', 'shop', 1, 1, String(index))))
  const reasons: string[] = []
  let before = ''
  for (let page = 0; page < 5; page += 1) {
    const response = await api.request(`/api/v1/decisions?limit=3${before}`)
    const { decisions: found, next } = (await response.json()) as { decisions: { reason: string }[]; next?: string }
    reasons.push(...found.map(({ reason }) => reason))
    if (next === undefined) break
    before = `&before=${next}`
  }
  assert.deepEqual(reasons, ['6', '5', '4', '3', '2', '1', '0'])
})

test('a spec with an error reaches the person with file, line and column', async (t) => {
  const { api } = await build(t)
  const server = await listen({ api, host: '127.0.0.1', port: 0 })
  t.after(() => server.close())
  const { code, stderr } = await runCli(['apply', '-', '--url', server.url], {
    input: spec('shop', 'scaling: { maxReplica: 3 }\n'),
  })
  assert.equal(code, 1)
  assert.match(stderr, /ORC_SPEC_INVALID/)
  assert.match(stderr, /^ +6:\d+ +\/scaling\/maxReplica/m)
})
