import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createHarness } from '@orchestry/sdk/testing'
import plugin from '../../plugins-examples/event-log/plugin.ts'

const scaled = (id: string) => ({
  id,
  type: 'app.scaled',
  atMs: 0,
  app: 'shop',
  source: 'runtime',
  data: { from: 1, to: 3, reason: 'rush' },
})

describe('the event log', () => {
  test('writes a line for each event, and none for a repetition', async () => {
    const harness = createHarness(plugin, { grants: { log: true, kv: true } })
    for (const id of ['1', '1', '2', '2']) await harness.call('eventHandler', 'handle', scaled(id))
    assert.deepEqual(
      harness.logs.map(({ message }) => message),
      ['shop: 1 → 3 (rush)', 'shop: 1 → 3 (rush)'],
    )
    assert.equal(harness.kv.get('last:shop'), '2')
  })
})
