/** IPC-03: whoever owns a sandbox process names others, adds keys, and nests deeply. Who it is belongs to its channel. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { forge } from './forged-host.ts'

describe('IPC-03 a forged sandbox process', () => {
  const violations: readonly [string, string][] = [
    ['other-call', 'acts in the name of a call that is not its own'],
    ['other-plugin', 'names another plugin in a message'],
    ['unknown-op', 'says something that is not in the protocol'],
    ['inherited-op', 'says something that every object has'],
    ['extra-key', 'adds a key'],
    ['reserved-key', 'adds __proto__'],
    ['escaped-reserved-key', 'adds __proto__ in other letters'],
    ['deep', 'nests five thousand levels'],
    ['odd-operation', 'asks for an operation of no known form'],
    ['long-instance', 'names an instance that cannot be'],
    ['negative-id', 'answers with a negative id'],
    ['text-for-an-id', 'answers with a text as id'],
  ]
  for (const [way, title] of violations) {
    test(`that ${title} is killed for a violation, and nothing was done for it`, async (t) => {
      const forged = await forge(t, way)
      const [answer, incident] = await Promise.all([forged.call({ timeoutMs: 5_000 }), forged.end()])
      assert.ok(!answer.ok && answer.code === 'ORC_SANDBOX_PROTOCOL', JSON.stringify(answer))
      assert.equal(incident.code, 'ORC_SANDBOX_PROTOCOL')
      assert.deepEqual(forged.served, [])
    })
  }

  test('that acts as another instance of its plugin has no call of that instance to do it in', async (t) => {
    const forged = await forge(t, 'other-instance', 2)
    const [answer, incident] = await Promise.all([forged.call({ timeoutMs: 5_000 }), forged.end()])
    assert.ok(!answer.ok && answer.code === 'ORC_SANDBOX_PROTOCOL', JSON.stringify(answer))
    assert.equal(incident.code, 'ORC_SANDBOX_PROTOCOL')
    assert.deepEqual(forged.served, [])
  })

  for (const way of ['deep-answer', 'reserved-answer', 'too-many-answers']) {
    test(`whose answer is not to be read (${way}) fails its own call`, async (t) => {
      const forged = await forge(t, way)
      const answer = await forged.call()
      assert.ok(!answer.ok && answer.code === 'ORC_SANDBOX_PROTOCOL', JSON.stringify(answer))
      assert.equal(({} as { polluted?: number }).polluted, undefined)
    })
  }
})
