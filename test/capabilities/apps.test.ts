import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AppView, CapabilityRecord } from '@orchestry/sdk'
import { createAppsCapability } from '../../runtime/capabilities/apps.ts'
import { bindAs } from '../support/bound.ts'

const view = (name: string, team: string): AppView => ({
  name,
  labels: { team },
  replicas: 1,
  healthyReplicas: 1,
  minReplicas: 1,
  maxReplicas: 10,
  targets: {},
  scaleOutThresholdPct: 80,
  scaleInThresholdPct: 20,
  windowSeconds: 60,
})

function make(grant: Omit<Extract<CapabilityRecord, { kind: 'apps' }>, 'kind'>) {
  const scaled: unknown[] = []
  const capability = createAppsCapability({
    views: () => [view('shop', 'web'), view('mail', 'back')],
    scale: async (...args) => void scaled.push(args),
  })
  return { scaled, capability, ...bindAs(capability, { kind: 'apps', ...grant }) }
}
const denied = { code: 'ORC_CAPABILITY_DENIED' }

test('apps are read, all of them or those the selector names', async () => {
  const all = make({ read: true })
  assert.deepEqual(
    ((await all.call('apps.list')) as AppView[]).map(({ name }) => name),
    ['shop', 'mail'],
  )
  const web = make({ read: true, selector: { team: 'web' } })
  assert.deepEqual(
    ((await web.call('apps.list')) as AppView[]).map(({ name }) => name),
    ['shop'],
  )
  assert.deepEqual(await web.call('apps.get', 'shop'), view('shop', 'web'))
  assert.equal(await web.call('apps.get', 'mail'), null, 'not granted and not there are the same')
  assert.equal(await web.call('apps.get', 'none'), null)
})

test('without read nothing is read', async () => {
  const { call } = make({ scale: { maxReplicas: 5 } })
  await assert.rejects(call('apps.list'), denied)
  await assert.rejects(call('apps.get', 'shop'), denied)
})

test('DEC-02: scaling stays within the bound and the selector, and says who asked', async () => {
  const { call, scaled } = make({ scale: { maxReplicas: 5 }, selector: { team: 'web' } })
  await call('apps.scale', 'shop', 5, 'sale')
  assert.deepEqual(scaled, [['shop', 5, 'sale', { plugin: '@test/plugin', instance: 'one' }]])
  await assert.rejects(call('apps.scale', 'shop', 6, 'sale'), { ...denied, message: /granted 5/ })
  await assert.rejects(call('apps.scale', 'mail', 2, 'sale'), { ...denied, message: /no granted app "mail"/ })
  await assert.rejects(call('apps.scale', 'none', 2, 'sale'), { ...denied, message: /no granted app "none"/ })
  await assert.rejects(make({ read: true }).call('apps.scale', 'shop', 2, 'sale'), denied)
  assert.equal(scaled.length, 1)
})

for (const args of [
  ['shop', -1, 'r'],
  ['shop', 1.5, 'r'],
  ['shop', '5', 'r'],
  ['shop', 1e9, 'r'],
  ['shop', 5, ''],
  ['shop', 5],
  [{}, 5, 'r'],
]) {
  test(`DEC-01: scale(${JSON.stringify(args)}) does not fit`, async () => {
    const { call, scaled } = make({ scale: { maxReplicas: 100_000 } })
    await assert.rejects(call('apps.scale', ...args), { code: 'ORC_CAPABILITY_ARGUMENT' })
    assert.equal(scaled.length, 0)
  })
}

test('a grant of nothing is refused', () => {
  const { capability } = make({})
  assert.match(capability.check?.({ kind: 'apps' })[0] ?? '', /neither/)
  assert.deepEqual(capability.check?.({ kind: 'apps', read: true }), [])
})
