import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AppRecord } from '../../runtime/apps/app.ts'
import {
  afterChange,
  afterRefusal,
  afterSettled,
  hasFailedTooOften,
  type Memory,
  specOfVersion,
  wantedVersion,
  wayBack,
} from '../../runtime/reconcile/target.ts'
import { sampleCheck, sampleSpec } from '../support/fake-apps.ts'

const record = (version: string, more: Partial<AppRecord> = {}): AppRecord => ({
  app: sampleSpec('shop'),
  source: '',
  version,
  desired: 2,
  isRunning: true,
  paused: 'none',
  createdAtMs: 0,
  updatedAtMs: 0,
  revision: 1,
  ...more,
})
const { rollout } = sampleSpec('shop')
const good: Memory = { isRouted: true, good: { version: 'v1', app: sampleSpec('shop') } }
const refused: Memory = { ...good, refused: { version: 'v2', because: 'no such image.' } }

test('the applied version is wanted, unless it was refused', () => {
  assert.equal(wantedVersion(record('v2'), good).version, 'v2')
  assert.equal(wantedVersion(record('v2'), refused).version, 'v1')
  assert.equal(wantedVersion(record('v3'), refused).version, 'v3')
})

test('there is a way back from a version only to another one that was good, and only once', () => {
  assert.equal(wayBack(record('v2'), good)?.version, 'v1')
  assert.equal(wayBack(record('v2'), {}), undefined)
  assert.equal(wayBack(record('v1'), good), undefined)
  assert.equal(wayBack(record('v2'), refused), undefined)
})

test('three rounds are too many, and one while nobody serves', () => {
  const after = (failures: number[], isAnyServing: boolean) =>
    failures.map((count) => hasFailedTooOften(count, isAnyServing))
  assert.deepEqual(after([0, 2, 3, 30], true), [false, false, true, true])
  assert.deepEqual(after([0, 1, 3], false), [false, true, true])
})

test('a version that is given up is remembered with the reason, and the way back is a rollout too', () => {
  const { refused: given, rollout } = afterRefusal(record('v2'), good, 'x', 5)
  assert.deepEqual(given, { version: 'v2', because: 'x' })
  assert.deepEqual(rollout, { version: 'v1', from: 'v2', startedAtMs: 5, failures: 0, refused: 'v2' })
  assert.deepEqual(afterRefusal(record('v2'), {}, 'x', 5), {})
})

test('what was once fully in rotation is remembered, with its newest spec', () => {
  assert.equal(afterSettled(record('v1'), good), undefined)
  assert.equal(afterSettled(record('v2'), refused), undefined)
  assert.deepEqual(afterSettled(record('v3'), refused), {
    isRouted: true,
    good: { version: 'v3', app: record('v3').app },
  })
  const changed = sampleSpec('shop', { labels: { team: 'web' } })
  assert.equal(afterSettled(record('v1', { app: changed }), good)?.good?.app, changed)
})

test('a new version and a start by hand are new chances, another size is none', () => {
  assert.deepEqual(afterChange(record('v3'), record('v2'), refused), good)
  assert.deepEqual(afterChange(record('v2'), record('v2', { isRunning: false }), refused), good)
  assert.equal(afterChange(record('v2', { desired: 9 }), record('v2'), refused), undefined)
  const scaled = sampleSpec('shop', { labels: { team: 'web' } })
  assert.equal(afterChange(record('v2', { app: scaled }), record('v2'), refused), undefined)
  assert.equal(afterChange(record('v2'), record('v1'), good), undefined)
})

test('the same version that is checked otherwise, or rolled out otherwise, has a new chance', () => {
  for (const more of [{ healthCheck: sampleCheck({ path: '/fine' }) }, { rollout: { ...rollout, minReadySeconds: 9 } }])
    assert.deepEqual(afterChange(record('v2', { app: sampleSpec('shop', more) }), record('v2'), refused), good)
})

test('the spec of a version is the applied one, or the remembered one', () => {
  const now = record('v2')
  assert.equal(specOfVersion('v2', now, good), now.app)
  assert.equal(specOfVersion('v1', now, good), good.good?.app)
  assert.equal(specOfVersion('v0', now, good), undefined)
})
