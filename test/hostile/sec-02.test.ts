/** SEC-02: a plugin asks for secrets that are not its own. Nothing in the answer tells it which of them there are. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createCryptoCapability } from '../../runtime/capabilities/crypto.ts'
import { createSecretsCapability } from '../../runtime/capabilities/secrets.ts'
import { systemClock } from '../../runtime/clock.ts'
import { openHostileGuest } from '../support/hostile-guest.ts'

const values = new Map([
  ['mine', 'value-of-mine'],
  ['mine2', 'value-of-mine2'],
  ['theirs', 'value-of-theirs'],
])
const asked: string[] = []
const secretOf = (name: string) => {
  asked.push(name)
  return values.get(name)
}
/** Not granted, a beginning of a granted one, one that begins like it, paths, another's, and one that nobody has. */
const names = [
  'theirs',
  'mi',
  'mine2',
  '../mine',
  'mine/../theirs',
  './mine',
  'other-tenant/mine',
  'nowhere',
  'gone',
  '',
]
type Outcome = { name: string; code: string; message: string }

/** The names stand in the messages, and are all that differs. */
function assertAlike(outcomes: readonly Outcome[]): void {
  const shapes = new Set(
    outcomes.map(({ name, code, message }) => `${code} ${message.replace(JSON.stringify(name), '…')}`),
  )
  assert.equal(shapes.size, 1, [...shapes].join('\n'))
  assert.match([...shapes][0] ?? '', /^ORC_CAPABILITY_DENIED /)
  for (const { message } of outcomes) assert.doesNotMatch(message, /value-of/)
}

test('SEC-02: reading: what is there and what is not are refused in the same words, after the same look', async (t) => {
  const guest = await openHostileGuest(t, {
    capability: createSecretsCapability({ secretOf }),
    grant: { kind: 'secrets', mode: 'reveal', names: ['mine', 'gone'], why: 'test' },
    body: `
      const outcomes = []
      for (const name of input)
        try { outcomes.push({ name, value: await ctx.secrets.get(name) }) }
        catch (error) { outcomes.push({ name, code: error.code, message: error.message }) }
      return outcomes`,
  })
  asked.length = 0
  const [own, ...refused] = (await guest.attack(['mine', ...names])) as (Outcome & { value?: string })[]
  assert.equal(own?.value, 'value-of-mine')
  assert.deepEqual(
    refused.map(({ name }) => name),
    names,
  )
  assertAlike(refused)
  assert.deepEqual(asked, ['mine', ...names])
  assert.equal(guest.violations.length, names.length)
})

test('SEC-02: as keys: likewise', async (t) => {
  const guest = await openHostileGuest(t, {
    capability: createCryptoCapability({ clock: systemClock, secretOf }),
    grant: { kind: 'crypto', ops: ['hmac'], keys: ['mine', 'gone'] },
    body: `
      const outcomes = []
      for (const name of input)
        try { outcomes.push({ name, value: await ctx.crypto.hmac('sha256', name, 'data') }) }
        catch (error) { outcomes.push({ name, code: error.code, message: error.message }) }
      return outcomes`,
  })
  asked.length = 0
  const [own, ...refused] = (await guest.attack(['mine', ...names])) as (Outcome & { value?: string })[]
  assert.match(own?.value ?? '', /^[0-9a-f]{64}$/)
  assertAlike(refused)
  assert.deepEqual(asked, ['mine', ...names])
})
