/** IPC-01: whoever owns a sandbox process writes bytes that are no frames, or frames that never end. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { forge } from './forged-host.ts'

describe('IPC-01 a forged sandbox process', () => {
  const ways: readonly [string, string][] = [
    ['bad-json', 'writes a header that is no JSON'],
    ['no-text', 'writes a header that is no text'],
    ['huge-length', 'announces a frame of 2^32-1 bytes'],
    ['zero-length', 'announces a frame of no bytes'],
    ['header-beyond-frame', 'announces a header longer than its frame'],
    ['drip', 'drips a frame byte by byte'],
  ]
  for (const [way, title] of ways) {
    test(`that ${title} is killed for a violation, and nothing is thrown upward`, async (t) => {
      const forged = await forge(t, way)
      const [answer, incident] = await Promise.all([forged.call({ timeoutMs: 5_000 }), forged.end()])
      assert.ok(!answer.ok && answer.code === 'ORC_SANDBOX_PROTOCOL', JSON.stringify(answer))
      assert.equal(incident.code, 'ORC_SANDBOX_PROTOCOL')
    })
  }

  test('that ends its channel within a frame is gone, and its call fails', async (t) => {
    const forged = await forge(t, 'truncated')
    const [answer] = await Promise.all([forged.call({ timeoutMs: 5_000 }), forged.end()])
    assert.ok(!answer.ok && answer.code === 'ORC_SANDBOX_CRASHED', JSON.stringify(answer))
  })

  for (const way of ['slow-drip', 'silence']) {
    test(`that says nothing whole (${way}) is killed, although its call had time left`, async (t) => {
      const forged = await forge(t, way)
      const [answer, incident] = await Promise.all([forged.call({ timeoutMs: 20_000 }), forged.end()])
      assert.ok(!answer.ok, JSON.stringify(answer))
      assert.match(incident.code, /^ORC_SANDBOX_(TIMEOUT|PROTOCOL)$/)
    })
  }
})
