/** IPC-04: whoever owns a sandbox process answers what was never asked, twice, or too late. The first time ends it. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { forge } from './forged-host.ts'

describe('IPC-04 a forged sandbox process', () => {
  for (const way of ['unasked-answer', 'failure-of-no-call']) {
    test(`that answers a call never made (${way}) is killed, and the call under way may be made again`, async (t) => {
      const forged = await forge(t, way)
      const [answer, incident] = await Promise.all([forged.call({ timeoutMs: 5_000 }), forged.end()])
      assert.ok(!answer.ok && answer.code === 'ORC_HOOK_NOT_SERVING', JSON.stringify(answer))
      assert.equal(incident.code, 'ORC_SANDBOX_PROTOCOL')
    })
  }

  test('that answers twice is killed; the first answer is what counts', async (t) => {
    const forged = await forge(t, 'second-answer')
    const [answer, incident] = await Promise.all([forged.call(), forged.end()])
    assert.deepEqual(answer, { ok: true, value: 'done' })
    assert.equal(incident.code, 'ORC_SANDBOX_PROTOCOL')
  })

  test('that answers after the deadline is not there any more to do so', async (t) => {
    const forged = await forge(t, 'late-answer')
    const [answer, incident] = await Promise.all([forged.call({ timeoutMs: 200 }), forged.end()])
    assert.ok(!answer.ok && answer.code === 'ORC_SANDBOX_TIMEOUT', JSON.stringify(answer))
    assert.equal(incident.code, 'ORC_SANDBOX_TIMEOUT')
  })

  test('that acts in the name of a call that is over is killed, and nothing is done for it', async (t) => {
    const forged = await forge(t, 'late-host-call')
    const [answer, incident] = await Promise.all([forged.call(), forged.end()])
    assert.deepEqual(answer, { ok: true, value: 'done' })
    assert.equal(incident.code, 'ORC_SANDBOX_PROTOCOL')
    assert.deepEqual(forged.served, [])
  })
})
