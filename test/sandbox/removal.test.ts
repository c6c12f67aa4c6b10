/**
 * Each defence inside the isolate is taken away in turn, and the corpus of hostile guests must notice; where another holds in
 * its place, taking both away must be noticed. A defence nobody notices the loss of is none.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { copyFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { describe, test } from 'node:test'
import { systemClock } from '../../runtime/clock.ts'
import { createLog } from '../../runtime/log.ts'
import { bridgeDefences, type Defence, type DefenceRow, realmDefences } from '../../runtime/sandbox/guest/defences.ts'
import { buildSandboxProgram } from '../../runtime/sandbox/program.ts'
import type { Sandbox } from '../../runtime/sandbox/sandbox.ts'
import { createSandbox } from '../../runtime/sandbox/supervisor.ts'
import { escapes } from '../hostile/guests/escapes.ts'
import { floods, forgeries } from '../hostile/guests/forgeries.ts'
import { type HostileGuest, refused } from '../hostile/guests/guest.ts'
import { errors, promises } from '../hostile/guests/promises.ts'
import { bundleOf, complaint, guestLimits, openGuests, runGuest } from '../hostile/guests/stage.ts'
import { tempDir } from '../support/temp-dir.ts'

/** Only with wide limits is there room for what all arguments together may have. */
const wide = { ...guestLimits, hostCalls: 100, outKb: 512 }
const total: HostileGuest = {
  name: 'hands the host five megabytes in ten parts',
  body: `for (let n = 0; n < 10; n++) await ctx.kv.put('k', 'x'.repeat(500_000))`,
  expected: refused(/more arguments in one call/),
  timeoutMs: 1_000,
}
const corpus = [total, ...escapes, ...forgeries, ...floods, ...promises, ...errors]

/** Who of the corpus is about it. All of them must be content with the whole program, and one at least must not without it. */
const watchers: Record<Defence, readonly string[]> = {
  'removed-globals': ['looks for what has authority among the names of the global'],
  'fixed-buffers': ['makes buffers that grow'],
  'pinned-errors': ['formats stacks itself', 'captures call sites on an object'],
  'regexp-statics': ['reads what was matched last'],
  'host-time': ['reads a clock that was not granted, wherever one might be'],
  'host-chance': ['draws lots that were not granted'],
  'poisoned-constructors': ['compiles code through the constructor of a generator'],
  'overridable-properties': ['is ordinary code that sets inherited properties of its own objects'],
  'frozen-realm': ['finds something that is not frozen', 'patches Promise.prototype.then'],
  'pinned-globals': ['replaces a global', 'removes a global'],
  'captured-primordials': ['patches JSON.stringify', 'answers with a toJSON'],
  'unobserved-promises': ['answers twice through a thenable'],
  'rendered-errors': ['throws words that look like those of the engine'],
  'bounded-words': ['throws a message of a megabyte'],
  'bounded-answers': ['answers more than limits.outKb'],
  'counted-host-calls': ['waits for a hundred thousand host calls'],
  'bounded-arguments': ['hands the host a text that is too long'],
  'bounded-argument-total': [total.name],
  'calls-that-are-over': ['goes on after its answer'],
  'strict-bundle': ['reads the global as `this`'],
  'frozen-api': ['writes on a host function', 'replaces a host function'],
}

type Test = { after(run: () => Promise<void>): void }

/** A sandbox that runs the program without these defences: it lies where the whole one would be put. */
async function sandboxWithout(test: Test, removed: string): Promise<Sandbox> {
  const dataDir = await tempDir(test)
  const whole = await buildSandboxProgram(join(dataDir, 'sandbox'))
  if (removed !== '') await copyFile(await buildSandboxProgram(join(dataDir, 'removed'), removed), whole)
  const sandbox = await createSandbox({ dataDir, clock: systemClock, log: createLog({ level: 'silent' }) })
  test.after(() => sandbox.close())
  return sandbox
}

/** What the corpus has to say of a program that lacks these. */
async function complaintsWithout(test: Test, removed: string, names: readonly string[]): Promise<string[]> {
  const sandbox = await sandboxWithout(test, removed)
  const guests = names.map((name) => {
    const guest = corpus.find((one) => one.name === name)
    assert.ok(guest, `the corpus has a guest that ${name}`)
    return guest
  })
  const plugin = await sandbox.load(bundleOf(guests), names.includes(total.name) ? wide : guestLimits)
  const instance = await openGuests(plugin)
  const found: string[] = []
  for (const [index, guest] of guests.entries()) {
    const why = complaint(guest, await runGuest(plugin, instance, index, guest))
    if (why !== undefined) found.push(`${guest.name}: ${why}`)
  }
  return found
}

describe('without a defence', () => {
  const rows: readonly (DefenceRow & { name: Defence })[] = [...realmDefences, ...bridgeDefences]

  test('nothing is said of a program that lacks none', async (t) => {
    assert.deepEqual(
      await complaintsWithout(
        t,
        '',
        [...new Set(Object.values(watchers).flat())].filter((name) => name !== total.name),
      ),
      [],
    )
    assert.deepEqual(await complaintsWithout(t, '', [total.name]), [])
  })

  for (const { name, keeps, second } of rows) {
    test(`${name}, which keeps ${keeps}, somebody notices`, async (t) => {
      const found = await complaintsWithout(t, name, watchers[name])
      if (second === undefined) return assert.notDeepEqual(found, [])
      assert.deepEqual(found, [], `${second} holds in its place`)
      const withoutSecond = await complaintsWithout(t, second, watchers[name])
      assert.notDeepEqual(await complaintsWithout(t, `${name},${second}`, watchers[name]), withoutSecond)
    })
  }
})

test('the realm is hardened in one order only: in the reverse it does not come up', async (t) => {
  const names = realmDefences.map(({ name }) => name)
  assert.ok(names.indexOf('removed-globals') < names.indexOf('pinned-errors'))
  assert.ok(names.indexOf('pinned-errors') < names.indexOf('poisoned-constructors'))
  assert.ok(names.indexOf('poisoned-constructors') < names.indexOf('overridable-properties'))
  assert.ok(names.indexOf('overridable-properties') < names.indexOf('frozen-realm'))
  const plugin = await (await sandboxWithout(t, 'order')).load(bundleOf([]), guestLimits)
  await assert.rejects(openGuests(plugin), { code: 'ORC_PLUGIN_ACTIVATE_FAILED' })
})

test('what is run lacks none, and nothing at run time can change that', async (t) => {
  const dataDir = await tempDir(t)
  const whole = await buildSandboxProgram(join(dataDir, 'whole'))
  const sandbox = await createSandbox({ dataDir, clock: systemClock, log: createLog({ level: 'silent' }) })
  t.after(() => sandbox.close())
  assert.deepEqual(readdirSync(join(dataDir, 'sandbox')), [basename(whole)])
  assert.ok(!readFileSync(whole, 'utf8').includes('REMOVED_DEFENCES'))
})
