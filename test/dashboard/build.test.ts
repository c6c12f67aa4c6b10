import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { createApi } from '../../runtime/api/app.ts'
import { createDashboard } from '../../runtime/dashboard/build.ts'
import { OrchestryError } from '../../runtime/errors.ts'
import { createFakeRooms } from '../support/fake-rooms.ts'
import { tempDir } from '../support/temp-dir.ts'

test('the page is compiled on demand, served with its policy, and sent again only when it changed', async () => {
  const api = createApi(createFakeRooms().deps)
  for (const [path, type] of [
    ['/', 'text/html'],
    ['/page.js', 'text/javascript'],
    ['/page.css', 'text/css'],
    ['/icon.svg', 'image/svg+xml'],
  ] as const) {
    const first = await api.request(path)
    assert.equal(first.status, 200, path)
    assert.ok(first.headers.get('content-type')?.startsWith(type), path)
    assert.match(first.headers.get('content-security-policy') ?? '', /default-src 'none'; script-src 'self'/)
    assert.ok((await first.text()).length > 100, path)
    const etag = first.headers.get('etag') ?? ''
    const again = await api.request(path, { headers: { 'if-none-match': etag } })
    assert.deepEqual([again.status, await again.text()], [304, ''], path)
    assert.equal((await api.request(path, { headers: { 'if-none-match': '"other"' } })).status, 200, path)
  }
})

test('what is served is one script and one style sheet, with nothing inline and nothing from elsewhere', async () => {
  const { file } = createDashboard()
  const [html, script, style] = await Promise.all(
    ['/', '/page.js', '/page.css'].map(async (path) => Buffer.from((await file(path))?.body ?? []).toString()),
  )
  assert.doesNotMatch(html ?? '', /<style|style=|<script(?![^>]*\bsrc=)|\son\w+=|https?:/)
  assert.doesNotMatch(script ?? '', /\beval\(|new Function\(|^import /m)
  assert.match(style ?? '', /\.uplot/)
  assert.doesNotMatch(style ?? '', /url\(|@import/)
})

test('only GET and HEAD are for files, and no other path is one', async () => {
  const api = createApi(createFakeRooms().deps)
  assert.deepEqual(
    await Promise.all(
      [
        ['HEAD', '/page.js'],
        ['POST', '/page.js'],
        ['GET', '/main.tsx'],
        ['GET', '/page/../main.tsx'],
        ['GET', '/constructor'],
      ].map(async ([method, path]) => (await api.request(path ?? '', { method: method ?? '' })).status),
    ),
    [200, 404, 404, 404, 404],
  )
})

test('a page that cannot be compiled says so and is tried again; the API goes on', async (t) => {
  const pageDir = await tempDir(t)
  await writeFile(join(pageDir, 'main.tsx'), "import './missing.tsx'")
  const dashboard = createDashboard({ pageDir })
  const api = createApi(createFakeRooms({ dashboard }).deps)
  await assert.rejects(dashboard.file('/page.js'), (thrown) => {
    assert.ok(thrown instanceof OrchestryError)
    assert.match(thrown.message, /missing\.tsx[\s\S]*The API works without it/)
    return true
  })
  assert.equal((await api.request('/page.js')).status, 500)
  assert.equal((await api.request('/healthz')).status, 200)
  await writeFile(join(pageDir, 'main.tsx'), 'document.title = "mended"')
  const response = await api.request('/page.js')
  assert.deepEqual([response.status, await response.text()], [200, 'document.title="mended";\n'])
})
