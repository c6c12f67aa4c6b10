import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CapabilityRecord } from '@orchestry/sdk'
import { combinationProblems } from '../../runtime/capabilities/combinations.ts'

const why = 'test'
const root = (path: string, access: object = { write: ['*'] }): CapabilityRecord => ({
  kind: 'files',
  why,
  roots: [{ name: 'data', path, ...access }],
})
const command = (path: string, ...args: string[]): CapabilityRecord => ({
  kind: 'exec',
  why,
  commands: [{ name: 'tool', path, args }],
})
const socket: CapabilityRecord = { kind: 'unix', why, paths: ['/srv/data/app.sock'] }

for (const [what, grants, expected] of [
  [
    'the program itself lies in a root to write',
    [root('/srv/data'), command('/srv/data/bin/tool')],
    /must not write what it may run/,
  ],
  ['the root lies beside the program', [root('/opt/tool/bin/conf'), command('/opt/tool/bin/tool')], /must not write/],
  ['the root is the folder of the program', [command('/opt/bin/tool'), root('/opt/bin')], /\/opt\/bin\/tool/],
  [
    'an interpreter reads from a root to write',
    [root('/srv/data'), command('/usr/bin/python3', '/srv/data/x.py')],
    /must not write a program/,
  ],
  [
    'an interpreter is told what to run by the plugin',
    [root('/srv/data'), command('/usr/bin/node', '{file:token}')],
    /must not write a program/,
  ],
  ['a socket lies in a root to write', [root('/srv/data'), socket], /the socket \/srv\/data\/app.sock lies in it/],
] as const) {
  test(`refused together: ${what}`, () => {
    const problems = combinationProblems(grants)
    assert.equal(problems.length, 1)
    assert.match(problems[0] ?? '', expected)
    for (const grant of grants) assert.deepEqual(combinationProblems([grant]), [], 'alone it is harmless')
  })
}

for (const [what, grants] of [
  ['a root to read around the program', [root('/srv/data', { read: ['**'] }), command('/srv/data/tool')]],
  ['a root apart from the program', [root('/srv/data'), command('/srv/database/tool')]],
  [
    'a program that reads what the plugin writes',
    [root('/srv/data'), command('/usr/sbin/nginx', '-t', '-c', '/srv/data/x')],
  ],
  ['an interpreter of something else', [root('/srv/data'), command('/usr/bin/python3', '/opt/x.py', '{n:int}')]],
  ['a socket elsewhere', [root('/srv/other'), socket]],
] as const) {
  test(`granted together: ${what}`, () => {
    assert.deepEqual(combinationProblems(grants), [])
  })
}

test('links lead to what is compared', () => {
  const realPath = (path: string) => path.replace('/srv/link', '/opt/bin')
  assert.equal(combinationProblems([root('/srv/link'), command('/opt/bin/tool')], realPath).length, 1)
  assert.equal(combinationProblems([root('/opt/bin'), command('/srv/link/tool')], realPath).length, 1)
})
