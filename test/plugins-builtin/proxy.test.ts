import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { type Context, Manifest, type ProxyCapability, type Upstream } from '@orchestry/sdk'
import { Compile } from 'typebox/compile'
import plugin from '../../plugins-builtin/proxy/plugin.ts'
import { createProxyCapability } from '../../runtime/capabilities/proxy.ts'
import { makeDataplane } from '../support/dataplane.ts'
import { startReplica } from '../support/proxy.ts'

test('the manifest is valid and asks for the proxy alone', async () => {
  const text = await readFile(new URL('../../plugins-builtin/proxy/package.json', import.meta.url), 'utf8')
  const { orchestry } = JSON.parse(text) as { orchestry: Manifest }
  assert.ok(Compile(Manifest).Check(orchestry))
  assert.deepEqual(
    orchestry.capabilities?.map(({ kind }) => kind),
    ['proxy'],
  )
})

test('it routes real traffic through its capability, tells status and metrics, and takes the route away', async (t) => {
  const { dataplane, url } = await makeDataplane(t)
  await dataplane.start()
  const replica = await startReplica(t, 'a')
  const { host, port } = replica.endpoint
  const { operations } = createProxyCapability(dataplane).use({ kind: 'proxy' }, { plugin: 'p', instance: 'proxy' })
  const invocation = { hook: 'loadBalancer', endpoints: new Set([`${host}:${port}`]), deadlineMs: 0 }
  const bind =
    (name: string) =>
    async (...args: unknown[]) =>
      operations[name]?.(args, invocation)
  const proxy = Object.fromEntries(
    Object.keys(operations).map((name) => [name, bind(name)]),
  ) as unknown as ProxyCapability
  const tools = {
    config: {},
    ctx: { proxy } as Context,
    hold: (reason: string) => ({ hold: true as const, reason }),
  }
  const balancer = plugin.loadBalancer
  assert.ok(balancer?.metrics)
  const upstream: Upstream = {
    app: 'shop',
    generation: 1,
    route: { path: '/shop/' },
    endpoints: [replica.endpoint],
    draining: [],
  }
  await balancer.apply(upstream, tools)
  assert.equal(await (await fetch(`${url()}/shop/`)).text(), 'a')
  assert.equal((await balancer.status('shop', tools))?.generation, 1)
  assert.equal(await balancer.status('nobody', tools), null)
  const metrics = await balancer.metrics(null, tools)
  assert.ok(metrics.some(({ metric }) => metric === 'latencyP95Ms'))
  await replica.stop()
  assert.equal((await fetch(`${url()}/shop/`)).status, 502)
  const signals = await balancer.signals?.(null, tools)
  assert.deepEqual(
    signals?.map(({ app, id, failed }) => [app, id, failed > 0]),
    [['shop', 'a', true]],
  )
  await balancer.remove('shop', tools)
  assert.equal((await fetch(`${url()}/shop/`)).status, 404)
})
