import assert from 'node:assert/strict'
import { test } from 'node:test'
import { prefixedLocation, requestHeaders, responseHeaders } from '../../runtime/dataplane/headers.ts'

const forwarded = { host: 'shop.example:8080', remoteAddress: '10.0.0.9', protocol: 'http', prefix: '/shop' } as const
const said = [
  ...['Host', 'shop.example:8080', 'X-Forwarded-Host', 'shop.example:8080'],
  ...['X-Forwarded-For', '10.0.0.9', 'X-Forwarded-Proto', 'http', 'X-Forwarded-Prefix', '/shop'],
]

test('fields of the app pass with their case, their order and their repetitions', () => {
  const fields = ['Accept', 'a/b', 'X-One', '1', 'x-one', '2', 'Cookie', 'a=b']
  assert.deepEqual(requestHeaders(fields, forwarded), [...fields, ...said])
})

for (const name of [
  ...[
    'Connection',
    'Keep-Alive',
    'Proxy-Connection',
    'Proxy-Authorization',
    'TE',
    'Trailer',
    'Transfer-Encoding',
    'Upgrade',
  ],
  ...[
    'X-Forwarded-For',
    'X-Forwarded-Proto',
    'X-Forwarded-Host',
    'X-Forwarded-Prefix',
    'X-Forwarded-Port',
    'X-Forwarded-User',
  ],
  ...['X_Forwarded_For', 'Forwarded', 'X-Real-IP', 'x_real_ip', 'Host', 'Expect'],
])
  test(`${name} of a client does not reach the app`, () => {
    assert.deepEqual(requestHeaders([name, 'forged'], forwarded), said)
  })

test('fields that Connection names are dropped, but it cannot take away what we say', () => {
  const fields = ['X-Hop', '1', 'Connection', 'close, X-Hop, X-Forwarded-For', 'X-End', '2']
  assert.deepEqual(requestHeaders(fields, forwarded), ['X-End', '2', ...said])
})

test('answers lose what is about the connection and keep every cookie', () => {
  const raw = ['Set-Cookie', 'a=1', 'Transfer-Encoding', 'chunked', 'Set-Cookie', 'b=2', 'Keep-Alive', 'timeout=5']
  assert.deepEqual(
    responseHeaders(
      raw.map((field) => Buffer.from(field)),
      { host: 'h', prefix: '' },
    ),
    ['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2'],
  )
})

const locations: [location: string, prefix: string, expected: string][] = [
  ['/login', '/shop', '/shop/login'],
  ['/', '/shop', '/shop/'],
  ['/shop/login', '/shop', '/shop/login'],
  ['/shop', '/shop', '/shop'],
  ['/shopping', '/shop', '/shop/shopping'],
  ['next', '/shop', 'next'],
  ['?page=2', '/shop', '?page=2'],
  ['//other.example/x', '/shop', '//other.example/x'],
  ['https://other.example/x', '/shop', 'https://other.example/x'],
  ['http://Shop.Example:8080/login', '/shop', 'http://Shop.Example:8080/shop/login'],
  ['http://shop.example:8080/shop/login', '/shop', 'http://shop.example:8080/shop/login'],
  ['http://shop.example:8080', '/shop', 'http://shop.example:8080'],
  ['/login', '', '/login'],
]
for (const [location, prefix, expected] of locations)
  test(`under ${prefix || 'no prefix'} a redirect to ${location} reads ${expected}`, () => {
    assert.equal(prefixedLocation(location, { host: 'shop.example:8080', prefix }), expected)
  })
