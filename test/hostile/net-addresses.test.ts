/** NET-01 to NET-05 and NET-12: addresses that nobody granted, in every spelling, behind names, and our own. */
import assert from 'node:assert/strict'
import { networkInterfaces } from 'node:os'
import { type TestContext, test } from 'node:test'
import type { CapabilityRecord } from '@orchestry/sdk'
import { createNetCapability } from '../../runtime/capabilities/net.ts'
import type { Listener } from '../../runtime/capabilities/own-listeners.ts'
import type { Resolve } from '../../runtime/capabilities/resolve.ts'
import { systemClock } from '../../runtime/clock.ts'
import { openHostileGuest } from '../support/hostile-guest.ts'
import { startRecordingServer } from '../support/recording-server.ts'

/** A guest that fetches every URL it is handed, and what became of each. */
async function fetcher(
  t: TestContext,
  grant: Partial<Extract<CapabilityRecord, { kind: 'net' }>>,
  options: { resolve?: Resolve; own?: readonly Listener[] } = {},
) {
  const { own = [], resolve } = options
  const guest = await openHostileGuest(t, {
    capability: createNetCapability({
      clock: systemClock,
      ownListeners: () => own,
      ...(resolve === undefined ? {} : { resolve }),
    }),
    grant: { kind: 'net', why: 'test', schemes: ['http'], ...grant },
    body: 'return Promise.all(input.map((url) => tell(async () => (await ctx.net.fetch(url)).status)))',
  })
  return { guest, fetchEach: async (urls: readonly string[]) => (await guest.attack(urls)) as (string | number)[] }
}
const blocked = (count: number) => Array<string>(count).fill('ORC_NET_BLOCKED_ADDRESS')

test('NET-01: no spelling of an IPv4 address of this machine is connected to; no packet', async (t) => {
  const server = await startRecordingServer(t, undefined, '::')
  const spellings = [
    '127.0.0.1',
    '0.0.0.0',
    '127.1',
    '0x7f.1',
    '2130706433',
    '\uff11\uff12\uff17.0.0.1',
    '0177.0.0.1',
    '0',
  ]
  const { guest, fetchEach } = await fetcher(t, { hosts: ['127.0.0.1', '0.0.0.0'], ports: [server.port] })
  const codes = await fetchEach(spellings.map((host) => `http://${host}:${server.port}/`))
  assert.deepEqual(codes, blocked(spellings.length))
  assert.equal(server.connections(), 0)
  assert.equal(guest.violations.length, spellings.length, 'the operator sees each')
})

test('NET-02: no IPv6 address that holds one of this machine is connected to', async (t) => {
  const server = await startRecordingServer(t, undefined, '::')
  const hosts = ['::1', '::ffff:7f00:1', '::127.0.0.1', '64:ff9b::7f00:1', '2002:7f00:1::', '2001:0:7f00:1::1']
  const { fetchEach } = await fetcher(t, { hosts, ports: [server.port] })
  assert.deepEqual(await fetchEach(hosts.map((host) => `http://[${host}]:${server.port}/`)), blocked(hosts.length))
  assert.equal(server.connections(), 0)
})

test('NET-03: metadata services are out of reach by address and by name, whatever is granted', async (t) => {
  const hosts = ['169.254.169.254', 'fd00:ec2::254', 'metadata.google.internal', 'instance-data.test']
  const found = ['169.254.169.254', 'fd00:ec2::254']
  const resolve: Resolve = async (host) => [{ address: found[host.startsWith('m') ? 0 : 1] ?? '', family: 4 }]
  const addresses = ['public', 'private', 'loopback', '169.254.0.0/16', 'fd00::/8']
  const { fetchEach } = await fetcher(t, { hosts, addresses }, { resolve })
  const urls = ['169.254.169.254', '[fd00:ec2::254]', 'metadata.google.internal', 'instance-data.test']
  assert.deepEqual(await fetchEach(urls.map((host) => `http://${host}/latest/meta-data/`)), blocked(hosts.length))
})

test('NET-04: a name that answers otherwise the second time is asked once', async (t) => {
  const first = await startRecordingServer(t)
  let asked = 0
  const resolve: Resolve = async () => {
    asked += 1
    return [{ address: asked === 1 ? '127.0.0.1' : '10.0.0.1', family: 4 }]
  }
  const grant = { hosts: ['rebind.test'], ports: [first.port], addresses: ['127.0.0.1/32'] }
  const { fetchEach } = await fetcher(t, grant, { resolve })
  assert.deepEqual(await fetchEach([`http://rebind.test:${first.port}/`]), [200])
  assert.deepEqual([asked, first.connections()], [1, 1])
})

test('NET-05: one private address among those of a name refuses them all; no packet to either', async (t) => {
  const server = await startRecordingServer(t, undefined, '0.0.0.0')
  const resolve: Resolve = async () => ['127.0.0.1', '127.0.0.2'].map((address) => ({ address, family: 4 }))
  const grant = { hosts: ['two.test'], ports: [server.port], addresses: ['127.0.0.1/32'] }
  const { fetchEach } = await fetcher(t, grant, { resolve })
  assert.deepEqual(await fetchEach([`http://two.test:${server.port}/`]), blocked(1))
  assert.equal(server.connections(), 0)
})

test('NET-12: our own API is out of reach under its public name and under every address of this machine', async (t) => {
  const api = await startRecordingServer(t, undefined, '0.0.0.0')
  const ofMachine = Object.values(networkInterfaces())
    .flatMap((all) => all ?? [])
    .filter(({ family }) => family === 'IPv4')
    .map(({ address }) => address)
  const hosts = [...new Set(['127.0.0.1', '127.8.8.8', ...ofMachine])]
  const resolve: Resolve = async () => [{ address: ofMachine.at(-1) ?? '127.0.0.1', family: 4 }]
  const grant = {
    hosts: [...hosts, 'orchestry.example'],
    ports: [api.port],
    addresses: ['public', 'loopback', 'private', '0.0.0.0/1', '128.0.0.0/1'],
  }
  const { fetchEach } = await fetcher(t, grant, { resolve, own: [{ host: '0.0.0.0', port: api.port }] })
  const urls = [...hosts, 'orchestry.example'].map((host) => `http://${host}:${api.port}/api/v1/apps`)
  assert.deepEqual(await fetchEach(urls), blocked(urls.length))
  assert.equal(api.connections(), 0)
})
