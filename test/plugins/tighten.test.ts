import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { CapabilityRecord } from '@orchestry/sdk'
import type { InstanceRecord } from '../../runtime/plugins/plugins.ts'
import { isTighter, keepTightened, proposeTighter, tightenedRecord } from '../../runtime/plugins/tighten.ts'
import type { TracedBinding } from '../../runtime/plugins/traces.ts'
import { scaler, world } from './world.ts'

const events: CapabilityRecord = { kind: 'events', emit: ['acme.*'], subscribe: ['app.*'], why: 'tells' }
const kv: CapabilityRecord = { kind: 'kv', optional: true }
const traced = (binding: string, kind: TracedBinding['kind'], target: string, allowed = 1): TracedBinding => ({
  binding,
  kind,
  allowed,
  denied: 1,
  sinceMs: 5,
  targets: [
    { operation: 'x', target, allowed, denied: 0, lastAtMs: 6 },
    { operation: 'x', target: 'never allowed', allowed: 0, denied: 1, lastAtMs: 7 },
  ],
})
/** Takes what was told for what is to be emitted. */
const capabilities = {
  check: () => [],
  narrow: (grant: CapabilityRecord, targets: readonly string[]): CapabilityRecord =>
    grant.kind === 'events' ? { ...grant, emit: [...targets] } : grant,
}

test('each grant is cut to what was allowed; what is optional and unused goes, what is not optional stays', () => {
  const secrets: CapabilityRecord = { kind: 'secrets', names: ['a'], mode: 'inject', why: 'w' }
  const log: CapabilityRecord = { kind: 'log' }
  const bindings = proposeTighter(
    [events, kv, log, { kind: 'clock' }, secrets],
    [traced('events', 'events', 'acme.a'), traced('kv', 'events', 'x')],
    capabilities,
  )
  assert.deepEqual(
    bindings.map(({ binding, outcome, allowed, sinceMs }) => [binding, outcome, allowed, sinceMs]),
    [
      ['events', 'narrower', 1, 5],
      ['kv', 'dropped', 0, undefined],
      ['log', 'unused', 0, undefined],
      ['clock', 'untraced', 0, undefined],
      ['secrets', 'untraced', 0, undefined],
    ],
  )
  assert.deepEqual(bindings[0]?.after, { ...events, emit: ['acme.a'] })
  assert.ok(isTighter(bindings))
  const record: InstanceRecord = { name: 'i', config: {}, grants: [events, kv, log], isDefault: false }
  const tight = tightenedRecord(record, bindings.slice(0, 3))
  assert.deepEqual(
    [tight.grants, tight.agreed],
    [
      [{ ...events, emit: ['acme.a'] }, log],
      [events, kv, log],
    ],
  )
})

test('a narrower grant that could not be given is not proposed', () => {
  const [binding] = proposeTighter([events], [traced('events', 'events', 'acme.a')], {
    ...capabilities,
    check: () => ['no'],
  })
  assert.equal(binding?.outcome, 'kept')
})

const tight: CapabilityRecord = { ...events, emit: ['acme.a'] }
const before: InstanceRecord = { name: 'i', config: {}, isDefault: false, grants: [tight], agreed: [events, kv] }
const next = (...grants: CapabilityRecord[]): InstanceRecord => ({ name: 'i', config: {}, isDefault: false, grants })
const kept: [string, CapabilityRecord[], CapabilityRecord[], string[]][] = [
  ['the same is asked for', [events, kv], [tight], []],
  ['it is asked for with another reason', [{ ...events, why: 'new' }, kv], [{ ...tight, why: 'new' }], []],
  ['less is asked for, and the cut grant fits in it', [{ ...events, emit: ['acme.a', 'acme.b'] }], [tight], []],
  [
    'less is asked for than what is left',
    [{ ...events, emit: ['acme.b'] }],
    [{ ...events, emit: ['acme.b'] }],
    ['events'],
  ],
  ['more is asked for', [{ ...events, emit: ['*'] }], [{ ...events, emit: ['*'] }], ['events']],
  ['the same is asked for under another name', [{ ...events, as: 'news' }, kv], [{ ...tight, as: 'news' }], []],
  ['what was dropped is asked for under another name', [events, { ...kv, as: 'shelf' }], [tight], []],
  ['something new is asked for', [events, { kind: 'log' }], [tight, { kind: 'log' }], []],
  [
    'more of what was dropped is asked for',
    [events, { ...kv, quotaKb: 999 }],
    [tight, { ...kv, quotaKb: 999 }],
    ['kv'],
  ],
]
for (const [what, grants, wanted, loosened] of kept) {
  test(`a grant that was cut, when ${what}`, () => {
    const result = keepTightened(next(...grants), before)
    assert.deepEqual([result.record.grants, result.loosened], [wanted, loosened])
    const isStillTight = JSON.stringify(wanted) !== JSON.stringify(grants)
    assert.equal(result.record.agreed !== undefined, isStillTight)
  })
}

const emitting = (type: string, more = '') =>
  scaler(1)
    .replace('() => (', `async ({ ctx }) => (await ctx.events.emit('${type}', {}).catch(() => {}), `)
    .replace('definePlugin({', `definePlugin({ ${more}`)
const asked = [
  { kind: 'events', emit: ['acme.*'], subscribe: ['app.*'] },
  { kind: 'kv', optional: true },
]
async function used(t: TestContext, code = emitting('acme.a')) {
  const w = await world(t)
  const write = (version: string, capabilities: readonly object[] = asked, text = code) =>
    w.folder('p', { name: 'p', version, code: text, manifest: { capabilities } })
  const path = await write('1.0.0')
  await w.plugins.install({ path })
  for (let index = 0; index < 3; index += 1) await w.ask('p')
  return { w, write, path }
}
type World = Awaited<ReturnType<typeof world>>
const grantsOf = (w: World) => w.plugins.usesOf('p')[0]?.grants
const cut = [{ kind: 'events', emit: ['acme.a'] }]

test('what a plugin used is shown with its grants, counted on after a restart, and forgotten with it', async (t) => {
  const { w } = await used(t)
  const [shown] = w.plugins.usesOf('p')
  assert.deepEqual([shown?.name, shown?.grants, shown?.isTightened], ['p', asked, false])
  const rows = () =>
    w.plugins.usesOf('p')[0]?.uses[0]?.targets.map(({ operation, target, allowed }) => [operation, target, allowed])
  assert.deepEqual(rows(), [['emit', 'emit acme.a', 3]])
  const sinceMs = w.plugins.usesOf('p')[0]?.uses[0]?.sinceMs
  await w.restart()
  await w.ask('p')
  assert.deepEqual(rows(), [['emit', 'emit acme.a', 4]])
  assert.equal(w.plugins.usesOf('p')[0]?.uses[0]?.sinceMs, sinceMs)
  await w.plugins.disable('p')
  assert.deepEqual(rows(), [['emit', 'emit acme.a', 4]])
  await w.plugins.remove('p')
  assert.deepEqual(await w.store.list({ prefix: ['pluginTrace'] }), [])
})

test('what was taken away can be given back, and nothing else is', async (t) => {
  const { w } = await used(t)
  assert.equal((await w.plugins.tighten('p', { isToUndo: true })).isApplied, false)
  await w.plugins.tighten('p', { isToApply: true })
  assert.deepEqual(
    [w.plugins.show('p').instances[0]?.grants, w.plugins.show('p').instances[0]?.isTightened],
    [cut, true],
  )
  assert.equal((await w.plugins.tighten('p', { isToUndo: true })).isApplied, true)
  assert.deepEqual([grantsOf(w), w.plugins.usesOf('p')[0]?.isTightened], [asked, false])
  assert.equal(w.typesOf('p').at(-1), 'plugin.loosened')
  await w.restart()
  assert.deepEqual(grantsOf(w), asked)
})

test('a yes to more of what was tightened is asked for with what comes back by it', async (t) => {
  const { w, write } = await used(t)
  await w.plugins.tighten('p', { isToApply: true })
  const wider = [{ kind: 'events', emit: ['acme.*', 'other.*'], subscribe: ['app.*'] }]
  await assert.rejects(w.plugins.install({ path: await write('1.1.0', wider) }), { code: 'ORC_PLUGIN_CONSENT_NEEDED' })
  assert.deepEqual(w.plugins.show('p').pending?.differences, [
    'events.emit: "other.*"',
    'p: events: also what tightening took away',
  ])
})

test('tightening first only says what would go; applied it holds, also after a restart', async (t) => {
  const { w } = await used(t)
  const proposal = await w.plugins.tighten('p')
  assert.deepEqual([proposal.isApplied, proposal.instances[0]?.isTighter, grantsOf(w)], [false, true, asked])
  const applied = await w.plugins.tighten('p', { isToApply: true })
  assert.equal(applied.isApplied, true)
  assert.deepEqual([grantsOf(w), w.plugins.usesOf('p')[0]?.isTightened], [cut, true])
  assert.equal(w.typesOf('p').at(-1), 'plugin.tightened')
  assert.equal(await w.ask('p'), 1)
  await w.restart()
  assert.deepEqual(grantsOf(w), cut)
  const again = await w.plugins.tighten('p', { isToApply: true })
  assert.deepEqual([again.isApplied, again.instances[0]?.isTighter], [false, false])
  await assert.rejects(w.plugins.tighten('p', { instance: 'none' }), {
    code: 'ORC_PLUGIN_UNKNOWN',
    message: /it has p/,
  })
})

test('what was taken away is denied, and counted as such', async (t) => {
  const code = scaler(1).replace(
    '() => (',
    'async ({ ctx, app }) => (await ctx.events.emit(app.name === "shop" ? "acme.a" : "acme.b", {}).catch(() => {}), ',
  )
  const { w } = await used(t, code)
  await w.plugins.tighten('p', { isToApply: true })
  const call = { hook: 'scaler', function: 'decide', per: 'item', timeoutMs: 500 } as const
  await w.live('p')?.sandbox?.call([JSON.stringify({ app: { name: 'mail' }, metrics: {} })], call)
  const rows = w.plugins
    .usesOf('p')[0]
    ?.uses[0]?.targets.map(({ target, allowed, denied }) => [target, allowed, denied])
  assert.deepEqual(rows, [
    ['emit acme.a', 3, 0],
    ['emit acme.b', 0, 1],
  ])
  assert.match(w.plugins.show('p').incidents.at(-1)?.message ?? '', /acme\.b is not granted; granted: acme\.a/)
})

test('tightened grants survive a new config and an upgrade that asks for the same', async (t) => {
  const { w, write, path } = await used(t)
  await w.plugins.tighten('p', { isToApply: true })
  await w.plugins.configure('p', {})
  assert.deepEqual(grantsOf(w), cut)
  await write('2.0.0')
  assert.equal((await w.plugins.install({ path })).version, '2.0.0')
  assert.deepEqual([grantsOf(w), w.events.at(-1)?.data.loosened], [cut, undefined])
})

test('an upgrade that asks for what was agreed to once needs no new yes and says what is loosened; for more it does', async (t) => {
  const { w, write, path } = await used(t)
  await w.plugins.tighten('p', { isToApply: true })
  await write('2.0.0', [{ kind: 'events', emit: ['acme.b'] }])
  await w.plugins.install({ path })
  assert.deepEqual(
    [grantsOf(w), w.events.at(-1)?.data.loosened],
    [[{ kind: 'events', emit: ['acme.b'] }], ['p: events']],
  )
  await write('3.0.0', [{ kind: 'events', emit: ['acme.b', 'queue.*'] }])
  await assert.rejects(w.plugins.install({ path }), { code: 'ORC_PLUGIN_CONSENT_NEEDED' })
})

test('what a removed plugin kept in its map goes, and who comes after it finds nothing', async (t) => {
  const w = await world(t)
  const code = scaler(1).replace(
    '() => (',
    "async ({ ctx }) => (await ctx.kv.put('n', Number(await ctx.kv.get('n') ?? 0) + 1), ",
  )
  const counting = code.replace('replicas: 1', "replicas: await ctx.kv.get('n')")
  const path = await w.folder('p', { name: 'p', code: counting, manifest: { capabilities: [{ kind: 'kv' }] } })
  const other = await w.folder('q', { name: 'q', code: counting, manifest: { capabilities: [{ kind: 'kv' }] } })
  await w.plugins.install({ path })
  await w.plugins.install({ path: other })
  assert.deepEqual([await w.ask('p'), await w.ask('p'), await w.ask('q')], [1, 2, 1])
  await w.plugins.remove('p')
  assert.deepEqual(await w.store.list({ prefix: ['kv', 'p'] }), [])
  await w.plugins.install({ path })
  assert.deepEqual([await w.ask('p'), await w.ask('q')], [1, 2])
})
