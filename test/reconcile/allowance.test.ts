import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ReplicaShare } from '../../runtime/apps/app.ts'
import { allowanceOf } from '../../runtime/reconcile/allowance.ts'

type Row = [surge: ReplicaShare, unavailable: ReplicaShare, wanted: number, allowed: [number, number]]
const rows: Row[] = [
  [1, 0, 4, [1, 0]],
  [3, 2, 1, [3, 2]],
  ['25%', '25%', 4, [1, 1]],
  ['25%', '25%', 10, [3, 2]],
  ['25%', '25%', 3, [1, 0]],
  ['25%', '25%', 1, [1, 0]],
  ['100%', '0%', 7, [7, 0]],
  ['7%', '7%', 100, [7, 7]],
  [0, '25%', 3, [0, 1]],
  ['0%', '25%', 8, [0, 2]],
  ['25%', 0, 0, [0, 1]],
]
for (const [maxSurge, maxUnavailable, wanted, [surge, unavailable]] of rows)
  test(`surge ${maxSurge} and unavailable ${maxUnavailable} of ${wanted} are ${surge} and ${unavailable}`, () => {
    assert.deepEqual(allowanceOf({ maxSurge, maxUnavailable }, wanted), { surge, unavailable })
  })
