import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createHarness } from '@orchestry/sdk/testing'
import plugin from '../../plugins-examples/queue-scaler/plugin.ts'

describe('the queue scaler', () => {
  const cases: [number, number, number][] = [
    [0, 50, 0],
    [1, 50, 1],
    [50, 50, 1],
    [51, 50, 2],
    [1000, 20, 50],
  ]
  for (const [depth, jobsPerReplica, replicas] of cases) {
    test(`wants ${replicas} replicas for ${depth} jobs at ${jobsPerReplica} each`, async () => {
      const harness = createHarness(plugin, { config: { jobsPerReplica } })
      assert.deepEqual(await harness.decide({ metrics: { queueDepth: depth } }), {
        replicas,
        reason: `${depth} jobs are waiting`,
      })
    })
  }

  test('holds when nobody counted the queue', async () => {
    assert.deepEqual(await createHarness(plugin).decide({}), { hold: true, reason: 'no fresh sample of queueDepth' })
  })
})
