/** The first page as somebody sees it: a real browser on a real server. */
import assert from 'node:assert/strict'
import { after, before, type TestContext, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { createApi } from '../../runtime/api/app.ts'
import type { ApiDeps } from '../../runtime/api/deps.ts'
import { type ApiServer, listen } from '../../runtime/api/server.ts'
import { launchBrowser, noBrowser, openPage } from '../support/browser.ts'
import { createFakeRooms, type FakeRooms, makeApp, makeDecision, makePlugin } from '../support/fake-rooms.ts'
import { waitFor } from '../support/wait-for.ts'

const skip = { skip: noBrowser }
let browser: Browser
before(async () => {
  if (noBrowser === false) browser = await launchBrowser()
})
after(() => browser?.close())

async function serve(t: TestContext, rooms: FakeRooms, port = 0): Promise<ApiServer> {
  const server = await listen({ api: createApi(rooms.deps), host: '127.0.0.1', port })
  t.after(() => server.close())
  return server
}
const stateOf = (page: Page) => page.locator('.state').textContent()
const cardOf = (page: Page, app: string) => page.locator(`[data-app=${JSON.stringify(app)}]`)

test('the page shows an app, what it bears and why it was scaled, and follows what changes', skip, async (t) => {
  const rooms = createFakeRooms()
  rooms.addApp('shop')
  rooms.plugins.set('@acme/queue', makePlugin('@acme/queue'))
  rooms.decisions.push(makeDecision('00000001', 'shop', 1, 2, '200 jobs wait'))
  rooms.appendEvent('app.scaled', 'shop', { from: 1, to: 2 })
  const { url } = await serve(t, rooms)
  const { page, faults } = await openPage(browser, url)
  t.after(() => page.close())
  const shop = cardOf(page, 'shop')
  await waitFor(async () => (await stateOf(page)) === 'live')

  await t.test('replicas, phase, load and the address through the proxy', async () => {
    assert.match(await shop.innerText(), /running[\s\S]*2 serving · 2 running · 2 desired · min 1, max 5/)
    assert.equal(await shop.locator('[data-metric=rps]').innerText(), '12/s')
    assert.equal(await shop.locator('[data-metric=latencyP95Ms]').innerText(), '–')
    assert.equal(await shop.locator('header a').getAttribute('href'), 'http://127.0.0.1:8080/shop/')
    assert.equal(await shop.locator('canvas').count(), 5)
  })
  await t.test('a decision, and on demand its votes and limits', async () => {
    const decision = page.locator('[data-decision="00000001"]')
    assert.match(await decision.innerText(), /1 → 2\s+shop[\s\S]*200 jobs wait/)
    await decision.locator('summary').click()
    await decision.getByText('maxReplicas is 5').waitFor()
    assert.match(await decision.innerText(), /threshold[\s\S]*broken[\s\S]*it did not answer \(ORC_SANDBOX_TIMEOUT\)/)
  })
  await t.test('single replicas on demand', async () => {
    await shop.locator('summary').click()
    await shop.getByText('shop-2').waitFor()
    assert.match(await shop.innerText(), /127\.0\.0\.1:20001 · pid 101[\s\S]*healthy: 200/)
  })
  await t.test('what changes is shown without being asked for', async () => {
    rooms.addApp('shop', { desired: 4 })
    rooms.addApp('billing')
    rooms.decisions.push(makeDecision('00000002', 'shop', 2, 4, 'more jobs wait'))
    rooms.appendEvent('app.registered', 'billing')
    await cardOf(page, 'billing').waitFor()
    assert.equal(await shop.locator('[data-count=serving]').innerText(), '4')
    assert.match(await page.locator('.decisions li').first().innerText(), /2 → 4[\s\S]*more jobs wait/)
    assert.match(await page.locator('.events li').first().innerText(), /app\.registered billing/)
    await shop.getByText('shop-4').waitFor()
    rooms.records.delete('billing')
    await cardOf(page, 'billing').waitFor({ state: 'detached' })
  })
  await t.test('a plugin that fails says so, and on demand what happened', async () => {
    const incident = {
      code: 'ORC_SANDBOX_TIMEOUT',
      message: 'decide took too long',
      hook: 'scaler',
      app: 'shop',
      action: 'processKilled',
      atMs: Date.now(),
    }
    rooms.plugins.set(
      '@acme/queue',
      makePlugin('@acme/queue', {
        state: 'quarantined',
        problem: 'it died 5 times',
        restarts: 5,
        instances: [{ name: 'queue', config: {}, isDefault: true, breaker: 'open', grants: [], isTightened: false }],
        incidents: [{ ...incident, plugin: '@acme/queue', version: '1.0.0' } as never],
      }),
    )
    const plugin = page.locator('[data-plugin="@acme/queue"]')
    await plugin.getByText('quarantined').waitFor()
    assert.match(
      await plugin.innerText(),
      /5 restarts · 1 incident[\s\S]*breaker of queue is open[\s\S]*it died 5 times/,
    )
    await plugin.locator('summary').click()
    await plugin.getByText('decide took too long → its process was killed').waitFor()
    assert.match(await plugin.innerText(), /in scaler for shop/)
  })
  assert.deepEqual(faults, [])
})

test('what plugins and users write is shown as text, whatever it is', skip, async (t) => {
  const markup = `"><img src=x onerror="alert(1)"><script>alert(2)</script><b>bold</b>`
  const rooms = createFakeRooms()
  const status = rooms.deps.reconciler.status
  const deps: ApiDeps = {
    ...rooms.deps,
    reconciler: { ...rooms.deps.reconciler, status: (app) => ({ ...status(app), problems: [`problem ${markup}`] }) },
    readiness: () => ({ ok: false, problems: [`unready ${markup}`] }),
  }
  rooms.addApp(markup, { app: makeApp(markup, { ingress: { path: `/${markup}/` } }) })
  rooms.addApp('js', { app: makeApp('js', { ingress: { host: 'javascript:alert(3)//', path: '/' } }) })
  rooms.addApp('userinfo', { app: makeApp('userinfo', { ingress: { host: 'shop@evil.test', path: '/' } }) })
  rooms.addApp('slashes', { app: makeApp('slashes', { ingress: { path: '//evil.test/' } }) })
  rooms.decisions.push(makeDecision('00000001', markup, 1, 2, `reason ${markup}`))
  rooms.plugins.set(markup, makePlugin(markup, { state: 'failed', problem: `plugin ${markup}` }))
  rooms.appendEvent('app.scaled', markup, { [markup]: markup, nested: { markup } })
  const { url } = await serve(t, { ...rooms, deps })
  const { page, faults } = await openPage(browser, url)
  t.after(() => page.close())
  await page.getByText(`plugin ${markup}`).waitFor()

  for (const summary of await page.locator('summary').all()) await summary.click()
  await page.getByText('it did not answer').waitFor()
  const text = await page.locator('main').innerText()
  for (const kind of ['problem', 'unready', 'reason', 'plugin']) assert.ok(text.includes(`${kind} ${markup}`), kind)
  assert.equal(await page.locator('main img, main script, main b:text-is("bold")').count(), 0)
  const links = await page
    .locator('main a')
    .evaluateAll((all) => all.map((a) => new URL((a as unknown as { href: string }).href).origin))
  assert.deepEqual([...new Set(links)], ['http://127.0.0.1:8080'])
  assert.match(await cardOf(page, 'js').innerText(), /no address/)
  assert.match(await cardOf(page, 'userinfo').innerText(), /no address/)
  assert.deepEqual(faults, [])
})

test('a newcomer is told the next command', skip, async (t) => {
  const { url } = await serve(t, createFakeRooms())
  const { page, faults } = await openPage(browser, url)
  t.after(() => page.close())
  await page.getByText('No app runs yet').waitFor()
  const text = await page.locator('.empty').innerText()
  assert.ok(text.includes(`npx orchestry apply --url ${url} -f -`), text)
  assert.ok(text.includes('npm run demo'), text)
  assert.deepEqual(faults, [])
})

test('after a restart of the server the page finds it again by itself', skip, async (t) => {
  const rooms = createFakeRooms()
  rooms.addApp('shop')
  const first = await serve(t, rooms)
  const { page } = await openPage(browser, first.url)
  t.after(() => page.close())
  await waitFor(async () => (await stateOf(page)) === 'live')
  await first.close()
  await waitFor(async () => (await stateOf(page))?.startsWith('reconnecting'))
  assert.ok(await page.locator('main.stale').isVisible(), 'what is shown is marked as old')
  rooms.addApp('after')
  await serve(t, rooms, first.port)
  await cardOf(page, 'after').waitFor()
  assert.equal(await stateOf(page), 'live')
  assert.equal(await page.locator('main.stale').count(), 0)
})

test('a page that nobody looks at lets go of its connection, and takes it up again', skip, async (t) => {
  const rooms = createFakeRooms()
  rooms.addApp('shop')
  const { url } = await serve(t, rooms)
  const { page, faults } = await openPage(browser, url)
  t.after(() => page.close())
  await cardOf(page, 'shop').waitFor()
  const hide = (hidden: boolean) =>
    page.evaluate(`Object.defineProperty(document, 'hidden', { value: ${hidden}, configurable: true })
      document.dispatchEvent(new Event('visibilitychange'))`)
  const ended = page.waitForEvent('requestfailed', (request) => request.url().endsWith('/api/v1/stream'))
  await hide(true)
  await ended
  rooms.addApp('later')
  await hide(false)
  await cardOf(page, 'later').waitFor()
  assert.equal(await stateOf(page), 'live')
  assert.deepEqual(faults, [])
})

test('it fits a phone, and is dark where that is wanted', skip, async (t) => {
  const rooms = createFakeRooms()
  const long = 'a-name-as-long-as-names-may-be-'.repeat(2)
  rooms.addApp(long)
  rooms.decisions.push(makeDecision('00000001', long, 1, 2, 'x'.repeat(500)))
  const { url } = await serve(t, rooms)
  const grounds: string[] = []
  for (const colorScheme of ['light', 'dark'] as const) {
    const { page, faults } = await openPage(browser, url, { viewport: { width: 360, height: 740 }, colorScheme })
    await cardOf(page, long).waitFor()
    const [wide, ground] = await page.evaluate<[number, string]>(
      '[document.documentElement.scrollWidth, getComputedStyle(document.body).backgroundColor]',
    )
    assert.equal(wide, 360)
    grounds.push(ground)
    assert.deepEqual(faults, [])
    await page.close()
  }
  assert.deepEqual(grounds, ['rgb(246, 247, 249)', 'rgb(17, 21, 27)'])
})
