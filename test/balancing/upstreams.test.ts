import assert from 'node:assert/strict'
import { test } from 'node:test'
import { endpointsOf, nextUpstream, type Wanted } from '../../runtime/balancing/upstreams.ts'
import type { Rotation } from '../../runtime/reconcile/reconcile.ts'

const endpoint = (id: string) => ({ id, host: '127.0.0.1', port: 4000 + id.charCodeAt(0) })
const placed = (id: string, rotation: Rotation, isRunning = true) => ({ ...endpoint(id), rotation, isRunning })
const wanted = (ids: string, draining = '', path = '/shop/'): Wanted => ({
  route: { path },
  endpoints: ids.split('').map(endpoint),
  draining: draining.split('').map(endpoint),
})

test('only serving replicas take requests, draining ones finish theirs, all others are left out', () => {
  const instances = [
    placed('f', 'serving'),
    placed('a', 'starting'),
    placed('b', 'serving'),
    placed('c', 'unhealthy'),
    placed('d', 'draining'),
    placed('e', 'stopping'),
    placed('g', 'serving', false),
  ]
  assert.deepEqual(endpointsOf(instances), { endpoints: [endpoint('b'), endpoint('f')], draining: [endpoint('d')] })
})

test('the first generation is the time, later ones grow by at least one', () => {
  const first = nextUpstream('shop', undefined, wanted('a'), 5_000)
  assert.equal(first.generation, 5_000)
  assert.equal(nextUpstream('shop', first, wanted('ab'), 5_000).generation, 5_001)
  assert.equal(nextUpstream('shop', first, wanted('ab'), 9_000).generation, 9_000)
  assert.equal(nextUpstream('shop', first, wanted('ab'), 1_000).generation, 5_001)
})

const base = nextUpstream('shop', undefined, wanted('abc', 'd'), 1)
const changes: [what: string, next: Wanted, isSame: boolean][] = [
  ['the same', wanted('abc', 'd'), true],
  ['another order', wanted('cab', 'd'), true],
  ['one more', wanted('abce', 'd'), false],
  ['one less', wanted('ab', 'd'), false],
  ['nothing draining', wanted('abc'), false],
  ['one that drains', wanted('ab', 'cd'), false],
  ['another path', wanted('abc', 'd', '/other/'), false],
  ['a host', { ...wanted('abc', 'd'), route: { host: 'shop.example', path: '/shop/' } }, false],
  [
    'another port',
    { ...wanted('bc', 'd'), endpoints: [{ ...endpoint('a'), port: 1 }, endpoint('b'), endpoint('c')] },
    false,
  ],
]
for (const [what, next, isSame] of changes)
  test(`${what} is ${isSame ? 'the same' : 'a new'} generation`, () => {
    const upstream = nextUpstream('shop', base, next, 2)
    assert.equal(upstream === base, isSame)
    assert.equal(upstream.generation, isSame ? 1 : 2)
  })

test('fields that are not part of an endpoint do not reach the load balancer', () => {
  const view = { ...endpoint('a'), rotation: 'serving', pid: 5 }
  assert.deepEqual(nextUpstream('shop', undefined, { ...wanted(''), endpoints: [view] }, 1).endpoints, [endpoint('a')])
})
