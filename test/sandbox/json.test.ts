import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parseUntrustedJson, UntrustedJsonError } from '../../runtime/sandbox/json.ts'

const deep = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)

describe('JSON from an untrusted process', () => {
  const good: [string, unknown][] = [
    ['{"a":[1,"\\u0041",null]}', { a: [1, 'A', null] }],
    ['"__proto__"', '__proto__'],
    ['{"say":"__proto__ and constructor"}', { say: '__proto__ and constructor' }],
    ['"[[[[[[[[[["', '[[[[[[[[[['],
    ['"\\"[[[[[["', '"[[[[[['],
    [deep(8), JSON.parse(deep(8))],
    ['{"a\\u0041":"constructor","b":["prototype"]}', { aA: 'constructor', b: ['prototype'] }],
  ]
  for (const [text, value] of good) {
    test(`is read: ${text.slice(0, 40)}`, () => assert.deepEqual(parseUntrustedJson(text, 8), value))
  }

  const bad: [string, string][] = [
    ['deeper than allowed', deep(9)],
    ['10,000 deep', deep(10_000)],
    ['deep after a string with an escaped quote', `["\\"",${deep(9)}]`],
    ['the key __proto__', '{"__proto__":{"polluted":true}}'],
    ['the key constructor, deep inside', '{"a":[{"constructor":1}]}'],
    ['the key prototype', '{"prototype":1}'],
    ['an escaped reserved key', '{"\\u005f_proto__":1}'],
    ['a reserved key before white space', '{"constructor" \n\t: 1}'],
    ['a reserved key after a value that only looks like one', '["prototype",{"prototype":1}]'],
    ['a string without end', '{"constructor'],
    ['a half text', '{"a":'],
    ['nothing', ''],
  ]
  for (const [name, text] of bad) {
    test(`is refused: ${name}`, () => assert.throws(() => parseUntrustedJson(text, 8), UntrustedJsonError))
  }

  test('takes one pass, also when a megabyte is nothing but escapes', () => {
    const text = JSON.stringify({ ['\u0001'.repeat(80_000)]: ['\u0001'.repeat(80_000), '\\'.repeat(80_000)] })
    const startedMs = performance.now()
    parseUntrustedJson(text, 8)
    assert.ok(performance.now() - startedMs < 500, `${performance.now() - startedMs} ms`)
  })

  test('never touches Object.prototype', () => {
    assert.throws(() => parseUntrustedJson('{"__proto__":{"polluted":true}}', 8))
    assert.equal(({} as { polluted?: boolean }).polluted, undefined)
  })
})
