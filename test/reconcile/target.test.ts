import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AppRecord } from '../../runtime/apps/app.ts'
import {
  afterChange,
  afterFailures,
  afterSettled,
  type Memory,
  specOfVersion,
  wantedVersion,
} from '../../runtime/reconcile/target.ts'
import { sampleSpec } from '../support/fake-apps.ts'

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
const good: Memory = { isRouted: true, good: { version: 'v1', app: sampleSpec('shop') } }
const refused: Memory = { ...good, refused: { version: 'v2', because: 'no such image.' } }

test('the applied version is wanted, unless it was refused', () => {
  assert.equal(wantedVersion(record('v2'), good).version, 'v2')
  assert.equal(wantedVersion(record('v2'), refused).version, 'v1')
  assert.equal(wantedVersion(record('v3'), refused).version, 'v3')
})

test('a version is refused after three rounds, when there is one to go back to', () => {
  assert.equal(afterFailures(record('v2'), good, 2, 'x'), undefined)
  assert.deepEqual(afterFailures(record('v2'), good, 3, 'x')?.refused, { version: 'v2', because: 'x' })
  assert.equal(afterFailures(record('v2'), {}, 30, 'x'), undefined)
  assert.equal(afterFailures(record('v1'), good, 30, 'x'), undefined)
  assert.equal(afterFailures(record('v2'), refused, 30, 'x'), undefined)
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
  assert.equal(afterChange(record('v2'), record('v1'), good), undefined)
})

test('the spec of a version is the applied one, or the remembered one', () => {
  const now = record('v2')
  assert.equal(specOfVersion('v2', now, good), now.app)
  assert.equal(specOfVersion('v1', now, good), good.good?.app)
  assert.equal(specOfVersion('v0', now, good), undefined)
})
