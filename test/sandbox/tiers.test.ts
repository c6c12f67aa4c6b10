/** Which tiers there are, which one is taken, what is said of it; and that plugins run in each. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { chmod, mkdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { systemClock } from '../../runtime/clock.ts'
import { OrchestryError } from '../../runtime/errors.ts'
import { effectiveLimits } from '../../runtime/limits.ts'
import { createLog } from '../../runtime/log.ts'
import { findEngineAddon } from '../../runtime/sandbox/addon.ts'
import { withoutConfinement } from '../../runtime/sandbox/confinement.ts'
import { describeConfinement } from '../../runtime/sandbox/description.ts'
import { closedToOthers, type Machine, readMachine } from '../../runtime/sandbox/machine.ts'
import { buildSandboxProgram } from '../../runtime/sandbox/program.ts'
import { stageForOthers } from '../../runtime/sandbox/staging.ts'
import { createSandbox } from '../../runtime/sandbox/supervisor.ts'
import { chooseTier, findTiers, type TierOption } from '../../runtime/sandbox/tiers.ts'
import { createUserIds, parseIdMap } from '../../runtime/sandbox/user-ids.ts'
import { bundleGuest } from '../support/guest-bundle.ts'
import { isAlive } from '../support/processes.ts'
import { tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'

const isLinux = process.platform === 'linux'
const addon = findEngineAddon().path
const program = { path: addon, addon }
const log = createLog({ level: 'silent' })

describe('a machine that lacks something', { skip: isLinux ? false : 'tiers are a thing of Linux' }, () => {
  const machine = readMachine()
  // Nothing is started here: any program will do that everybody may run, wherever this checkout lies.
  const node = '/usr/bin/env'
  const root: Machine = { ...machine, node, isRoot: true, has: () => true, tool: (name) => `/usr/bin/${name}` }
  const without = (...missing: string[]): Machine => ({
    ...root,
    tool: (name) => (missing.includes(name) ? undefined : `/usr/bin/${name}`),
  })
  const uids = () => 70_000
  const cases: [string, Machine, (() => number) | undefined, Partial<Record<0 | 1 | 2 | 3, RegExp>>][] = [
    ['bubblewrap', without('bwrap'), uids, { 3: /^bwrap is not installed: apt install bubblewrap$/ }],
    [
      'prlimit',
      without('prlimit'),
      uids,
      { 3: /prlimit/, 2: /^prlimit is .*util-linux$/, 1: /^prlimit is .*util-linux$/ },
    ],
    [
      'all of them',
      without('bwrap', 'setpriv', 'prlimit'),
      uids,
      {
        3: /^bwrap and prlimit and setpriv are not installed: apt install bubblewrap util-linux$/,
        2: /setpriv and prlimit/,
        1: /prlimit/,
      },
    ],
    ['known system calls', { ...root, architecture: 'riscv64' }, uids, { 3: /riscv64 are not known/ }],
    ['user ids', root, undefined, { 3: /no user id is free/, 2: /no user id is free/ }],
    ['rights', { ...root, has: (right) => right !== 'setuid' }, uids, { 2: /^this root lacks CAP_SETUID$/ }],
    ['root', { ...root, isRoot: false }, uids, { 2: /^only root can give/ }],
    [
      'libraries that can be listed',
      {
        ...root,
        libraries: async () => {
          throw new Error('no loader')
        },
      },
      uids,
      { 3: /no loader/ },
    ],
  ]
  for (const [what, lacking, nextUid, wanted] of cases)
    test(`says so: ${what}`, async () => {
      const options = await findTiers(lacking, program, nextUid)
      assert.deepEqual(
        options.map(({ tier }) => tier),
        [3, 2, 1, 0],
      )
      for (const [tier, pattern] of Object.entries(wanted))
        assert.match(options.find((option) => option.tier === Number(tier))?.why ?? 'there', pattern as RegExp)
      assert.ok(options.at(-1)?.confinement !== undefined)
    })

  test('names the folder that keeps another user from Node', async (t) => {
    const dir = await tempDir(t)
    await writeFile(join(dir, 'node'), '', { mode: 0o755 })
    await chmod(dir, 0o700)
    const options = await findTiers({ ...root, node: join(dir, 'node') }, program, uids)
    assert.equal(options[1]?.why, `another user could not run Node: ${dir} is closed to others`)
  })
})

describe('the tier that is taken', () => {
  const there = (tier: 0 | 1 | 2 | 3): TierOption => ({ tier, confinement: { ...withoutConfinement(program), tier } })
  const options: readonly TierOption[] = [
    { tier: 3, why: 'bwrap is not installed' },
    { tier: 2, why: 'only root' },
    there(1),
    there(0),
  ]

  test('is the strictest that is there, or the one asked for', () => {
    assert.equal(chooseTier('best', options).tier, 1)
    assert.equal(chooseTier('0', options).tier, 0)
    assert.equal(chooseTier('best', [there(3), ...options.slice(1)]).tier, 3)
  })

  test('is refused with its reason when it was asked for and is not there', () => {
    assert.throws(
      () => chooseTier('3', options),
      (error) =>
        error instanceof OrchestryError &&
        error.code === 'ORC_SANDBOX_UNAVAILABLE' &&
        /tier 3, which cannot be had: bwrap is not installed\. .*"best", which is tier 1 here/.test(error.message),
    )
  })

  test('is described by what it holds and what it lacks, and the stricter holds more', () => {
    const machine = { isRoot: true, countsByNamespace: true }
    const held = ([0, 1, 2, 3] as const).map((tier) => describeConfinement(tier, machine, undefined))
    const counts = held.map(({ holds }) => holds.length)
    assert.deepEqual(
      counts,
      counts.toSorted((a, b) => a - b),
    )
    assert.deepEqual(held[3]?.lacks, [])
    assert.match(held[1]?.lacks.join('\n') ?? '', /could reach the network[\s\S]*runs as the user of Orchestry/)
    assert.match(describeConfinement(3, machine, 'not here').lacks.join(), /^no control group of its own: not here$/)
  })
})

describe('user ids of sandbox processes', () => {
  test('are nobody else’s, and none twice', () => {
    const next = createUserIds(parseIdMap('         0          0 4294967295\n'))
    const ids = Array.from({ length: 100 }, () => next?.() ?? 0)
    assert.equal(new Set(ids).size, 100)
    assert.ok(ids.every((id) => id >= 1_879_048_192 && id <= 2_147_483_646))
  })
  test('are those that a small user namespace has, or none', () => {
    const id = createUserIds(parseIdMap('0 100000 65536'))?.() ?? 0
    assert.ok(id >= 61_184 && id <= 65_519, String(id))
    assert.equal(createUserIds(parseIdMap('0 1000 1')), undefined)
  })
})

describe('files for another user', { skip: isLinux ? false : 'tiers are a thing of Linux' }, () => {
  test('stay where they are when everybody can read them', async (t) => {
    // Of our own making: this checkout may be closed to others.
    const open = await tempDir(t)
    await chmod(open, 0o755)
    const readable = { path: join(open, 'program.cjs'), addon: join(open, 'addon.node') }
    for (const path of Object.values(readable)) await writeFile(path, 'text', { mode: 0o644 })
    assert.deepEqual((await stageForOthers(readable, await tempDir(t))).program, readable)
  })

  test('are copied from where nobody else may look, and leave nothing behind', async (t) => {
    const closed = await tempDir(t)
    const open = await tempDir(t)
    await chmod(open, 0o755)
    const path = join(closed, 'program.cjs')
    await writeFile(path, 'text', { mode: 0o600 })
    const left = join(open, `orchestry-sandbox-${2 ** 22}-abc`)
    await mkdir(left)
    const staged = await stageForOthers({ path, addon }, open)
    assert.ok(!existsSync(left), 'what an earlier process left is gone')
    assert.equal(closedToOthers(staged.program.path), undefined)
    assert.equal((await stat(staged.program.path)).mode & 0o022, 0)
    assert.equal(readFileSync(staged.program.path, 'utf8'), 'text')
    await staged.remove()
    assert.deepEqual(readdirSync(open), [])
  })
})

describe('a program that does not become ready', () => {
  async function broken(t: Parameters<typeof tempDir>[0]): Promise<string> {
    const dataDir = await tempDir(t)
    await writeFile(await buildSandboxProgram(join(dataDir, 'sandbox')), 'process.exit(3)')
    return dataDir
  }

  test('is tried in every tier, and the start is refused', async (t) => {
    const dataDir = await broken(t)
    await assert.rejects(
      createSandbox({ dataDir, clock: systemClock, log }),
      (error: OrchestryError) =>
        error.code === 'ORC_SANDBOX_UNAVAILABLE' && /No sandbox process could be started/.test(error.message),
    )
  })

  test('is the reason why a tier that was asked for cannot be had', async (t) => {
    if (!isLinux) return t.skip('tiers are a thing of Linux')
    const dataDir = await broken(t)
    await assert.rejects(
      createSandbox({ dataDir, tier: '1', clock: systemClock, log }),
      /tier 1, which cannot be had: (a sandbox process did not become ready in it \(.*exit code 3|prlimit)/,
    )
  })
})

describe('a plugin runs in each tier', () => {
  for (const tier of ['3', '2', '1', '0'] as const)
    for (const jit of [false, true])
      test(`tier ${tier} ${jit ? 'with' : 'without'} the JIT: it answers, is watched, and is gone when closed`, async (t) => {
        const dataDir = await tempDir(t)
        const sandbox = await createSandbox({ dataDir, tier, clock: systemClock, log }).catch(
          (error: Error) => error.message,
        )
        // A checkout in a folder closed to others has no tier 2, and must say so.
        if (tier === '2' && closedToOthers(process.execPath) !== undefined)
          return assert.match(
            typeof sandbox === 'string' ? sandbox : 'there',
            /another user could not run Node: .* is closed to others/,
          )
        if (typeof sandbox === 'string') return t.skip(sandbox)
        t.after(() => sandbox.close())
        assert.equal(sandbox.description.tier, Number(tier))
        const bundle = await bundleGuest(
          `scaler: { decide: () => ({ replicas: typeof WebAssembly === 'undefined' ? 1 : 2, reason: 'r' }) }`,
        )
        const plugin = await sandbox.load(bundle, { ...effectiveLimits(undefined, false), jit })
        const instances = await Promise.all(
          ['one', 'two', 'three', 'four'].map((name) =>
            plugin.open({ name, configJson: '{}', bindings: {}, onHostCall: async () => 'null' }),
          ),
        )
        for (const instance of instances)
          assert.deepEqual(
            await instance.call(['{}'], { hook: 'scaler', function: 'decide', per: 'item', timeoutMs: 2_000 }),
            [{ ok: true, value: { replicas: 1, reason: 'r' } }],
          )
        assert.ok(plugin.memoryMb > 20 && plugin.memoryMb < 400, `${plugin.memoryMb} MB are those of Node itself`)
        const pid = plugin.pid as number
        if (isLinux) assert.match(readFileSync(`/proc/${pid}/cmdline`, 'latin1'), /node\0.*--permission/)
        await plugin.close()
        if (isLinux) await waitFor(() => !isAlive(pid), { what: 'its process to be gone' })
      })
})
