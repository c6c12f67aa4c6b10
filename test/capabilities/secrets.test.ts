import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { GrantOf } from '../../runtime/capabilities/capability.ts'
import { createSecretsCapability } from '../../runtime/capabilities/secrets.ts'
import { bindAs } from '../support/bound.ts'

const values = new Map([
  ['db', 'value-of-db'],
  ['db2', 'value-of-db2'],
  ['foreign', 'value-of-foreign'],
])
const capability = createSecretsCapability({ secretOf: (name) => values.get(name) })
const grantOf = (grant: Partial<GrantOf<'secrets'>> = {}): GrantOf<'secrets'> => ({
  kind: 'secrets',
  mode: 'reveal',
  names: ['db', 'gone'],
  why: 'test',
  ...grant,
})
const refusalOf = (promise: Promise<unknown>) =>
  promise.then(
    () => assert.fail('allowed'),
    ({ code, message }: Error & { code: string }) => ({ code, message }),
  )

test('C41: with "reveal" a granted secret is read', async () => {
  const { call, violations } = bindAs(capability, grantOf())
  assert.equal(await call('secrets.get', 'db'), 'value-of-db')
  assert.deepEqual(violations, [])
})

const foreignNames = [
  'foreign',
  'd',
  'db2',
  'db ',
  'DB',
  '../db',
  'db/../foreign',
  'other:db',
  '__proto__',
  '*',
  '',
  'gone',
]
for (const name of foreignNames)
  test(`SEC-02: ${JSON.stringify(name)} is refused like what is not there`, async () => {
    const { call, violations } = bindAs(capability, grantOf())
    const { code, message } = await refusalOf(call('secrets.get', name))
    assert.equal(code, 'ORC_CAPABILITY_DENIED')
    assert.equal(message, `ctx.secrets: there is no secret ${JSON.stringify(name)} that this plugin may read`)
    assert.equal(violations.length, 1)
  })

test('SEC-02: whether a secret exists is looked up for every name alike, before anything is decided', async () => {
  const asked: string[] = []
  const spying = createSecretsCapability({
    secretOf: (name) => {
      asked.push(name)
      return values.get(name)
    },
  })
  const { call } = bindAs(spying, grantOf())
  for (const name of ['foreign', 'nowhere', 'gone', 'db']) await call('secrets.get', name).catch(() => {})
  assert.deepEqual(asked, ['foreign', 'nowhere', 'gone', 'db'])
})

test('with "inject" there is nothing to read, and the words say how it is used', async () => {
  const { call } = bindAs(capability, grantOf({ mode: 'inject' }))
  for (const name of ['db', 'foreign', 'nowhere']) {
    const { code, message } = await refusalOf(call('secrets.get', name))
    assert.equal(code, 'ORC_CAPABILITY_DENIED')
    assert.match(
      message,
      /"mode": "inject": write secret:\/\/NAME as the whole value of a header.*"reveal" must be granted/,
    )
  }
})

test('a name is no text: refused as an argument', async () => {
  const { call } = bindAs(capability, grantOf())
  for (const name of [5, null, ['db'], { toString: 'db' }])
    assert.equal((await refusalOf(call('secrets.get', name))).code, 'ORC_CAPABILITY_ARGUMENT')
})

test('a grant names secrets exactly', () => {
  const { check } = capability
  assert.deepEqual(check?.(grantOf()), [])
  for (const name of ['*', 'db*', '../db', 'a b', '-x'])
    assert.match(check?.(grantOf({ names: [name] }))[0] ?? '', /^names: ".*" is no name of a secret/)
})

test('each use is told with the secret it was about, and narrows the grant', async () => {
  const told: [string, string, boolean][] = []
  const grant = grantOf({ names: ['db', 'db2', 'gone'] })
  const use = capability.use(grant, {
    plugin: 'p',
    instance: 'one',
    onUse: (...use) => void told.push(use),
  })
  const invocation = { hook: 'test', endpoints: new Set<string>(), deadlineMs: 0 }
  const get = async (name: string) => use.operations.get?.([name], invocation)
  await get('db2')
  await get('foreign').catch(() => {})
  assert.deepEqual(told, [
    ['get', 'get db2', true],
    ['get', 'get foreign', false],
  ])
  const targets = told.map(([, target]) => target)
  assert.deepEqual(capability.narrow?.(grant, targets), { ...grant, names: ['db2'] })
  assert.equal(capability.narrow?.(grant, []), undefined)
})
