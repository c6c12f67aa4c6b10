import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nearest } from '../runtime/nearest.ts'

const known = ['command', 'image', 'workingDir', 'env', 'ports', 'cpuPercent', 'minReplicas', 'maxReplicas', 'in']
const cases: [given: string, meant: string | undefined][] = [
  ['comand', 'command'],
  ['commnad', 'command'],
  ['Command', 'command'],
  ['workdir', undefined],
  ['workingdir', 'workingDir'],
  ['imgae', 'image'],
  ['port', 'ports'],
  ['minReplica', 'minReplicas'],
  ['maxReplicsa', 'maxReplicas'],
  ['cpu', 'cpuPercent'],
  ['environment', 'env'],
  ['en', 'env'],
  ['volumes', undefined],
  ['', undefined],
  ['x'.repeat(100_000), undefined],
]
for (const [given, meant] of cases)
  test(`${JSON.stringify(given.slice(0, 20))} ${meant ? `means ${meant}` : 'means nothing known'}`, () =>
    assert.equal(nearest(given, known), meant))
