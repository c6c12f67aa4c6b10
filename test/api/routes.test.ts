/** Every route with good input answers what its schema in the OpenAPI document says; with bad input, a status and a code. */
import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { Compile } from 'typebox/compile'
import { createApi } from '../../runtime/api/app.ts'
import type { Api } from '../../runtime/api/deps.ts'
import { ProblemDocument } from '../../runtime/api/problem.ts'
import { OrchestryError } from '../../runtime/errors.ts'
import { createFakeRooms, type FakeRooms, makeDecision, makePlugin } from '../support/fake-rooms.ts'
import { tempDir } from '../support/temp-dir.ts'

const yaml = { 'content-type': 'application/yaml' }
const jsonType = { 'content-type': 'application/json' }
const spec = 'kind: App\nmetadata: { name: fresh }\n'

function furnished(): { rooms: FakeRooms; api: Api } {
  const rooms = createFakeRooms()
  rooms.addApp('shop')
  rooms.addApp('blog')
  rooms.plugins.set('@acme/queue', makePlugin('@acme/queue'))
  rooms.decisions.push(
    makeDecision('00000001', 'shop', 1, 2, 'cpu is high'),
    makeDecision('00000002', 'blog', 2, 2, 'calm'),
  )
  rooms.logs.push(
    { instance: 'shop-1', stream: 'stdout', line: 'hello' },
    { instance: 'shop-2', stream: 'stderr', line: 'oh' },
  )
  void rooms.deps.secrets.put('db', 'the-value-of-db')
  rooms.appendEvent('app.registered', 'shop')
  rooms.appendEvent('app.registered', 'blog')
  return { rooms, api: createApi(rooms.deps) }
}

const send = (api: Api, method: string, path: string, body?: string, headers: Record<string, string> = jsonType) =>
  api.request(path, { method, ...(body !== undefined && { body, headers }) })

/** method, path as in the document, path as asked, status, body */
const good: [string, string, string, number, string?][] = [
  ['GET', '/api/v1/apps', '/api/v1/apps', 200],
  ['POST', '/api/v1/apps', '/api/v1/apps', 201, spec],
  ['GET', '/api/v1/apps/{app}', '/api/v1/apps/shop', 200],
  ['PUT', '/api/v1/apps', '/api/v1/apps', 201, spec],
  ['PUT', '/api/v1/apps', '/api/v1/apps', 200, spec.replace('fresh', 'shop')],
  ['PUT', '/api/v1/apps/{app}', '/api/v1/apps/fresh', 201, spec],
  ['PUT', '/api/v1/apps/{app}', '/api/v1/apps/shop', 200, spec.replace('fresh', 'shop')],
  ['DELETE', '/api/v1/apps/{app}', '/api/v1/apps/shop', 202],
  ['DELETE', '/api/v1/apps/{app}', '/api/v1/apps/shop?wait=1', 200],
  ['POST', '/api/v1/apps/{app}/start', '/api/v1/apps/shop/start', 202],
  ['POST', '/api/v1/apps/{app}/stop', '/api/v1/apps/shop/stop?wait=1', 200],
  ['POST', '/api/v1/apps/{app}/scale', '/api/v1/apps/shop/scale', 202, '{"replicas":4}'],
  ['POST', '/api/v1/apps/{app}/scale', '/api/v1/apps/shop/scale?wait=1', 200, '{"replicas":4,"reason":"sale"}'],
  ['POST', '/api/v1/apps/{app}/pause', '/api/v1/apps/shop/pause', 200, '{"direction":"in"}'],
  ['POST', '/api/v1/apps/{app}/pause', '/api/v1/apps/shop/pause', 200],
  ['POST', '/api/v1/apps/{app}/resume', '/api/v1/apps/shop/resume', 200],
  ['GET', '/api/v1/apps/{app}/rollout', '/api/v1/apps/shop/rollout', 200],
  ['GET', '/api/v1/apps/{app}/rollout/history', '/api/v1/apps/shop/rollout/history', 200],
  ['POST', '/api/v1/apps/{app}/rollout/undo', '/api/v1/apps/shop/rollout/undo', 202],
  ['POST', '/api/v1/apps/{app}/rollout/undo', '/api/v1/apps/shop/rollout/undo?wait=1', 200, '{"to":1}'],
  ['POST', '/api/v1/apps/{app}/rollout/restart', '/api/v1/apps/shop/rollout/restart', 202],
  ['GET', '/api/v1/apps/{app}/instances', '/api/v1/apps/shop/instances', 200],
  ['GET', '/api/v1/apps/{app}/metrics', '/api/v1/apps/shop/metrics?windowSeconds=60&seriesSeconds=60', 200],
  ['GET', '/api/v1/apps/{app}/events', '/api/v1/apps/shop/events', 200],
  ['GET', '/api/v1/apps/{app}/logs', '/api/v1/apps/shop/logs?lines=10', 200],
  ['GET', '/api/v1/apps/{app}/decisions', '/api/v1/apps/shop/decisions', 200],
  ['GET', '/api/v1/apps/{app}/health', '/api/v1/apps/shop/health', 200],
  ['POST', '/api/v1/apps/{app}/health/check', '/api/v1/apps/shop/health/check', 200],
  ['GET', '/api/v1/apps/{app}/scaling', '/api/v1/apps/shop/scaling', 200],
  ['PUT', '/api/v1/apps/{app}/scaling', '/api/v1/apps/shop/scaling', 200, '{"maxReplicas":9}'],
  ['GET', '/api/v1/plugins', '/api/v1/plugins', 200],
  ['GET', '/api/v1/plugins/{id}', '/api/v1/plugins/queue', 200],
  ['GET', '/api/v1/plugins/{id}', '/api/v1/plugins/@acme%2Fqueue', 200],
  ['DELETE', '/api/v1/plugins/{id}', '/api/v1/plugins/%40acme%2Fqueue', 204],
  ['PUT', '/api/v1/plugins/{id}/config', '/api/v1/plugins/queue/config', 200, '{"config":{"jobs":9}}'],
  ['POST', '/api/v1/plugins/{id}/enable', '/api/v1/plugins/queue/enable', 200],
  ['POST', '/api/v1/plugins/{id}/disable', '/api/v1/plugins/queue/disable', 200],
  ['POST', '/api/v1/plugins/{id}/reset', '/api/v1/plugins/queue/reset', 200],
  ['GET', '/api/v1/plugins/{id}/usage', '/api/v1/plugins/queue/usage', 200],
  ['GET', '/api/v1/plugins/{id}/capabilities', '/api/v1/plugins/queue/capabilities', 200],
  ['POST', '/api/v1/plugins/{id}/tighten', '/api/v1/plugins/queue/tighten', 200, '{"apply":true}'],
  ['POST', '/api/v1/plugins/{id}/tighten', '/api/v1/plugins/queue/tighten', 200, '{"undo":true}'],
  ['POST', '/api/v1/plugins/{id}/tighten', '/api/v1/plugins/queue/tighten', 200],
  ['GET', '/api/v1/plugins/{id}/logs', '/api/v1/plugins/queue/logs?lines=1', 200],
  ['GET', '/api/v1/secrets', '/api/v1/secrets', 200],
  ['PUT', '/api/v1/secrets/{name}', '/api/v1/secrets/fresh', 201, '{"value":"long enough"}'],
  ['PUT', '/api/v1/secrets/{name}', '/api/v1/secrets/db', 200, '{"value":"long enough"}'],
  ['GET', '/api/v1/secrets/{name}', '/api/v1/secrets/db', 200],
  ['DELETE', '/api/v1/secrets/{name}', '/api/v1/secrets/db', 204],
  ['GET', '/api/v1/events', '/api/v1/events', 200],
  ['GET', '/api/v1/decisions', '/api/v1/decisions?app=shop', 200],
  ['GET', '/api/v1/metrics/summary', '/api/v1/metrics/summary', 200],
  ['GET', '/api/v1/sandbox', '/api/v1/sandbox', 200],
  ['GET', '/api/v1/config', '/api/v1/config', 200],
  ['GET', '/healthz', '/healthz', 200],
  ['GET', '/readyz', '/readyz', 200],
]

interface Document {
  openapi: string
  paths: Record<string, Record<string, { responses: Record<string, { content?: Record<string, { schema: object }> }> }>>
}
const documentOf = async (api: Api) => (await (await api.request('/openapi.json')).json()) as Document

test('what a route answers fits the schema that the document promises for it', async (t) => {
  const document = await documentOf(furnished().api)
  for (const [method, path, asked, status, body] of good)
    await t.test(`${method} ${asked}`, async () => {
      const { api } = furnished()
      const headers = path === '/api/v1/apps' || (path === '/api/v1/apps/{app}' && body) ? yaml : jsonType
      const response = await send(api, method, asked, body, headers)
      const text = await response.text()
      assert.equal(response.status, status, text)
      assert.equal(response.headers.get('x-content-type-options'), 'nosniff')
      const promised = document.paths[path]?.[method.toLowerCase()]?.responses[status]
      assert.ok(promised, 'the status is in the document')
      const schema = promised.content?.['application/json']?.schema
      if (status === 204) assert.equal(text, '')
      else {
        assert.ok(schema, 'the body has a schema')
        const errors = Compile(schema).Errors(JSON.parse(text))
        assert.deepEqual(errors, [])
      }
    })
})

test('the OpenAPI document holds every route, and every schema in it can be compiled', async () => {
  const { api } = furnished()
  const document = await documentOf(api)
  assert.equal(document.openapi, '3.1.0')
  const listed = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`),
  )
  const routed = api.routes
    .filter(({ path }) => path !== '/*')
    .map(({ method, path }) => `${method} ${path.replace(/:([a-z]+)/g, '{$1}')}`)
  assert.deepEqual([...new Set(listed)].sort(), [...new Set(routed)].sort())
  assert.ok(listed.length > 40)

  const ids = new Set<string>()
  let schemas = 0
  for (const item of Object.values(document.paths))
    for (const operation of Object.values(item) as never as {
      operationId: string
      parameters?: { schema: object; name: string }[]
      responses: Record<string, { description: string; content?: Record<string, { schema: { $ref?: string } }> }>
    }[]) {
      assert.ok(!ids.has(operation.operationId), `${operation.operationId} is there once`)
      ids.add(operation.operationId)
      for (const { schema } of operation.parameters ?? []) Compile(schema)
      for (const { description, content = {} } of Object.values(operation.responses)) {
        assert.ok(description)
        for (const { schema } of Object.values(content)) {
          schemas += 1
          if (schema.$ref) assert.equal(schema.$ref, '#/components/schemas/Problem')
          else Compile(schema).Check({})
        }
      }
    }
  assert.ok(schemas > 80)
})

/** title, route, body, status, code, path of a problem, headers */
const bad: [string, string, string, number, string, (string | undefined)?, Record<string, string>?][] = [
  ['an address that is not there', 'GET /api/v1/nothing', '', 404, 'ORC_API_NOT_FOUND'],
  ['a file that is not there', 'GET /secret.html', '', 404, 'ORC_API_NOT_FOUND'],
  ['a file outside', 'GET /..%2f..%2fpackage.json', '', 404, 'ORC_API_NOT_FOUND'],
  ['a method the address does not answer', 'PATCH /api/v1/apps/shop', '', 405, 'ORC_API_METHOD_NOT_ALLOWED'],
  ['OPTIONS', 'OPTIONS /api/v1/apps', '', 405, 'ORC_API_METHOD_NOT_ALLOWED'],
  ['a method nobody knows', 'BREW /healthz', '', 405, 'ORC_API_METHOD_NOT_ALLOWED'],
  ['an unknown app', 'GET /api/v1/apps/nope', '', 404, 'ORC_APP_UNKNOWN'],
  ['a name with ../', 'GET /api/v1/apps/..%2Fx', '', 404, 'ORC_APP_UNKNOWN'],
  ['a name that is not UTF-8', 'GET /api/v1/apps/%ff', '', 404, 'ORC_APP_UNKNOWN'],
  ['__proto__ for a name', 'GET /api/v1/apps/__proto__', '', 404, 'ORC_APP_UNKNOWN'],
  ['start of an unknown app', 'POST /api/v1/apps/nope/start', '', 404, 'ORC_APP_UNKNOWN'],
  ['events of an unknown app', 'GET /api/v1/apps/nope/events', '', 404, 'ORC_APP_UNKNOWN'],
  ['a stream of an unknown app', 'GET /api/v1/apps/nope/events/stream', '', 404, 'ORC_APP_UNKNOWN'],
  ['logs of an unknown app', 'GET /api/v1/apps/nope/logs/stream', '', 404, 'ORC_APP_UNKNOWN'],
  ['decisions of an unknown app', 'GET /api/v1/decisions?app=nope', '', 404, 'ORC_APP_UNKNOWN'],
  ['health of an unknown app', 'POST /api/v1/apps/nope/health/check', '', 404, 'ORC_APP_UNKNOWN'],
  ['deleting what is not there', 'DELETE /api/v1/apps/nope', '', 404, 'ORC_APP_UNKNOWN'],
  ['an unknown secret', 'GET /api/v1/secrets/nope', '', 404, 'ORC_SECRET_UNKNOWN'],
  ['a secret that is too short', 'PUT /api/v1/secrets/x', '{"value":"short"}', 400, 'ORC_SECRET_INVALID'],
  ['an unknown plugin', 'GET /api/v1/plugins/nope', '', 404, 'ORC_PLUGIN_UNKNOWN'],
  ['config of an unknown plugin', 'PUT /api/v1/plugins/nope/config', '{"config":{}}', 404, 'ORC_PLUGIN_UNKNOWN'],
  ['a limit that is no number', 'GET /api/v1/apps?limit=many', '', 400, 'ORC_API_VALIDATION', '/limit'],
  ['a limit of zero', 'GET /api/v1/events?limit=0', '', 400, 'ORC_API_VALIDATION', '/limit'],
  ['a limit beyond the bound', 'GET /api/v1/decisions?limit=100000', '', 400, 'ORC_API_VALIDATION', '/limit'],
  ['an empty limit', 'GET /api/v1/apps?limit=', '', 400, 'ORC_API_VALIDATION', '/limit'],
  ['a misspelt query', 'GET /api/v1/apps?limt=3', '', 400, 'ORC_API_VALIDATION', '/limt'],
  ['lines that are negative', 'GET /api/v1/apps/shop/logs?lines=-1', '', 400, 'ORC_API_VALIDATION', '/lines'],
  [
    'a window of a fraction',
    'GET /api/v1/apps/shop/metrics?windowSeconds=1.5',
    '',
    400,
    'ORC_API_VALIDATION',
    '/windowSeconds',
  ],
  ['a format nobody writes', 'GET /api/v1/apps/shop/spec?format=xml', '', 400, 'ORC_API_VALIDATION', '/format'],
  ['a wait of a day', 'POST /api/v1/apps/shop/start?wait=86400', '', 400, 'ORC_API_VALIDATION', '/wait'],
  ['no body', 'POST /api/v1/apps/shop/scale', '', 400, 'ORC_API_VALIDATION', ''],
  ['half a JSON', 'POST /api/v1/apps/shop/scale', '{"replicas": ', 400, 'ORC_API_BODY_INVALID', ''],
  ['replicas as text', 'POST /api/v1/apps/shop/scale', '{"replicas":"3"}', 400, 'ORC_API_VALIDATION', '/replicas'],
  ['replicas below zero', 'POST /api/v1/apps/shop/scale', '{"replicas":-1}', 400, 'ORC_API_VALIDATION', '/replicas'],
  ['a body that is a list', 'POST /api/v1/apps/shop/scale', '[]', 400, 'ORC_API_VALIDATION', ''],
  ['a body that is null', 'POST /api/v1/apps/shop/scale', 'null', 400, 'ORC_API_VALIDATION', ''],
  [
    'fields that are not to be set',
    'POST /api/v1/apps/shop/scale',
    '{"replicas":2,"role":"admin"}',
    400,
    'ORC_API_VALIDATION',
    '/role',
  ],
  [
    '__proto__ as a field',
    'POST /api/v1/apps/shop/scale',
    '{"replicas":2,"__proto__":{}}',
    400,
    'ORC_API_VALIDATION',
    '/__proto__',
  ],
  [
    'a body where none is read',
    'POST /api/v1/apps/shop/start',
    '{"replicas":2}',
    400,
    'ORC_API_VALIDATION',
    '/replicas',
  ],
  [
    'a direction nobody knows',
    'POST /api/v1/apps/shop/pause',
    '{"direction":"up"}',
    400,
    'ORC_API_VALIDATION',
    '/direction',
  ],
  ['scaling bounds that cross', 'PUT /api/v1/apps/shop/scaling', '{"minReplicas":9}', 400, 'ORC_SPEC_INVALID'],
  [
    'YAML where JSON is read',
    'POST /api/v1/apps/shop/scale',
    'replicas: 2',
    415,
    'ORC_API_MEDIA_TYPE',
    undefined,
    yaml,
  ],
  [
    'a form',
    'POST /api/v1/apps/shop/scale',
    'replicas=2',
    415,
    'ORC_API_MEDIA_TYPE',
    undefined,
    { 'content-type': 'application/x-www-form-urlencoded' },
  ],
  ['plain text', 'POST /api/v1/apps', spec, 415, 'ORC_API_MEDIA_TYPE', undefined, { 'content-type': 'text/plain' }],
  ['an app that exists', 'POST /api/v1/apps', spec.replace('fresh', 'shop'), 409, 'ORC_APP_EXISTS', undefined, yaml],
  ['a spec of another app', 'PUT /api/v1/apps/shop', spec, 400, 'ORC_SPEC_INVALID', undefined, yaml],
  ['an empty spec', 'POST /api/v1/apps', ' ', 400, 'ORC_SPEC_INVALID', '/metadata/name', yaml],
  [
    'a body over the limit',
    'POST /api/v1/apps',
    'x'.repeat(1_048_577),
    413,
    'ORC_API_BODY_TOO_LARGE',
    undefined,
    { ...yaml, 'content-length': '1048577' },
  ],
  [
    'a relative plugin path',
    'POST /api/v1/plugins',
    '{"source":{"path":"x"}}',
    400,
    'ORC_API_VALIDATION',
    '/source/path',
  ],
  [
    'a plugin path that is not there',
    'POST /api/v1/plugins',
    '{"source":{"path":"/no/such"}}',
    400,
    'ORC_API_VALIDATION',
    '/source/path',
  ],
  [
    'a plugin path that is a file',
    'POST /api/v1/plugins',
    `{"source":{"path":${JSON.stringify(import.meta.filename)}}}`,
    400,
    'ORC_API_VALIDATION',
    '/source/path',
  ],
  [
    'a plugin source that is a URL',
    'POST /api/v1/plugins',
    '{"source":{"url":"http://x"}}',
    400,
    'ORC_API_VALIDATION',
    '/source/url',
  ],
  ['a host that is not ours', 'GET /api/v1/apps', '', 421, 'ORC_API_HOST_REFUSED', undefined, { host: 'evil.test' }],
  [
    'a page of another origin',
    'POST /api/v1/apps/shop/stop',
    '',
    403,
    'ORC_API_ORIGIN_REFUSED',
    undefined,
    { origin: 'http://evil.test' },
  ],
  [
    'a page without an origin',
    'POST /api/v1/apps/shop/stop',
    '',
    403,
    'ORC_API_ORIGIN_REFUSED',
    undefined,
    { origin: 'null' },
  ],
  [
    'a cross-site form',
    'POST /api/v1/apps/shop/stop',
    '',
    403,
    'ORC_API_ORIGIN_REFUSED',
    undefined,
    { 'sec-fetch-site': 'cross-site' },
  ],
]

test('bad input gets the status and the code that say what was wrong, and changes nothing', async (t) => {
  const problem = Compile(ProblemDocument)
  for (const [title, route, body, status, code, path, headers = jsonType] of bad)
    await t.test(title, async () => {
      const { api, rooms } = furnished()
      const before = JSON.stringify([...rooms.records, ...rooms.plugins])
      const [method = '', asked = ''] = route.split(' ')
      const response = await api.request(asked, { method, headers, ...(body !== '' && { body }) })
      const document = (await response.json()) as ProblemDocument
      assert.deepEqual(problem.Errors(document), [])
      assert.deepEqual([response.status, document.code], [status, code], document.detail)
      assert.equal(response.headers.get('content-type'), 'application/problem+json')
      if (path !== undefined)
        assert.ok(
          document.problems?.some((one) => one.path === path),
          JSON.stringify(document.problems),
        )
      if (status === 405) assert.match(response.headers.get('allow') ?? '', /GET/)
      assert.equal(JSON.stringify([...rooms.records, ...rooms.plugins]), before)
      assert.deepEqual(rooms.errors, [])
    })
})

test('a JSON error names its line and column', async () => {
  const { api } = furnished()
  const response = await send(api, 'POST', '/api/v1/apps/shop/scale', '{\n  "replicas": 3,\n}')
  const { problems } = (await response.json()) as ProblemDocument
  assert.deepEqual([problems?.[0]?.line, problems?.[0]?.column], [3, 1])
})

test('what fails inside is a 500 with a number that the log has too, and no word of the cause', async () => {
  const { rooms } = furnished()
  const api = createApi({
    ...rooms.deps,
    readiness: () => {
      throw new Error('the password is hunter2')
    },
  })
  const response = await api.request('/readyz')
  const text = await response.text()
  const { instance, code, fault } = JSON.parse(text) as ProblemDocument
  assert.deepEqual([response.status, code, fault], [500, 'ORC_API_INTERNAL', 'system'])
  assert.doesNotMatch(text, /hunter2/)
  assert.equal((rooms.errors[0] as { instance: string }).instance, instance)
})

test('not ready is 503 with what is missing', async () => {
  const { rooms } = furnished()
  const api = createApi({
    ...rooms.deps,
    readiness: async () => ({ ok: false, problems: ['the proxy does not answer'] }),
  })
  const response = await api.request('/readyz')
  assert.equal(response.status, 503)
  assert.deepEqual(await response.json(), { ok: false, problems: ['the proxy does not answer'] })
})

test('ETag and If-Match let only the one who has seen the newest revision write', async (t) => {
  const { api } = furnished()
  const etag = (await api.request('/api/v1/apps/shop')).headers.get('etag')
  assert.equal(etag, '"1"')
  const put = (body: string, headers: Record<string, string>) =>
    api.request('/api/v1/apps/shop', { method: 'PUT', body, headers: { ...yaml, ...headers } })
  const first = await put('metadata: { name: shop } # one', { 'if-match': '"1"' })
  assert.deepEqual([first.status, first.headers.get('etag')], [200, '"2"'])
  const refused: [string, string, Record<string, string>][] = [
    ['an old revision', '/api/v1/apps/shop', { 'if-match': '"1"' }],
    ['a weak tag', '/api/v1/apps/shop', { 'if-match': 'W/"2"' }],
    ['an app that is not there', '/api/v1/apps/nope', { 'if-match': '*' }],
    ['one that must be new', '/api/v1/apps/shop', { 'if-none-match': '*' }],
  ]
  for (const [title, path, headers] of refused)
    await t.test(title, async () => {
      const name = path.split('/').at(-1)
      const response = await api.request(path, {
        method: 'PUT',
        body: `metadata: { name: ${name} }`,
        headers: { ...yaml, ...headers },
      })
      assert.deepEqual(
        [response.status, ((await response.json()) as ProblemDocument).code],
        [412, 'ORC_API_PRECONDITION'],
      )
    })
  assert.equal((await put('metadata: { name: shop } # two', { 'if-match': '"7", "2"' })).status, 200)
  const gone = await api.request('/api/v1/apps/shop', { method: 'DELETE', headers: { 'if-match': '"2"' } })
  assert.equal(gone.status, 412)
})

test('the spec comes back as it was submitted, and complete on request', async () => {
  const { api, rooms } = furnished()
  const source = '# my shop\nmetadata: { name: shop }\n'
  await api.request('/api/v1/apps/shop', { method: 'PUT', body: source, headers: yaml })
  const submitted = await api.request('/api/v1/apps/shop/spec')
  assert.equal(submitted.headers.get('content-type'), 'application/yaml')
  assert.equal(await submitted.text(), source)
  const complete = await api.request('/api/v1/apps/shop/spec?format=json')
  assert.deepEqual(await complete.json(), JSON.parse(JSON.stringify(rooms.records.get('shop')?.app)))
})

test('lists come in pages that together hold everything once', async () => {
  const { api, rooms } = furnished()
  for (let index = 0; index < 23; index += 1) rooms.addApp(`app-${String(index).padStart(2, '0')}`)
  for (let index = 3; index < 30; index += 1)
    rooms.decisions.push(makeDecision(String(index).padStart(8, '0'), 'shop', 1, 1, 'x'))
  const walk = async (path: string, items: string, key: string, cursor: string) => {
    const found: string[] = []
    let next: string | undefined
    do {
      const from = next === undefined ? '' : `&${cursor}=${next}`
      const page = (await (await api.request(`${path}?limit=10${from}`)).json()) as Record<string, unknown>
      found.push(...(page[items] as Record<string, string>[]).map((item) => String(item[key])))
      next = page.next as string | undefined
    } while (next !== undefined && found.length < 100)
    return found
  }
  assert.deepEqual(await walk('/api/v1/apps', 'apps', 'name', 'after'), [...rooms.records.keys()].sort())
  assert.deepEqual(
    await walk('/api/v1/decisions', 'decisions', 'id', 'before'),
    rooms.decisions.map(({ id }) => id).reverse(),
  )
})

test('apps can be chosen by label, also one named like a method of objects', async () => {
  const { api, rooms } = furnished()
  const shop = rooms.records.get('shop')
  assert.ok(shop)
  rooms.records.set('shop', { ...shop, app: { ...shop.app, labels: { tier: 'a=b' } } })
  const names = async (label: string) => {
    const { apps } = (await (await api.request(`/api/v1/apps?label=${encodeURIComponent(label)}`)).json()) as {
      apps: { name: string }[]
    }
    return apps.map(({ name }) => name)
  }
  assert.deepEqual(await names('tier=a=b'), ['shop'])
  assert.deepEqual(await names('team'), ['blog'])
  assert.deepEqual(await names('toString'), [])
})

test('a wait that is too short is answered 202, and not settled', async () => {
  const { api, rooms } = furnished()
  rooms.settleMs = 5_000
  const response = await send(api, 'POST', '/api/v1/apps/shop/start?wait=1')
  assert.equal(response.status, 202)
  assert.equal(((await response.json()) as { isSettled: boolean }).isSettled, false)
})

test('a plugin directory on this machine can be installed; the second time it is an upgrade', async (t) => {
  const { api, rooms } = furnished()
  const path = join(await tempDir(t), 'my plugin')
  await mkdir(path)
  const body = JSON.stringify({ source: { path }, config: { jobs: 3 }, instance: 'fast' })
  const first = await send(api, 'POST', '/api/v1/plugins', body)
  assert.deepEqual([first.status, first.headers.get('location')], [201, '/api/v1/plugins/%40acme%2Fmy%20plugin'])
  assert.equal((await send(api, 'POST', '/api/v1/plugins', body)).status, 200)
  assert.deepEqual(rooms.plugins.get('@acme/my plugin')?.instances[0]?.config, { jobs: 3 })
})

test('a refusal of a room keeps its code, its status and every problem with line and column', async () => {
  const { rooms } = furnished()
  const problems = [{ path: '/spec/ports/0', message: 'must be a port', line: 4, column: 7 }]
  const apply = async () => {
    throw new OrchestryError('ORC_SPEC_INVALID', 'The spec has 1 error.', { problems })
  }
  const api = createApi({ ...rooms.deps, apps: { ...rooms.deps.apps, apply } })
  const response = await send(api, 'POST', '/api/v1/apps', spec, yaml)
  const document = (await response.json()) as ProblemDocument
  assert.deepEqual([response.status, document.problems], [400, problems])
})

test('input that nests without end is a 400, not a crash', async () => {
  const { rooms } = furnished()
  const recurse = (depth: number): number => 1 + recurse(depth + 1)
  const api = createApi({
    ...rooms.deps,
    apps: { ...rooms.deps.apps, apply: async () => recurse(0) as never },
  })
  const response = await send(api, 'POST', '/api/v1/apps', '['.repeat(500_000), yaml)
  assert.deepEqual([response.status, ((await response.json()) as ProblemDocument).code], [400, 'ORC_API_BODY_INVALID'])
  const deep = await send(
    furnished().api,
    'PUT',
    '/api/v1/apps/shop/scaling',
    `{"targets":${'['.repeat(50_000)}${']'.repeat(50_000)}}`,
  )
  assert.ok(deep.status < 500)
})

test('the page is served under a policy that lets only its own files run', async () => {
  const response = await furnished().api.request('/')
  assert.equal(response.status, 200)
  assert.match(response.headers.get('content-type') ?? '', /^text\/html/)
  const policy = response.headers.get('content-security-policy') ?? ''
  for (const part of [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self' data:",
    "frame-ancestors 'none'",
  ])
    assert.ok(policy.includes(part), part)
  assert.equal(response.headers.get('x-content-type-options'), 'nosniff')
  assert.match(await response.text(), /<title>/)
})
