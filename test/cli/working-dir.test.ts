import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parse } from 'yaml'
import { placeWorkingDir } from '../../runtime/cli/working-dir.ts'

const folder = (text: string) =>
  (parse(placeWorkingDir(text, '/home/me/my app').text) as { spec: { workingDir?: string } }).spec.workingDir

describe('the folder of a spec file', () => {
  const cases: [string, string, string | undefined][] = [
    ['is where the app runs', 'kind: App\nspec:\n  command: [node, s.js]\n', '/home/me/my app'],
    ['also in a spec on one line', 'kind: App\nspec: { command: [node, s.js] }\n', '/home/me/my app'],
    ['also in JSON', '{"kind":"App","spec":{"command":["node","s.js"]}}', '/home/me/my app'],
    ['is what a relative folder counts from', 'spec:\n  workingDir: ./src\n  command: [a]\n', '/home/me/my app/src'],
    ['is the dot', 'spec:\n    command: [a]\n    workingDir: .\n', '/home/me/my app'],
    ['does not touch an absolute one', 'spec: { workingDir: /srv, command: [a] }', '/srv'],
    ['is nothing to a container', 'spec: { image: x:1, command: [a] }', undefined],
    ['is nothing to another driver', 'spec: { driver: docker, command: [a] }', undefined],
    ['waits for a command', 'spec: {}', undefined],
  ]
  for (const [name, text, expected] of cases) test(name, () => assert.equal(folder(text), expected))

  test('leaves what cannot be read to the server', () => {
    for (const text of ['spec: {', 'a: 1\na: 2', '', '- x', 'spec: [1]'])
      assert.equal(placeWorkingDir(text, '/x').text, text)
  })

  test('does not move the places that problems are told at', () => {
    const block = 'kind: App\nspec:\n  command: [a]\n  wrong: 1\nscalling: {}\n'
    const { text, toOriginal } = placeWorkingDir(block, '/x')
    const line = (source: string, word: string) => source.split('\n').findIndex((row) => row.includes(word)) + 1
    for (const word of ['wrong', 'scalling', 'kind']) {
      const problem = { path: '', message: '', line: line(text, word), column: 3 }
      assert.equal(toOriginal(problem).line, line(block, word), word)
    }
    const flow = 'spec: { command: [a], wrong: 1 }'
    const placed = placeWorkingDir(flow, '/x')
    const column = placed.text.indexOf('wrong') + 1
    assert.equal(placed.toOriginal({ path: '', message: '', line: 1, column }).column, flow.indexOf('wrong') + 1)
  })
})
