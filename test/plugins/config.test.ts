import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { OrchestryError } from '../../runtime/errors.ts'
import { configSchemaProblems, readConfig, withDefaults } from '../../runtime/plugins/config.ts'

const schema = {
  type: 'object',
  required: ['url', 'tuning'],
  additionalProperties: false,
  properties: {
    url: { type: 'string', minLength: 1 },
    jobs: { type: 'number', minimum: 1, default: 50 },
    tuning: { type: 'object', properties: { gain: { type: 'number', default: 0.5 }, note: { type: 'string' } } },
    rules: { type: 'array', items: { type: 'object', properties: { weight: { type: 'number', default: 1 } } } },
    mode: { anyOf: [{ const: 'fast' }, { const: 'slow' }] },
  },
}

const defaults: [string, unknown, unknown, unknown][] = [
  ['a default of a property', schema, { url: 'x' }, { url: 'x', jobs: 50, tuning: { gain: 0.5 } }],
  [
    'nothing over what was given',
    schema,
    { url: 'x', jobs: 2, tuning: { gain: 0 } },
    { url: 'x', jobs: 2, tuning: { gain: 0 } },
  ],
  ['defaults in items', schema.properties.rules, [{}, { weight: 9 }], [{ weight: 1 }, { weight: 9 }]],
  ['a default of the whole', { type: 'object', default: { a: 1 } }, undefined, { a: 1 }],
  ['no object that nobody asked for', { type: 'object', properties: { a: { type: 'number' } } }, undefined, undefined],
  [
    'defaults of both parts',
    { allOf: [{ properties: { a: { default: 1 } } }, { properties: { b: { default: 2 } } }] },
    {},
    { a: 1, b: 2 },
  ],
  [
    'false and 0 and "" as defaults',
    { properties: { a: { default: false }, b: { default: 0 }, c: { default: '' } } },
    {},
    { a: false, b: 0, c: '' },
  ],
  ['nothing where the value has another type', schema, 'text', 'text'],
]
for (const [what, given, value, wanted] of defaults) {
  test(`defaults: ${what}`, () => {
    const before = JSON.stringify(value)
    assert.deepEqual(withDefaults(given, value), wanted)
    assert.equal(JSON.stringify(value), before, 'what was given is not changed')
  })
}

test('a default that is filled in twice is not shared', () => {
  const part = { properties: { list: { default: [] } } }
  const first = withDefaults(part, {}) as { list: number[] }
  first.list.push(1)
  assert.deepEqual(withDefaults(part, {}), { list: [] })
})

const faulty: [string, unknown, string, RegExp][] = [
  ['a missing value', {}, '/url', /is missing/],
  ['a wrong type', { url: 5 }, '/url', /must be string, and is 5/],
  ['an unknown key', { url: 'x', job: 5 }, '/job', /did you mean "jobs"\?/],
  ['a value too small', { url: 'x', jobs: 0 }, '/jobs', />= 1/],
  ['a fault deep inside', { url: 'x', rules: [{}, { weight: '1' }] }, '/rules/1/weight', /must be number/],
  ['none of the choices', { url: 'x', mode: 'medium' }, '/mode', /"fast", "slow", and is "medium"/],
  ['a list instead of an object', [], '', /must be object/],
]
for (const [what, config, path, text] of faulty) {
  test(`a config with ${what} is refused at "${path}"`, async () => {
    await assert.rejects(readConfig('@a/b', schema, config), (error: OrchestryError) => {
      assert.equal(error.code, 'ORC_PLUGIN_CONFIG_INVALID')
      assert.ok(
        error.problems.some((problem) => problem.path === path && text.test(problem.message)),
        error.message,
      )
      return true
    })
  })
}

test('every problem is told, not only the first eight', async () => {
  const properties = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`p${index}`, { type: 'string' }]))
  const config = Object.fromEntries(Object.keys(properties).map((key) => [key, 1]))
  await assert.rejects(readConfig('a', { type: 'object', properties }, config), (error: OrchestryError) => {
    assert.equal(error.problems.length, 20)
    return true
  })
})

test('a plugin without a config schema takes no config', async () => {
  assert.deepEqual(await readConfig('a', undefined, undefined), {})
  await assert.rejects(readConfig('a', undefined, { x: 1 }), { code: 'ORC_PLUGIN_CONFIG_INVALID' })
})

test('a pattern is checked', async () => {
  const patterned = { type: 'object', properties: { id: { type: 'string', pattern: '^[a-z]+$' } } }
  assert.deepEqual(await readConfig('a', patterned, { id: 'abc' }), { id: 'abc' })
  await assert.rejects(readConfig('a', patterned, { id: 'ABC' }), (error: OrchestryError) => {
    assert.equal(error.problems[0]?.path, '/id')
    return true
  })
})

test('a pattern that never ends is given up, and the process goes on meanwhile', { timeout: 20_000 }, async () => {
  const evil = {
    type: 'object',
    properties: { id: { type: 'string', pattern: '^(a+)+$', default: `${'a'.repeat(60)}!` } },
  }
  let turns = 0
  const turning = setInterval(() => {
    turns += 1
  }, 10)
  await assert.rejects(readConfig('a', evil, {}), { code: 'ORC_PLUGIN_CONFIG_INVALID', message: /takes too long/ })
  clearInterval(turning)
  assert.ok(turns > 10, `${turns}`)
})

const nested = (depth: number): Record<string, unknown> =>
  depth === 0 ? { type: 'string' } : { type: 'object', properties: { a: nested(depth - 1) } }
const wide = { properties: Object.fromEntries(Array.from({ length: 3_000 }, (_, index) => [`p${index}`, {}])) }
for (const [what, given, text] of [
  ['refers to itself', { type: 'object', properties: { a: { $ref: '#' } } }, /references/],
  ['has a name to refer to', { $id: 'x', type: 'object' }, /references/],
  ['is nested too deep', nested(20), /nested deeper/],
  ['has too many parts', wide, /more than 2000/],
] as const) {
  test(`a config schema that ${what} is refused`, () => {
    assert.match(configSchemaProblems(given)[0]?.message ?? '', text)
  })
}

test('an ordinary config schema is accepted', () => assert.deepEqual(configSchemaProblems(schema), []))

test('defaults within defaults that would multiply beyond all bounds are refused, and hold nobody up', async () => {
  const list = (items: object) => ({ type: 'array', default: Array.from({ length: 600 }, () => null), items })
  for (const a of [list(list(list({}))), list({ default: 'x'.repeat(500_000) })]) {
    const schema = { type: 'object', properties: { a } }
    assert.deepEqual(configSchemaProblems(schema), [])
    const startedMs = performance.now()
    await assert.rejects(readConfig('p', schema, undefined), {
      code: 'ORC_PLUGIN_CONFIG_INVALID',
      message: /its defaults make more than 50000 values/,
    })
    assert.ok(performance.now() - startedMs < 1_000)
  }
})
