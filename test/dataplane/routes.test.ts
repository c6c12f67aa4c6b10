import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildRoutes, matchRoute } from '../../runtime/dataplane/routes.ts'

const table = buildRoutes([
  [{ path: '/shop/' }, 'shop'],
  [{ path: '/shop/admin/' }, 'admin'],
  [{ host: 'Pay.Example', path: '/' }, 'pay'],
  [{ host: 'api.example', path: '/v1/' }, 'api'],
  [{ host: '[::1]', path: '/six/' }, 'six'],
  [{ path: '/shop/' }, 'late'],
])

const cases: [
  host: string,
  target: string,
  expected: [owner: string, path: string, prefix: string] | string | undefined,
][] = [
  ['any', '/shop/', ['shop', '/', '/shop']],
  ['any', '/shop/cart?a=/b/', ['shop', '/cart?a=/b/', '/shop']],
  ['any', '/shop/admin/users', ['admin', '/users', '/shop/admin']],
  ['any', '/shop/administrator', ['shop', '/administrator', '/shop']],
  ['any', '/shop/admin', '/shop/admin/'],
  ['any', '/shop', '/shop/'],
  ['any', '/shop?x=1', '/shop/?x=1'],
  ['any', '/shopping', undefined],
  ['any', '/', undefined],
  ['any', '//shop/x', undefined],
  ['any', '/SHOP/x', undefined],
  ['pay.example', '/shop/x', ['pay', '/shop/x', '']],
  ['PAY.EXAMPLE.:8080', '/a', ['pay', '/a', '']],
  ['api.example:80', '/v1/x', ['api', '/x', '/v1']],
  ['api.example', '/shop/x', ['shop', '/x', '/shop']],
  ['api.example', '/v2/x', undefined],
  ['[::1]:8080', '/six/x', ['six', '/x', '/six']],
  ['', '/shop/x', ['shop', '/x', '/shop']],
  ['any', '/shop/../pay', ['shop', '/../pay', '/shop']],
  ['any', '*', undefined],
]

for (const [host, target, expected] of cases)
  test(`${host}${target} goes to ${JSON.stringify(expected) ?? 'nobody'}`, () => {
    const found = matchRoute(table, host, target)
    if (expected === undefined) assert.equal(found, undefined)
    else if (typeof expected === 'string') assert.deepEqual(found, { redirect: expected })
    else assert.deepEqual(found, { owner: expected[0], path: expected[1], prefix: expected[2] })
  })

test('a catch-all route takes what no other does, and cuts nothing off', () => {
  const all = buildRoutes([
    [{ path: '/' }, 'all'],
    [{ path: '/shop/' }, 'shop'],
  ])
  assert.deepEqual(matchRoute(all, 'x', '/other/y'), { owner: 'all', path: '/other/y', prefix: '' })
  assert.deepEqual(matchRoute(all, 'x', '/shop/y'), { owner: 'shop', path: '/y', prefix: '/shop' })
})

test('a path of sixteen thousand slashes costs no more than the longest route', () => {
  const hostile = '/'.repeat(16_000)
  const startedAt = performance.now()
  for (let round = 0; round < 1_000; round += 1) matchRoute(table, 'x', hostile)
  assert.ok(performance.now() - startedAt < 1_000)
})
