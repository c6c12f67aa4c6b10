import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Upstream } from '@orchestry/sdk'
import { createProxyCapability } from '../../runtime/capabilities/proxy.ts'
import type { Invocation } from '../../runtime/sandbox/sandbox.ts'

function use(endpoints: string[]) {
  const applied: Upstream[] = []
  const dataplane = {
    apply: async (upstream: Upstream) => void applied.push(upstream),
    remove: async () => {},
    status: async (app: string) => ({ app, generation: 1, endpoints: [] }),
    traffic: async () => [{ app: 'shop', metric: 'rps', value: 3 }],
    signals: async () => [{ app: 'shop', id: 'a', answered: 1, failed: 2 }],
  }
  const caller = { plugin: '@x/lb', instance: 'lb' }
  const { operations } = createProxyCapability(dataplane).use({ kind: 'proxy' }, caller)
  const invocation: Invocation = { hook: 'loadBalancer', endpoints: new Set(endpoints), deadlineMs: 0 }
  const call = async (operation: string, ...args: unknown[]) => operations[operation]?.(args, invocation)
  return { applied, call }
}

const upstream: Upstream = {
  app: 'shop',
  generation: 1,
  route: { path: '/shop/' },
  endpoints: [{ id: 'a', host: '10.0.0.1', port: 80 }],
  draining: [{ id: 'b', host: '::1', port: 81 }],
}
const handedOut = ['10.0.0.1:80', '::1:81']

test('what was granted reaches the data plane', async () => {
  const { call, applied } = use(handedOut)
  await call('apply', upstream)
  assert.deepEqual(applied, [upstream])
  assert.deepEqual(await call('status', 'shop'), { app: 'shop', generation: 1, endpoints: [] })
  assert.deepEqual(await call('traffic'), [{ app: 'shop', metric: 'rps', value: 3 }])
  assert.deepEqual(await call('signals'), [{ app: 'shop', id: 'a', answered: 1, failed: 2 }])
  await call('remove', 'shop')
})

for (const missing of [0, 1])
  test(`an endpoint that was not handed to the call is refused (${handedOut[missing]})`, async () => {
    const { call, applied } = use(handedOut.filter((_, index) => index !== missing))
    await assert.rejects(call('apply', upstream), { code: 'ORC_CAPABILITY_DENIED' })
    assert.deepEqual(applied, [])
  })

const bad: [what: string, operation: string, args: unknown[], said: RegExp][] = [
  ['no upstream', 'apply', [], /ctx\.proxy\.apply: argument \/0 must be object/],
  ['an upstream without a route', 'apply', [{ ...upstream, route: undefined }], /route/],
  ['a port beyond all ports', 'apply', [{ ...upstream, endpoints: [{ id: 'a', host: 'x', port: 70_000 }] }], /port/],
  [
    'a path without its slashes',
    'apply',
    [{ ...upstream, route: { path: 'shop' } }],
    /begins and ends with a slash.*"shop"/,
  ],
  ['a path with a line break', 'apply', [{ ...upstream, route: { path: '/a\r\nb/' } }], /begins and ends/],
  ['no name', 'remove', [''], /ctx\.proxy\.(remove|status): argument \/0/],
  ['an object for a name', 'status', [{}], /ctx\.proxy\.(remove|status): argument \/0/],
]
for (const [what, operation, args, said] of bad)
  test(`${what} is refused with what would be right`, async () => {
    const { call, applied } = use(handedOut)
    await assert.rejects(call(operation, ...args), (error: Error & { code: string }) => {
      assert.equal(error.code, 'ORC_CAPABILITY_ARGUMENT')
      assert.match(error.message, said)
      return true
    })
    assert.deepEqual(applied, [])
  })
