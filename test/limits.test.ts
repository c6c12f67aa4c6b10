/** What a plugin gets: the least of what it asks for, what the operator allows, and the ceilings. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { readConfig } from '../runtime/config.ts'
import type { OrchestryError } from '../runtime/errors.ts'
import { effectiveLimits, limitBounds, pluginCeilings, pluginDefaults } from '../runtime/limits.ts'

describe('the limits of a plugin', () => {
  const cases: [string, number | undefined, number | undefined, number, string][] = [
    ['nothing asked, nothing said: the default', undefined, undefined, pluginDefaults.memoryMb, 'default'],
    ['less asked than the default', 16, undefined, 16, 'manifest'],
    ['more asked than anybody gets', 512, undefined, pluginCeilings.memoryMb, 'ceiling'],
    ['more asked than the operator allows', 128, 64, 64, 'policy'],
    ['less asked than the operator allows', 48, 64, 48, 'manifest'],
    ['a default above what the operator allows', undefined, 24, 24, 'policy'],
    ['the operator cannot raise a default', undefined, 200, pluginDefaults.memoryMb, 'default'],
  ]
  for (const [name, asked, allowed, expected, by] of cases) {
    test(name, () => {
      const limits = asked === undefined ? undefined : { memoryMb: asked }
      const policy = allowed === undefined ? {} : { memoryMb: allowed }
      assert.equal(effectiveLimits(limits, false, policy).memoryMb, expected)
      assert.equal(limitBounds(limits, policy).memoryMb, by)
    })
  }
})

describe('the setting pluginLimits', () => {
  test('is read from its text', () => {
    const { pluginLimits } = readConfig({ pluginLimits: 'memoryMb=64, cpuMs=500' }, {})
    assert.deepEqual(pluginLimits, { memoryMb: 64, cpuMs: 500 })
    assert.deepEqual(readConfig({}, { ORCHESTRY_PLUGIN_LIMITS: 'hostCalls=0' }).pluginLimits, { hostCalls: 0 })
    assert.deepEqual(readConfig({}, {}).pluginLimits, {})
  })
  const wrong = [
    'memory=64',
    'memoryMb',
    'memoryMb=',
    'memoryMb=lots',
    'memoryMb=-1',
    'memoryMb=1e2',
    'memoryMb=4',
    'memoryMb=9999',
    'memoryMb=64,memoryMb=32',
    'memoryMb=64,',
    '__proto__=1',
    'memoryMb=64=2',
  ]
  for (const text of wrong) {
    test(`refuses the start with ${JSON.stringify(text)}, and says what is allowed`, () => {
      assert.throws(
        () => readConfig({ pluginLimits: text }, {}),
        (thrown: OrchestryError) => {
          assert.equal(thrown.code, 'ORC_CONFIG_INVALID')
          assert.match(thrown.message, /ORCHESTRY_PLUGIN_LIMITS.*memoryMb \(8 to 256\).*logKbPerMin \(1 to 3840\)/)
          return true
        },
      )
    })
  }
})
