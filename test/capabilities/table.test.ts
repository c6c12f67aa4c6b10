import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Capability, Violation } from '../../runtime/capabilities/capability.ts'
import { createCapabilities } from '../../runtime/capabilities/table.ts'
import { OrchestryError } from '../../runtime/errors.ts'

const log: string[] = []
const kv: Capability<'kv'> = {
  kind: 'kv',
  check: ({ quotaKb = 0 }) => (quotaKb > 10 ? ['quotaKb: too much'] : []),
  use: (grant, caller) => ({
    operations: {
      get: (args) => ({ quotaKb: grant.quotaKb ?? null, by: caller.instance, args }),
      put: () => {
        throw new OrchestryError('ORC_CAPABILITY_LIMIT', `full ${'x'.repeat(1_000)}`)
      },
      delete: () => {
        throw new Error('ENOENT: /var/lib/orchestry/secret')
      },
      list: () => undefined,
    },
    reset: () => log.push('reset'),
    dispose: () => log.push('dispose'),
  }),
}
const grants = [{ kind: 'kv' }, { kind: 'kv', as: 'cache', quotaKb: 5 }] as const
const invocation = { hook: 'scaler', endpoints: new Set<string>(), deadlineMs: 0 }

function bind() {
  const violations: Violation[] = []
  const caller = { plugin: 'p', instance: 'i' }
  return {
    violations,
    ...createCapabilities([kv]).bind(grants, caller, (violation) => void violations.push(violation)),
  }
}

test('an operation reaches the grant of its own binding, with its arguments', async () => {
  const { onHostCall, bindings } = bind()
  assert.deepEqual(bindings, { kv: 'kv', cache: 'kv' })
  assert.equal(
    await onHostCall('kv.get', '["a",{"b":1}]', invocation),
    '{"quotaKb":null,"by":"i","args":["a",{"b":1}]}',
  )
  assert.equal(await onHostCall('cache.get', '[]', invocation), '{"quotaKb":5,"by":"i","args":[]}')
  assert.equal(await onHostCall('kv.list', '[]', invocation), 'null')
})

for (const operation of [
  'net.fetch',
  'kv.drop',
  'kv',
  '',
  'kv.',
  '.get',
  'kv.get.x',
  'constructor.get',
  '__proto__.toString',
  'kv.__proto__',
  'kv.constructor',
  'kv.toString',
  'KV.get',
]) {
  test(`"${operation}" is not granted, and the text shows the record that would allow it`, async () => {
    const { onHostCall, violations } = bind()
    await assert.rejects(onHostCall(operation, '[]', invocation), {
      code: 'ORC_CAPABILITY_DENIED',
      message: /was not granted: add \{"kind":".*to orchestry\.capabilities/,
    })
    assert.deepEqual([violations.length, violations[0]?.hook], [1, 'scaler'])
  })
}

for (const [what, json] of [
  ['no JSON', '{'],
  ['no list', '{"a":1}'],
  ['nested too deep', `${'['.repeat(40)}${']'.repeat(40)}`],
  ['with __proto__', '[{"__proto__":{"x":1}}]'],
  ['with an escaped constructor', '[{"\\u0063onstructor":1}]'],
  ['with prototype deep inside', '[[[{"a":{"prototype":1}}]]]'],
] as const) {
  test(`C13: arguments ${what} are refused`, async () => {
    const { onHostCall } = bind()
    await assert.rejects(onHostCall('kv.get', json, invocation), { code: 'ORC_CAPABILITY_ARGUMENT' })
  })
}

test('C9: our errors cross as code and short text, others as nothing but the fact', async () => {
  const { onHostCall } = bind()
  await assert.rejects(onHostCall('kv.put', '[]', invocation), (error: OrchestryError) => {
    assert.equal(error.code, 'ORC_CAPABILITY_LIMIT')
    assert.equal(error.message.length, 300)
    return true
  })
  await assert.rejects(onHostCall('kv.delete', '[]', invocation), (error: OrchestryError) => {
    assert.deepEqual(
      [error.code, error.message, error.cause],
      ['ORC_CAPABILITY_FAILED', 'ctx.kv.delete failed', undefined],
    )
    return true
  })
})

test('uses are counted, reset and dispose reach every grant, and afterwards nothing is answered', async () => {
  log.length = 0
  const bound = bind()
  await bound.onHostCall('cache.get', '[]', invocation)
  assert.deepEqual(
    bound.usage().map(({ binding, kind, allowed, denied }) => ({ binding, kind, allowed, denied })),
    [
      { binding: 'kv', kind: 'kv', allowed: 0, denied: 0 },
      { binding: 'cache', kind: 'kv', allowed: 1, denied: 0 },
    ],
  )
  bound.reset()
  bound.dispose()
  bound.dispose()
  assert.deepEqual(log, ['reset', 'reset', 'dispose', 'dispose'])
  await assert.rejects(bound.onHostCall('kv.get', '[]', invocation), { message: /was closed/ })
  assert.equal(bound.violations.length, 0)
})

test('a kind that is not offered cannot be bound, and what was bound before it ends', () => {
  log.length = 0
  const table = createCapabilities([kv])
  assert.deepEqual(table.check({ kind: 'kv', quotaKb: 11 }), ['quotaKb: too much'])
  assert.throws(() => table.check({ kind: 'log' }), { code: 'ORC_CAPABILITY_DENIED' })
  assert.throws(() => table.bind([{ kind: 'kv' }, { kind: 'log' }], { plugin: 'p', instance: 'i' }), {
    code: 'ORC_CAPABILITY_DENIED',
  })
  assert.deepEqual(log, ['dispose'])
})
