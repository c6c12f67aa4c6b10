import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { readSlots } from '../../runtime/sandbox/slots.ts'

const codes = (body: string, count: number) =>
  readSlots(body, count).map((answer) => (answer.ok ? JSON.stringify(answer.value) : answer.code))

describe('what a guest answered', () => {
  const cases: [string, string, number, string[]][] = [
    ['one value for each item', '[[1,{"a":1}],[1,null]]', 2, ['{"a":1}', 'null']],
    ['a value beside a failure', '[[1,2],[0,"Error: x"]]', 2, ['2', 'ORC_SANDBOX_GUEST_ERROR']],
    ['one failure for the whole call', '[[0,"no"]]', 3, Array(3).fill('ORC_SANDBOX_GUEST_ERROR')],
    ['too few answers', '[[1,2],[1,3]]', 3, Array(3).fill('ORC_SANDBOX_PROTOCOL')],
    ['too many answers', '[[1,2],[1,3]]', 1, ['ORC_SANDBOX_PROTOCOL']],
    ['no list', '{"length":1}', 1, ['ORC_SANDBOX_PROTOCOL']],
    ['no JSON', 'oops', 2, Array(2).fill('ORC_SANDBOX_PROTOCOL')],
    ['a slot in no known form', '[[2,1]]', 1, ['ORC_SANDBOX_PROTOCOL']],
    ['a reserved key', '[[1,{"__proto__":{}}]]', 1, ['ORC_SANDBOX_PROTOCOL']],
    ['a value that is too deep', `[[1,${'['.repeat(40)}${']'.repeat(40)}]]`, 1, ['ORC_SANDBOX_PROTOCOL']],
  ]
  for (const [name, body, count, expected] of cases) {
    test(name, () => assert.deepEqual(codes(body, count), expected))
  }

  test('names the place in the bundle', () => {
    const [answer] = readSlots('[[0,"E: x (plugin.js:3:14)"]]', 1)
    assert.deepEqual(answer, { ok: false, code: 'ORC_SANDBOX_GUEST_ERROR', message: 'E: x', line: 'plugin.js:3:14' })
  })
})
