// biome-ignore-all lint/suspicious/noTemplateCurlyInString: this is how manifests write references to the config
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CapabilityRecord } from '@orchestry/sdk'
import { resolveGrants } from '../../runtime/plugins/grants.ts'

const why = 'reads the queue'
const net = (fields: object): CapabilityRecord => ({ kind: 'net', why, ...fields }) as CapabilityRecord
const capabilities = { kinds: ['net', 'kv', 'log', 'timers'] as const, check: () => [], checkTogether: () => [] }

const resolved: [string, CapabilityRecord, unknown, unknown][] = [
  ['a whole value', net({ hosts: ['${config.host}'] }), { host: 'a.example' }, { hosts: ['a.example'] }],
  ['a part of a value', net({ hosts: ['api.${config.zone}.example'] }), { zone: 'eu' }, { hosts: ['api.eu.example'] }],
  ['a value deep in the config', net({ hosts: ['${config.q.host}'] }), { q: { host: 'h' } }, { hosts: ['h'] }],
  [
    'a list becomes several',
    net({ hosts: ['${config.hosts}', 'z'] }),
    { hosts: ['x', 'y'] },
    { hosts: ['x', 'y', 'z'] },
  ],
  ['a number becomes text', net({ paths: ['/v${config.v}/**'] }), { v: 2 }, { paths: ['/v2/**'] }],
  ['nothing where nothing is to be resolved', net({ hosts: ['a'] }), {}, { hosts: ['a'] }],
]
for (const [what, record, config, wanted] of resolved) {
  test(`resolved: ${what}`, () => {
    assert.deepEqual(resolveGrants([record], config, capabilities), {
      grants: [net(wanted as object)],
      problems: [],
    })
  })
}

const refusals: [string, CapabilityRecord, unknown, RegExp][] = [
  ['a value the config does not set', net({ hosts: ['${config.host}'] }), {}, /needs \$\{config\.host\}/],
  ['an empty value', net({ hosts: ['${config.host}'] }), { host: '' }, /does not set/],
  ['a value of anything but the config', net({ hosts: ['${env.HOME}'] }), { HOME: 'x' }, /needs \$\{env\.HOME\}/],
  ['a value every object has', net({ hosts: ['${config.constructor.name}'] }), {}, /does not set/],
  ['a resolved value outside of the grammar', net({ hosts: ['${config.h}'] }), { h: 'x'.repeat(300) }, /more than 256/],
  ['a kind that is not offered', { kind: 'apps', read: true }, {}, /does not offer "apps"/],
]
for (const [what, record, config, text] of refusals) {
  test(`refused: ${what}`, () => {
    const { grants, problems } = resolveGrants([record], config, capabilities)
    assert.deepEqual(grants, [])
    assert.match(problems[0]?.message ?? '', text)
    assert.match(problems[0]?.path ?? '', /^\/orchestry\/capabilities\/0/)
  })
}

test('a reason is shown as written, whatever stands in it', () => {
  const record = net({ hosts: ['a'], why: 'sends ${config.x}' })
  assert.deepEqual(resolveGrants([record], {}, capabilities).grants, [record])
})

test('an optional capability without its value is left out, and nothing is wrong', () => {
  const record = net({ hosts: ['${config.host}'], optional: true })
  assert.deepEqual(resolveGrants([record, { kind: 'kv' }], {}, capabilities), {
    grants: [{ kind: 'kv' }],
    problems: [],
  })
})

test('the capability itself has the last word', () => {
  const check = () => ['hosts: "*" is too wide']
  const { grants, problems } = resolveGrants([net({ hosts: ['*'] })], {}, { ...capabilities, check })
  assert.deepEqual([grants, problems[0]?.message], [[], 'hosts: "*" is too wide'])
})
