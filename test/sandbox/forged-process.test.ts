/** Somebody owns a whole sandbox process and speaks the channel wrongly. It is killed, and nothing is thrown upward. */
import assert from 'node:assert/strict'
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { systemClock } from '../../runtime/clock.ts'
import { effectiveLimits } from '../../runtime/limits.ts'
import { createLog } from '../../runtime/log.ts'
import { findEngineAddon } from '../../runtime/sandbox/addon.ts'
import { createPluginSandbox } from '../../runtime/sandbox/plugin-sandbox.ts'
import { type Death, startSandboxProcess } from '../../runtime/sandbox/process.ts'
import { tempDir } from '../support/temp-dir.ts'

const forged = fileURLToPath(new URL('./forged-process.cjs', import.meta.url))
const log = createLog({ level: 'silent' })

async function forge(test: Parameters<typeof tempDir>[0], way: string) {
  const dir = await tempDir(test)
  const path = join(dir, `forged-${way}.cjs`)
  await copyFile(forged, path)
  return startSandboxProcess({ path, addon: findEngineAddon().path }, false, log)
}

describe('a forged sandbox process', () => {
  const violations = [
    'bad-json',
    'huge-length',
    'zero-length',
    'unknown-op',
    'extra-key',
    'reserved-key',
    'deep',
    'beat-flood',
    'pending-flood',
    'noise',
    'endless',
  ]
  for (const way of violations) {
    test(`is killed for a violation: ${way}`, async (t) => {
      const process_ = await forge(t, way)
      const before = process.memoryUsage().rss
      const death = await new Promise<Death>((resolve) => process_.own({ onMessage: () => {}, onDeath: resolve }))
      assert.equal(death.cause, 'violation', death.message)
      assert.ok(process.memoryUsage().rss - before < 32 * 1024 * 1024)
      assert.equal(({} as { polluted?: number }).polluted, undefined)
    })
  }

  test('is silent as long as no frame of its own is complete, however many bytes it sends', async (t) => {
    const process_ = await forge(t, 'drip')
    await process_.ready
    t.after(() => process_.kill('the test is over'))
    const readyMs = process_.lastHeardMs
    await new Promise((resolve) => setTimeout(resolve, 300))
    assert.equal(process_.lastHeardMs, readyMs)
  })

  test('that makes a host call in the name of a call that is over is killed, and nothing is done for it', async (t) => {
    const process_ = await forge(t, 'late-host-call')
    await process_.ready
    const bundle = { plugin: 'forged', version: '1.0.0', source: '', hash: '' }
    const spares = { take: async () => process_, close: () => {} }
    const limits = effectiveLimits(undefined, false)
    const plugin = await createPluginSandbox({ bundle, limits, spares, clock: systemClock, log })
    t.after(() => plugin.close())
    const incident = new Promise<{ code: string }>((resolve) => plugin.onIncident(resolve))
    const operations: string[] = []
    const onHostCall = async (operation: string) => {
      operations.push(operation)
      return 'null'
    }
    await plugin.open({ name: 'one', configJson: '{}', bindings: { kv: 'kv' }, onHostCall })
    assert.equal((await incident).code, 'ORC_SANDBOX_PROTOCOL')
    assert.deepEqual(operations, [])
  })

  for (const way of ['unasked-answer', 'host-flood']) {
    test(`that ${way} never gets anywhere, and its plugin says why`, async (t) => {
      const incidents: string[] = []
      const process_ = await forge(t, way)
      await process_.ready
      const quick = { ...effectiveLimits(undefined, false), startMs: 700 }
      const bundle = { plugin: 'forged', version: '1.0.0', source: '', hash: '' }
      const spares = { take: async () => process_, close: () => {} }
      const died = new Promise<void>((resolve) => {
        const { own } = process_
        process_.own = (listeners) => {
          const onDeath = (death: Death) => {
            listeners.onDeath(death)
            incidents.push(death.cause)
            resolve()
          }
          own({ ...listeners, onDeath })
        }
      })
      await assert.rejects(
        createPluginSandbox({ bundle, limits: quick, spares, clock: systemClock, log }),
        /deadline|answer|host calls|Orchestry|sandbox/,
      )
      await died
      assert.equal(incidents.length, 1)
    })
  }
})
