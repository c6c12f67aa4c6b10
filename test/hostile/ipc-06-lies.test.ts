/** IPC-06: whoever owns a sandbox process says that all is well. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { forge } from './forged-host.ts'

describe('IPC-06 a forged sandbox process', () => {
  test('that answers without having run anything is data like any other, to be clamped by whoever asked', async (t) => {
    const forged = await forge(t, 'liar')
    assert.deepEqual(await forged.call(), { ok: true, value: { replicas: 1e9, reason: 'trust me' } })
    assert.deepEqual(forged.incidents, [])
  })

  test('that spins between calls while its heart beats is killed for the processor time it takes', async (t) => {
    const forged = await forge(t, 'spinner')
    const answer = await forged.call()
    assert.ok(answer.ok, JSON.stringify(answer))
    const incident = await forged.end()
    assert.equal(incident.code, 'ORC_SANDBOX_CPU_EXCEEDED', incident.message)
  })

  test('that spins within a call while its heart beats is killed long before the deadline', async (t) => {
    const forged = await forge(t, 'busy-liar')
    const startedMs = performance.now()
    const [answer, incident] = await Promise.all([forged.call({ timeoutMs: 28_000 }), forged.end()])
    assert.ok(!answer.ok && answer.code === 'ORC_SANDBOX_CPU_EXCEEDED', JSON.stringify(answer))
    assert.equal(incident.code, 'ORC_SANDBOX_CPU_EXCEEDED', incident.message)
    assert.ok(performance.now() - startedMs < 20_000)
  })
})
