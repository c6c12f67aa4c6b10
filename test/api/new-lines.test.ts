import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newLines } from '../../runtime/api/new-lines.ts'

const lines = (text: string) => text.split('').map((line) => ({ instance: 'a', stream: 'stdout' as const, line }))

const cases: [string, string, string, string][] = [
  ['nothing was there', '', 'ab', 'ab'],
  ['nothing is new', 'abc', 'abc', ''],
  ['lines were added', 'abc', 'abcde', 'de'],
  ['the window moved on', 'abcd', 'cdef', 'ef'],
  ['the window has nothing of before', 'abcd', 'wxyz', 'wxyz'],
  ['lines repeat', 'aaa', 'aaab', 'b'],
  ['a repeated line came once more, and the window still grows', 'aaa', 'aaaa', 'a'],
  ['the replica is gone', 'abc', '', ''],
]
for (const [title, seen, now, expected] of cases)
  test(`new lines when ${title}`, () => {
    assert.equal(
      newLines(lines(seen), lines(now))
        .map(({ line }) => line)
        .join(''),
      expected,
    )
  })
