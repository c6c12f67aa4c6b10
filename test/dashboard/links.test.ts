import assert from 'node:assert/strict'
import { test } from 'node:test'
import { appUrl } from '../../runtime/dashboard/page/links.ts'

const proxy = { host: '127.0.0.1', port: 8080 }
const everywhere = { host: '0.0.0.0', port: 8080 }
const cases: [string, Parameters<typeof appUrl>[0], Parameters<typeof appUrl>[1], string | undefined][] = [
  ['a path', { path: '/shop/' }, proxy, 'http://127.0.0.1:8080/shop/'],
  ['a host of its own', { host: 'shop.test', path: '/' }, proxy, 'http://shop.test:8080/'],
  ['a proxy that listens everywhere', { path: '/shop/' }, everywhere, 'http://box.lan:8080/shop/'],
  ['an IPv6 address', { path: '/' }, { host: '::1', port: 8080 }, 'http://[::1]:8080/'],
  ['capital letters', { host: 'Shop.Test', path: '/' }, proxy, 'http://shop.test:8080/'],
  ['no proxy', { path: '/shop/' }, undefined, undefined],
  ['a path that looks like a host', { path: '//evil.test/' }, proxy, 'http://127.0.0.1:8080//evil.test/'],
  ['a path with what belongs elsewhere', { path: '/a?b#c/' }, proxy, 'http://127.0.0.1:8080/a%3Fb%23c/'],
  ['a scheme for a host', { host: 'javascript:alert(1)//', path: '/' }, proxy, undefined],
  ['a user for a host', { host: 'shop@evil.test', path: '/' }, proxy, undefined],
  ['a path for a host', { host: 'evil.test/x', path: '/' }, proxy, undefined],
  ['a host that is none', { host: 'a b', path: '/' }, proxy, undefined],
]
for (const [title, route, at, url] of cases)
  test(`the address of an app: ${title}`, () => assert.equal(appUrl(route, at, 'box.lan'), url))
