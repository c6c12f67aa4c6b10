import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createRedactor, formsOf } from '../../runtime/secrets/redact.ts'
import { seeded } from '../support/seeded.ts'

const secret = 'hunter2/s3cr"et+ü~1'
const { redact, redactData } = createRedactor([secret, 'other-secret-value'])
const base64 = (text: string) => Buffer.from(text).toString('base64')

const hidden: [string, string, string][] = [
  ['plain', `a ${secret} b`, 'a *** b'],
  ['twice', `${secret},${secret}`, '***,***'],
  ['two of them', `${secret} and other-secret-value`, '*** and ***'],
  ['at the very end', `=${secret}`, '=***'],
  ['nothing else', secret, '***'],
  ['escaped for JSON', `{"k":${JSON.stringify(secret)}}`, '{"k":"***"}'],
  ['in a URL', `https://x.example/?k=${encodeURIComponent(secret)}&b=1`, 'https://x.example/?k=***&b=1'],
  ['in a URL, small digits', encodeURIComponent(secret).replaceAll('%2F', '%2f').replaceAll('%C3%BC', '%c3%bc'), '***'],
  ['in a form', new URLSearchParams({ k: secret, b: '1' }).toString(), 'k=***&b=1'],
  ['base64', base64(secret), '***'],
  ['base64url', Buffer.from(secret).toString('base64url'), '***'],
]
for (const [title, text, wanted] of hidden)
  test(`C42: a value is hidden: ${title}`, () => {
    const small = (one: string) => one.replace(/%[0-9A-F]{2}/g, (escaped) => escaped.toLowerCase())
    assert.equal(redact(title.includes('small') ? small(text) : text), wanted)
  })

test('C42: base64 of the value with anything before and after it gives nothing away but its edges', () => {
  for (let before = 0; before < 7; before += 1)
    for (let after = 0; after < 7; after += 1)
      for (const encoding of ['base64', 'base64url'] as const) {
        const text = Buffer.from('u'.repeat(before) + secret + 'v'.repeat(after)).toString(encoding)
        const redacted = redact(text)
        assert.match(redacted, /\*\*\*/, `${before} ${after}`)
        const shown = redacted.replace('***', '').replaceAll('=', '').length
        assert.ok(shown <= Math.ceil((before + after) / 3) * 4 + 6, `${before} ${after}: ${redacted}`)
      }
})

test('values that overlap, or of which one begins like the other, leave no piece behind', () => {
  const { redact: hide } = createRedactor(['abcdefgh', 'efghijklmn', 'abcdefghXYZ'])
  assert.equal(hide('1abcdefghijklmn2'), '1***2')
  assert.equal(hide('1abcdefghXYZ2'), '1***2')
  assert.equal(hide('1abcdefghXY2'), '1***XY2')
  assert.equal(hide('abcdefg'), 'abcdefg')
})

test('what holds no value is given back as it is, the same object even', () => {
  const data = { a: ['x'.repeat(100), 5, null, true], b: { c: 'hunter2/s3cr' } }
  assert.equal(redactData(data), data)
  assert.equal(redact('hunter2/s3cr'), 'hunter2/s3cr')
  assert.equal(createRedactor([]).redact(secret), secret)
})

test('data is redacted in every text of it, in names of fields too', () => {
  const data = { [secret]: [secret, { deep: `x${base64(secret)}` }], n: 5 }
  assert.deepEqual(redactData(data), { '***': ['***', { deep: 'x***' }], n: 5 })
})

test('it finds what a plain search finds, wherever it lies', () => {
  const random = seeded(7)
  const letters = 'ab'
  const word = (length: number) => Array.from({ length }, () => letters[Math.floor(random() * letters.length)]).join('')
  for (let round = 0; round < 300; round += 1) {
    const values = Array.from({ length: 1 + (round % 4) }, () => word(8 + (round % 5)))
    const text = word(200)
    const isHidden = new Array<boolean>(text.length).fill(false)
    for (const form of values.flatMap(formsOf))
      for (let at = text.indexOf(form); at >= 0; at = text.indexOf(form, at + 1))
        isHidden.fill(true, at, at + form.length)
    const wanted = Array.from(text, (letter, index) => (isHidden[index] ? '\0' : letter))
      .join('')
      .replace(/\0+/g, '***')
    assert.equal(
      createRedactor(values)
        .redact(text)
        .replace(/(\*\*\*)+/g, '***'),
      wanted,
    )
  }
})

test('the time does not grow with the number of values', () => {
  const text = Array.from({ length: 40_000 }, (_, index) => `word${index % 977} `).join('')
  const timeOf = (count: number) => {
    const { redact: hide } = createRedactor(Array.from({ length: count }, (_, index) => `value-${index}-of-a-secret`))
    hide(text)
    const startedMs = performance.now()
    for (let round = 0; round < 5; round += 1) assert.equal(hide(text), text)
    return performance.now() - startedMs
  }
  const [few, many] = [timeOf(1), timeOf(1_000)]
  assert.ok(many < few * 8 + 50, `${few} ms with one value, ${many} ms with a thousand`)
})
