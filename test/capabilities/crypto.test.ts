import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import { test } from 'node:test'
import type { GrantOf } from '../../runtime/capabilities/capability.ts'
import { createCryptoCapability } from '../../runtime/capabilities/crypto.ts'
import { bindAs } from '../support/bound.ts'
import { createFakeClock } from '../support/fake-clock.ts'

const values = new Map([
  ['signing', 'the-signing-key'],
  ['foreign', 'the-foreign-key'],
])
const grantOf = (grant: Partial<GrantOf<'crypto'>> = {}): GrantOf<'crypto'> => ({
  kind: 'crypto',
  ops: ['hash', 'hmac', 'randomBytes', 'randomUuid'],
  keys: ['signing', 'gone'],
  ...grant,
})
function make(grant: Partial<GrantOf<'crypto'>> = {}) {
  const clock = createFakeClock()
  const capability = createCryptoCapability({ clock, secretOf: (name) => values.get(name) })
  return { clock, capability, ...bindAs(capability, grantOf(grant)) }
}
const rejects = (promise: Promise<unknown>, code: string, message = /./) => assert.rejects(promise, { code, message })

test('hash and hmac give what others compute, of text and of bytes', async () => {
  const { call } = make()
  for (const algorithm of ['sha256', 'sha384', 'sha512']) {
    assert.equal(await call('crypto.hash', algorithm, 'héllo'), createHash(algorithm).update('héllo').digest('hex'))
    const bytes = Buffer.from([0, 255, 128, 7])
    assert.equal(
      await call('crypto.hash', algorithm, bytes.toString('base64'), 'base64'),
      createHash(algorithm).update(bytes).digest('hex'),
    )
    assert.equal(
      await call('crypto.hmac', algorithm, 'signing', 'data'),
      createHmac(algorithm, 'the-signing-key').update('data').digest('hex'),
    )
  }
})

test('random bytes and ids are random, and as long as asked', async () => {
  const { call } = make()
  const bytes = String(await call('crypto.randomBytes', 1_024))
  assert.equal(Buffer.from(bytes, 'base64').length, 1_024)
  assert.notEqual(await call('crypto.randomBytes', 16), await call('crypto.randomBytes', 16))
  assert.match(String(await call('crypto.randomUuid')), /^[0-9a-f]{8}-[0-9a-f]{4}-4/)
})

for (const key of ['foreign', 'gone', 'nowhere', 'sign', 'signing ', '../signing', '__proto__', ''])
  test(`SEC-02: ${JSON.stringify(key)} as a key is refused like what is not there`, async () => {
    const { call, violations } = make()
    await assert.rejects(call('crypto.hmac', 'sha256', key, 'data'), {
      code: 'ORC_CAPABILITY_DENIED',
      message: `ctx.crypto: there is no secret ${JSON.stringify(key)} that this plugin may use as a key`,
    })
    assert.equal(violations.length, 1)
  })

test('an operation that is not among the granted ones is refused, and the words name those that are', async () => {
  const { call } = make({ ops: ['hash'], keys: [] })
  await call('crypto.hash', 'sha256', 'x')
  for (const [op, ...args] of [['hmac', 'sha256', 'signing', 'x'], ['randomBytes', 1], ['randomUuid']])
    await rejects(call(`crypto.${op}`, ...args), 'ORC_CAPABILITY_DENIED', /is not among the granted ops \(hash\)/)
})

test('C47: data and counts are bounded', async () => {
  const { call, clock } = make()
  const most = 256 * 1024
  await call('crypto.hash', 'sha256', 'x'.repeat(most))
  await call('crypto.hash', 'sha256', Buffer.alloc(most).toString('base64'), 'base64')
  await clock.advance(1_000)
  for (const data of ['x'.repeat(most + 1), 'é'.repeat(most / 2 + 1)])
    await rejects(call('crypto.hash', 'sha256', data), 'ORC_CAPABILITY_LIMIT', /larger than 256 KB/)
  const bytes = Buffer.alloc(most + 1).toString('base64')
  await rejects(call('crypto.hmac', 'sha256', 'signing', bytes, 'base64'), 'ORC_CAPABILITY_LIMIT', /larger than 256 KB/)
  await rejects(call('crypto.randomBytes', 1_025), 'ORC_CAPABILITY_LIMIT', /at most 1024 random bytes/)
})

test('C47: 200 operations a second, of which large data takes more than one', async () => {
  const { call, clock } = make()
  for (let index = 0; index < 200; index += 1) await call('crypto.randomUuid')
  await rejects(call('crypto.randomUuid'), 'ORC_CAPABILITY_LIMIT', /more than 200 operations a second/)
  await clock.advance(1_000)
  let done = 0
  while (done < 100 && (await call('crypto.hash', 'sha256', 'x'.repeat(256 * 1024)).catch(() => ''))) done += 1
  assert.equal(done, 11)
  await clock.advance(100)
  assert.ok(await call('crypto.hash', 'sha256', 'x'))
})

const wrong: [string, unknown[]][] = [
  ['hash', ['md5', 'x']],
  ['hash', ['SHA256', 'x']],
  ['hash', ['sha256', 5]],
  ['hash', ['sha256', 'x', 'hex']],
  ['hash', ['sha256', 'no base64!', 'base64']],
  ['hash', ['sha256', 'QQ-_', 'base64']],
  ['hmac', ['sha1', 'signing', 'x']],
  ['hmac', ['sha256', null, 'x']],
  ['randomBytes', [0]],
  ['randomBytes', [1.5]],
  ['randomBytes', ['8']],
]
for (const [op, args] of wrong)
  test(`refused as an argument: ${op} ${JSON.stringify(args)}`, () =>
    rejects(make().call(`crypto.${op}`, ...args), 'ORC_CAPABILITY_ARGUMENT'))

test('a grant of hmac names its keys, exactly; keys are of no use without it', () => {
  const { capability } = make()
  const check = (grant: Partial<GrantOf<'crypto'>>) => capability.check?.(grantOf(grant)).join('\n') ?? ''
  assert.equal(check({}), '')
  const { keys: _keys, ...keyless } = grantOf()
  assert.match(capability.check?.(keyless)[0] ?? '', /"hmac" needs keys/)
  assert.match(check({ ops: ['hash'] }), /of use only with "hmac"/)
  assert.match(check({ keys: ['*'] }), /keys: "\*" is no name of a secret/)
})

test('each use is told with its algorithm and key, and narrows the grant', async () => {
  const { capability } = make()
  const told: [string, string, boolean][] = []
  const use = capability.use(grantOf(), { plugin: 'p', instance: 'one', onUse: (...one) => void told.push(one) })
  const invocation = { hook: 'test', endpoints: new Set<string>(), deadlineMs: 0 }
  const run = async (op: string, ...args: unknown[]) => use.operations[op]?.(args, invocation)
  await run('hmac', 'sha256', 'signing', 'x')
  await run('hmac', 'sha256', 'foreign', 'x').catch(() => {})
  await run('randomUuid')
  assert.deepEqual(told, [
    ['hmac', 'hmac sha256 signing', true],
    ['hmac', 'hmac sha256 foreign', false],
    ['randomUuid', 'randomUuid', true],
  ])
  const narrow = (...targets: string[]) => capability.narrow?.(grantOf(), targets)
  assert.deepEqual(narrow(...told.map(([, target]) => target)), {
    kind: 'crypto',
    ops: ['hmac', 'randomUuid'],
    keys: ['signing'],
  })
  assert.deepEqual(narrow('hash sha256'), { kind: 'crypto', ops: ['hash'] })
  assert.equal(narrow(), undefined)
})
