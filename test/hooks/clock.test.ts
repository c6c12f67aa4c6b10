/** A plugin that failed rests for seconds, also when the clock of the machine is set back by hours meanwhile. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createCaller } from '../../runtime/hooks/caller.ts'
import { effectiveLimits } from '../../runtime/limits.ts'
import type { LiveInstance } from '../../runtime/plugins/plugins.ts'
import type { GuestAnswer, SandboxInstance } from '../../runtime/sandbox/sandbox.ts'
import { createSimulationClock } from '../simulation/clock.ts'

test('a breaker rests as long as it says, whatever the clock says', async () => {
  const clock = createSimulationClock()
  const caller = createCaller({ clock, onIncident: () => undefined })
  let answer: GuestAnswer = { ok: false, code: 'ORC_SANDBOX_TIMEOUT', message: 'no answer' }
  const sandbox = { name: 'one', call: async () => [answer] } as unknown as SandboxInstance
  const instance: LiveInstance = {
    plugin: '@acme/one',
    version: '1.0.0',
    name: 'one',
    isDefault: true,
    limits: effectiveLimits(undefined, false),
    hooks: { loadBalancer: { functions: ['remove'], declares: {} } },
    sandbox,
  }
  const call = () => caller.call(instance, 'one', { kind: 'loadBalancer', fn: 'remove', items: ['"shop"'], scope: {} })
  for (let failures = 0; failures < 5; failures += 1) await call()
  assert.equal(caller.breakerOf('@acme/one', 'one'), 'open')
  answer = { ok: true, value: null }
  clock.jump(-7_200_000)
  await clock.advance(1_500)
  const [again] = await call()
  assert.equal(again?.ok, true)
})
