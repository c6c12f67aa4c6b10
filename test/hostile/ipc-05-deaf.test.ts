/** IPC-05: whoever owns a sandbox process stops reading what the host writes. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { forge, growthMb } from './forged-host.ts'

const large = JSON.stringify('x'.repeat(3_900_000))

describe('IPC-05 a forged sandbox process that does not read', () => {
  test('is killed at the deadline of its call', async (t) => {
    const forged = await forge(t, 'deaf')
    const [answer, incident] = await Promise.all([forged.call({ timeoutMs: 300, item: large }), forged.end()])
    assert.ok(!answer.ok && answer.code === 'ORC_SANDBOX_TIMEOUT', JSON.stringify(answer))
    assert.equal(incident.code, 'ORC_SANDBOX_TIMEOUT')
  })

  test('is killed before the host holds much for it, however long its calls may take', async (t) => {
    const forged = await forge(t, 'deaf', 10)
    const startedMs = performance.now()
    const grownMb = await growthMb(async () => {
      const calls = forged.instances.map((_, instance) => forged.call({ timeoutMs: 28_000, instance, item: large }))
      const incident = await forged.end()
      assert.equal(incident.code, 'ORC_SANDBOX_PROTOCOL', incident.message)
      assert.match(incident.message, /does not read/)
      for (const answer of await Promise.all(calls)) assert.ok(!answer.ok, JSON.stringify(answer))
    })
    t.diagnostic(`${grownMb.toFixed(1)} MiB, ${Math.round(performance.now() - startedMs)} ms`)
    assert.ok(performance.now() - startedMs < 20_000)
  })
})
