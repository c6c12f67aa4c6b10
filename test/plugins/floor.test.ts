/** Where the machine confines too little, plugins of strangers are refused, and those that came with Orchestry run. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { OrchestryError } from '../../runtime/errors.ts'
import { scaler, world } from './world.ts'

const noNamespaces = 'bwrap is not installed: apt install bubblewrap'
const weak = {
  tier: 1,
  floor: 2,
  tiers: [
    { tier: 3, isAvailable: false, why: noNamespaces },
    { tier: 2, isAvailable: true },
    { tier: 1, isAvailable: true },
    { tier: 0, isAvailable: true },
  ],
}

test('below the floor a plugin is not installed, and the refusal says what every stricter tier lacks', async (t) => {
  const w = await world(t, { builtins: { own: { name: '@orchestry/own' } } })
  Object.assign(w.sandbox.description, weak)
  await w.plugins.start()
  assert.equal(w.plugins.show('own').state, 'serving')
  const path = await w.folder('strange', { name: '@test/strange', code: scaler(1) })
  await assert.rejects(w.plugins.install({ path }), (error: OrchestryError) => {
    assert.equal(error.code, 'ORC_SANDBOX_TIER_TOO_LOW')
    assert.match(error.message, /@test\/strange .*tier 2 or stricter \(ORCHESTRY_SANDBOX_FLOOR\).* tier 1 here/)
    assert.match(
      error.message,
      /tier 3: bwrap is not installed: apt install bubblewrap; tier 2: this machine has it; start Orchestry/,
    )
    assert.match(error.message, /Nothing was changed/)
    return true
  })
  assert.throws(() => w.plugins.show('strange'), /ORC_PLUGIN_UNKNOWN|no plugin/)
  Object.assign(w.sandbox.description, { floor: 1 })
  assert.equal((await w.plugins.install({ path })).state, 'serving')
})

test('a plugin in the lock is not started below the floor; it stays installed, and runs where it may again', async (t) => {
  const w = await world(t)
  await w.plugins.start()
  await w.plugins.install({ path: await w.folder('strange', { name: '@test/strange', code: scaler(4) }) })
  const before = { ...w.sandbox.description }
  Object.assign(w.sandbox.description, weak)
  await w.restart()
  const refused = w.plugins.show('strange')
  assert.equal(refused.state, 'failed')
  assert.match(refused.problem ?? '', /tier 2 or stricter/)
  assert.equal(refused.incidents[0]?.code, 'ORC_SANDBOX_TIER_TOO_LOW')
  Object.assign(w.sandbox.description, before)
  await w.restart()
  assert.equal(await w.ask('strange'), 4)
})
