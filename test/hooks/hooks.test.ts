/** The one place that calls plugins, on real sandboxes: what comes back when they answer well, badly, late or not at all. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { hookKinds, hookTable } from '@orchestry/sdk'
import { systemClock } from '../../runtime/clock.ts'
import { problemOfAnswer } from '../../runtime/hooks/answer-check.ts'
import { type BlamedIncident, createCaller } from '../../runtime/hooks/caller.ts'
import { createHooks } from '../../runtime/hooks/disciplines.ts'
import type { Answer, Hooks } from '../../runtime/hooks/hooks.ts'
import { effectiveLimits } from '../../runtime/limits.ts'
import { createLog } from '../../runtime/log.ts'
import type { LiveInstance } from '../../runtime/plugins/plugins.ts'
import type { Sandbox } from '../../runtime/sandbox/sandbox.ts'
import { createSandbox } from '../../runtime/sandbox/supervisor.ts'
import { bundleGuest } from '../support/guest-bundle.ts'
import { scalerInput } from '../support/scaler-input.ts'
import { removeDir, tempDir } from '../support/temp-dir.ts'

const limits = { ...effectiveLimits({ timeoutMs: 200 }, false), hostCalls: 20 }
let dataDir: string
let sandbox: Sandbox
before(async () => {
  dataDir = await tempDir()
  sandbox = await createSandbox({ dataDir, clock: systemClock, log: createLog({ level: 'silent' }) })
})
after(async () => {
  await sandbox.close()
  await removeDir(dataDir)
})

type Test = { after(run: () => Promise<void>): void }

async function live(t: Test, name: string, body: string): Promise<LiveInstance> {
  const plugin = await sandbox.load(await bundleGuest(body, name), limits)
  t.after(() => plugin.close())
  const { hooks } = await plugin.describe()
  const opened = await plugin.open({ name, configJson: '{}', bindings: {}, onHostCall: async () => 'null' })
  return { plugin: name, version: '1.0.0', name, isDefault: true, limits, hooks, sandbox: opened }
}

function hooksOf(instances: LiveInstance[]): { hooks: Hooks; incidents: BlamedIncident[] } {
  const incidents: BlamedIncident[] = []
  const caller = createCaller({ clock: systemClock, onIncident: (incident) => incidents.push(incident) })
  const hooks = createHooks({ caller, liveInstances: () => instances, onInstancesChanged: () => () => {} })
  return { hooks, incidents }
}

type Items = Parameters<Hooks['collect']>[2]
const everyAnswer = async (hooks: Hooks, items: ReadonlyMap<string, readonly unknown[]>) => {
  const answers = hooks.collect('scaler', 'decide', items as Items)
  return new Map(await Promise.all([...answers].map(async ([name, coming]) => [name, await coming] as const)))
}

const codes = (answers: Answer<unknown>[] | undefined) => answers?.map((a) => (a.ok ? 'ok' : a.failure.code))

describe('the hook table', () => {
  test('names every kind once, with a discipline and what happens on failure', () => {
    assert.deepEqual(hookKinds, [
      'scaler',
      'healthCheck',
      'loadBalancer',
      'metricsSource',
      'metricsExporter',
      'eventHandler',
      'authProvider',
      'storageBackend',
    ])
    for (const kind of hookKinds) {
      assert.match(hookTable[kind].discipline, /^(collect|first|exclusive|broadcast)$/)
      assert.ok(hookTable[kind].onFailure.length > 3)
    }
  })
})

describe('calling plugins', () => {
  test('sends every scaler its own batch and gives each app its own answer', async (t) => {
    const one = await live(
      t,
      'one',
      `scaler: { decide: ({ app }) => ({ replicas: app.name.length, reason: 'length' }) }`,
    )
    const two = await live(
      t,
      'two',
      `scaler: { decideAll: (all) => all.map((i) => ({ floor: 2, reason: i.app.name })) }`,
    )
    const { hooks } = hooksOf([one, two])
    const inputs = Array.from({ length: 300 }, (_, index) => scalerInput(`app${index}`))
    const answers = await everyAnswer(
      hooks,
      new Map([
        ['one', inputs],
        ['two', inputs],
      ]),
    )
    assert.equal(answers.get('one')?.length, 300)
    assert.deepEqual(answers.get('one')?.[299], { ok: true, value: { replicas: 6, reason: 'length' } })
    assert.deepEqual(answers.get('two')?.[299], { ok: true, value: { floor: 2, reason: 'app299' } })
    const used = one.sandbox?.usageByHook().find(({ hook }) => hook === 'scaler')
    assert.equal(used?.calls, 3, 'three messages of at most 128 items')
  })

  test('takes nonsense for what it is, app by app, and blames the plugin once', async (t) => {
    const nonsense: [string, string][] = [
      ['nan', '{ replicas: NaN, reason: "r" }'],
      ['huge', '{ replicas: 1e308, reason: "r" }'],
      ['negative', '{ replicas: -1, reason: "r" }'],
      ['text', '{ replicas: "5", reason: "r" }'],
      ['half', '{ replicas: 1.5, reason: "r" }'],
      ['empty', '{}'],
      ['null', 'null'],
      ['nothing', 'undefined'],
      ['no reason', '{ replicas: 1 }'],
      ['both', '{ replicas: 1, floor: 2, reason: "r" }'],
      ['more', '{ replicas: 1, reason: "r", cooldownSeconds: 0 }'],
      ['function', '() => 1'],
      ['cyclic', '(() => { const a = { replicas: 1 }; a.reason = a; return a })()'],
      ['long', '{ replicas: 1, reason: "x".repeat(501) }'],
    ]
    const table = nonsense.map(([name, value]) => `${JSON.stringify(name)}: () => (${value})`).join(',')
    const bad = await live(
      t,
      'bad',
      `scaler: { decide: ({ app }) => ({ good: () => ({ replicas: 2, reason: 'r' }), ${table} })[app.name]() }`,
    )
    const { hooks, incidents } = hooksOf([bad])
    const inputs = ['good', ...nonsense.map(([name]) => name)].map(scalerInput)
    const answers = await everyAnswer(hooks, new Map([['bad', inputs]]))
    const [good, ...rest] = codes(answers.get('bad')) ?? []
    assert.equal(good, 'ok')
    for (const [index, code] of rest.entries()) {
      assert.match(code ?? '', /ORC_HOOK_OUTPUT_INVALID|ORC_SANDBOX_GUEST_ERROR/, nonsense[index]?.[0])
    }
    assert.ok(incidents.length > 0 && incidents.every((incident) => incident.plugin === 'bad'))
    assert.equal(new Set(incidents.map((incident) => incident.message)).size, incidents.length, 'no complaint twice')
  })

  test('tells in no time that a large answer is wrong, however wrong it is', () => {
    const wrong = Object.fromEntries(Array.from({ length: 100_000 }, (_, index) => [`k${index}`, 0]))
    const startedMs = performance.now()
    assert.match(problemOfAnswer('scaler', 'decide', wrong) ?? '', /scaler\.decide answered \{"k0":0/)
    assert.ok(performance.now() - startedMs < 500, `${performance.now() - startedMs} ms`)
  })

  test('opens the breaker of a plugin that always fails, and of no other', async (t) => {
    const broken = await live(t, 'broken', `scaler: { decide() { throw new Error('always') } }`)
    const fine = await live(t, 'fine', `scaler: { decide: () => ({ replicas: 1, reason: 'r' }) }`)
    const { hooks, incidents } = hooksOf([broken, fine])
    const seen: (string | undefined)[] = []
    for (let round = 0; round < 7; round += 1) {
      const answers = await everyAnswer(
        hooks,
        new Map([
          ['broken', [scalerInput('a')]],
          ['fine', [scalerInput('a')]],
        ]),
      )
      seen.push(codes(answers.get('broken'))?.[0])
      assert.deepEqual(codes(answers.get('fine')), ['ok'])
    }
    assert.deepEqual(seen, [
      ...Array(5).fill('ORC_SANDBOX_GUEST_ERROR'),
      'ORC_HOOK_BREAKER_OPEN',
      'ORC_HOOK_BREAKER_OPEN',
    ])
    assert.ok(incidents.some((incident) => incident.code === 'ORC_HOOK_BREAKER_OPEN'))
  })

  test('does not hold it against a plugin that calls waited in our own queue', async (t) => {
    const busy = await live(
      t,
      'busy',
      `loadBalancer: { apply() {}, remove() { for (let i = 0; i < 2e7; i++); }, status: () => null }`,
    )
    const { hooks, incidents } = hooksOf([busy])
    const answers = await Promise.all(
      Array.from({ length: 30 }, () => hooks.exclusive('loadBalancer', 'remove', 'busy', 'a')),
    )
    const seen = new Set(codes(answers))
    assert.ok(seen.has('ORC_HOOK_OVERLOADED') || seen.has('ORC_HOOK_NOT_SERVING'), [...seen].join())
    assert.ok(!seen.has('ORC_HOOK_BREAKER_OPEN') && !incidents.some(({ code }) => code === 'ORC_HOOK_BREAKER_OPEN'))
  })

  test('answers for an instance that does not exist, does not serve, or does not offer the hook', async (t) => {
    const scaler = await live(t, 'scaler', `scaler: { decide: () => ({ replicas: 1, reason: 'r' }) }`)
    const { sandbox: _gone, ...asleep } = { ...scaler, name: 'asleep' }
    const { hooks } = hooksOf([scaler, asleep])
    const inputs = [scalerInput('a'), scalerInput('b')]
    const answers = await everyAnswer(
      hooks,
      new Map([
        ['missing', inputs],
        ['asleep', inputs],
      ]),
    )
    assert.deepEqual(codes(answers.get('missing')), ['ORC_PLUGIN_UNKNOWN', 'ORC_PLUGIN_UNKNOWN'])
    assert.deepEqual(codes(answers.get('asleep')), ['ORC_HOOK_NOT_SERVING', 'ORC_HOOK_NOT_SERVING'])
    const remove = await hooks.exclusive('loadBalancer', 'remove', 'scaler', 'a')
    assert.deepEqual(codes([remove]), ['ORC_HOOK_NOT_OFFERED'])
    assert.deepEqual(
      hooks.providers('scaler').map(({ instance, isServing }) => [instance, isServing]),
      [
        ['scaler', true],
        ['asleep', false],
      ],
    )
  })

  test('keeps the deadline of a call, whoever asked for more', async (t) => {
    const slow = await live(
      t,
      'slow',
      `loadBalancer: { apply: () => new Promise(() => {}), remove() {}, status: () => null }`,
    )
    const { hooks } = hooksOf([slow])
    const upstream = { app: 'a', generation: 1, route: { path: '/a/' }, endpoints: [], draining: [] }
    const startedMs = performance.now()
    const answer = await hooks.exclusive('loadBalancer', 'apply', 'slow', upstream, { timeoutMs: 60_000 })
    assert.deepEqual(codes([answer]), ['ORC_SANDBOX_TIMEOUT'])
    assert.ok(performance.now() - startedMs < 600)
  })
})
