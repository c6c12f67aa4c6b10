/** How the operator says what the sandbox has to hold. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readConfig } from '../../runtime/config.ts'
import type { OrchestryError } from '../../runtime/errors.ts'

test('the tier is the best there is and the floor 1, unless the operator says otherwise', () => {
  const { sandboxTier, sandboxFloor } = readConfig({}, {})
  assert.deepEqual([sandboxTier, sandboxFloor], ['best', 1])
  const env = { ORCHESTRY_SANDBOX_TIER: '3', ORCHESTRY_SANDBOX_FLOOR: '2' }
  assert.deepEqual([readConfig({}, env).sandboxTier, readConfig({}, env).sandboxFloor], ['3', 2])
  assert.deepEqual(readConfig({ sandboxTier: '0', sandboxFloor: 0 }, env).sandboxTier, '0')
})

test('what is no tier is refused, saying what is one', () => {
  const cases: [NodeJS.ProcessEnv, RegExp][] = [
    [{ ORCHESTRY_SANDBOX_TIER: 'strict' }, /ORCHESTRY_SANDBOX_TIER .*"strict"; it must be one of best, 3, 2, 1, 0/],
    [{ ORCHESTRY_SANDBOX_FLOOR: '4' }, /ORCHESTRY_SANDBOX_FLOOR .*"4"; it must be a whole number from 0 to 3/],
  ]
  for (const [env, wanted] of cases)
    assert.throws(
      () => readConfig({}, env),
      (error: OrchestryError) => error.code === 'ORC_CONFIG_INVALID' && wanted.test(error.message),
    )
})
