/** `/api/v1/secrets` over the real vault: values come in, and no answer of any kind holds one. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { createApi } from '../../runtime/api/app.ts'
import { systemClock } from '../../runtime/clock.ts'
import { OrchestryError } from '../../runtime/errors.ts'
import type { NewEvent } from '../../runtime/events/events.ts'
import { createVault } from '../../runtime/secrets/vault.ts'
import { createMemoryStore } from '../../runtime/store/memory.ts'
import { createFakeRooms, makeApp, makePlugin } from '../support/fake-rooms.ts'
import { tempDir } from '../support/temp-dir.ts'

const value = 'correct-horse-battery'

async function world(t: TestContext) {
  const events: NewEvent[] = []
  const secrets = await createVault({
    store: createMemoryStore({ clock: systemClock }),
    dataDir: await tempDir(t),
    clock: systemClock,
    log: { error() {} } as never,
    events: { emit: (event) => void events.push(event) },
  })
  const rooms = createFakeRooms({ secrets })
  const api = createApi(rooms.deps)
  const send = async (method: string, path: string, body?: string) => {
    const headers = { 'content-type': 'application/json' }
    const response = await api.request(path, { method, ...(body !== undefined && { body, headers }) })
    const text = await response.text()
    for (const shown of [text, JSON.stringify([...response.headers]), JSON.stringify([events, rooms.errors])])
      assert.equal(shown.includes(value), false, shown)
    return { status: response.status, text, body: text === '' ? undefined : (JSON.parse(text) as unknown) }
  }
  return { secrets, rooms, events, send }
}

test('a secret is set, replaced, listed and removed, and its value is never told', async (t) => {
  const { send, secrets } = await world(t)
  const body = JSON.stringify({ value })
  assert.equal((await send('PUT', '/api/v1/secrets/db', body)).status, 201)
  assert.equal((await send('PUT', '/api/v1/secrets/db', body)).status, 200)
  assert.equal(secrets.value('db'), value)
  const { body: listed } = await send('GET', '/api/v1/secrets')
  const [only] = (listed as { secrets: object[] }).secrets
  assert.deepEqual(Object.keys(only ?? {}), ['name', 'createdAtMs', 'updatedAtMs', 'apps', 'plugins'])
  assert.deepEqual((await send('GET', '/api/v1/secrets/db')).body, only)
  assert.equal((await send('DELETE', '/api/v1/secrets/db')).status, 204)
  assert.equal((await send('GET', '/api/v1/secrets/db')).status, 404)
})

test('who may use a secret is told: apps by their environment, plugins by any grant that names it', async (t) => {
  const { send, rooms } = await world(t)
  rooms.addApp('shop', { app: makeApp('shop', { env: [{ name: 'P', secret: 'db' }] }) })
  rooms.addApp('blog', { app: makeApp('blog', { env: [{ name: 'P', value: 'db' }] }) })
  const why = 'test'
  for (const [id, grant] of [
    ['reads', { kind: 'secrets', mode: 'reveal', names: ['x', 'db'], why }],
    ['signs', { kind: 'crypto', ops: ['hmac'], keys: ['db'] }],
    ['sends', { kind: 'net', hosts: ['a.example'], auth: { secret: 'db' }, why }],
    ['stores', { kind: 'redis', url: 'secret://db', commands: ['GET'], keys: ['q:'], why }],
    ['other', { kind: 'secrets', mode: 'inject', names: ['db2'], why }],
    ['none', { kind: 'log' }],
  ] as const)
    rooms.plugins.set(id, makePlugin(id, { capabilities: [grant as never] }))
  await send('PUT', '/api/v1/secrets/db', JSON.stringify({ value }))
  const { body } = await send('GET', '/api/v1/secrets/db')
  const { apps, plugins } = body as { apps: string[]; plugins: string[] }
  assert.deepEqual([apps, plugins], [['shop'], ['reads', 'sends', 'signs', 'stores']])
})

const misplaced: [string, string, number, string][] = [
  ['not JSON', `{"value": ${value}}`, 400, 'ORC_API_BODY_INVALID'],
  ['bare', value, 400, 'ORC_API_BODY_INVALID'],
  ['under another name', JSON.stringify({ secret: value }), 400, 'ORC_API_VALIDATION'],
  ['as a name', JSON.stringify({ [value]: value }), 400, 'ORC_API_VALIDATION'],
  ['within a list', JSON.stringify([value]), 400, 'ORC_API_VALIDATION'],
  ['within an object', JSON.stringify({ value: { value } }), 400, 'ORC_API_VALIDATION'],
  ['with more', JSON.stringify({ value, more: 1 }), 400, 'ORC_API_VALIDATION'],
  ['too long', JSON.stringify({ value: value.repeat(2_000) }), 400, 'ORC_SECRET_INVALID'],
]
for (const [title, body, status, code] of misplaced)
  test(`a value that is sent wrongly is not repeated: ${title}`, async (t) => {
    const { send, secrets } = await world(t)
    const answer = await send('PUT', '/api/v1/secrets/db', body)
    assert.equal(answer.status, status)
    assert.match(answer.text, new RegExp(`"code":"${code}"`))
    for (const piece of ['correct', 'battery']) assert.equal(answer.text.includes(piece), false, answer.text)
    assert.deepEqual(secrets.list(), [])
  })

test('names that cannot be are refused, and those that are not there are told', async (t) => {
  const { send } = await world(t)
  const body = JSON.stringify({ value })
  assert.match((await send('PUT', '/api/v1/secrets/..%2Fdb', body)).text, /ORC_SECRET_INVALID/)
  assert.match((await send('PUT', '/api/v1/secrets/a%20b', body)).text, /ORC_SECRET_INVALID/)
  for (const name of ['nope', '__proto__', '..%2Fdb'])
    for (const method of ['GET', 'DELETE']) {
      const { status, text } = await send(method, `/api/v1/secrets/${name}`)
      assert.deepEqual([status, text.includes('ORC_SECRET_UNKNOWN')], [404, true], text)
    }
})

test('C42: a refusal that repeats what a plugin said hides the values in it', async (t) => {
  const { send, secrets, rooms } = await world(t)
  await secrets.put('db', value)
  Object.assign(rooms.deps.plugins, {
    reset: async () => {
      const problems = [{ path: '', message: `bad ${Buffer.from(value).toString('base64')}` }]
      throw new OrchestryError('ORC_PLUGIN_ACTIVATE_FAILED', `Error: ${value}`, { problems })
    },
  })
  rooms.plugins.set('queue', makePlugin('queue'))
  const { status, body } = await send('POST', '/api/v1/plugins/queue/reset')
  const { detail, problems } = body as { detail: string; problems: object[] }
  assert.deepEqual([status, detail, problems], [422, 'Error: ***', [{ path: '', message: 'bad ***' }]])
})
