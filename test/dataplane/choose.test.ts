import assert from 'node:assert/strict'
import { test } from 'node:test'
import { choose } from '../../runtime/dataplane/choose.ts'

const of = (...active: number[]) => active.map((count, index) => ({ id: index, active: count, skipUntilMs: 0 }))

test('the endpoint with the fewest requests in flight is taken', () => {
  for (let turn = 0; turn < 6; turn += 1) assert.equal(choose(of(3, 1, 2), turn, 0)?.id, 1)
})

test('ties go round, so that idle endpoints share evenly', () => {
  const taken = [0, 0, 0]
  for (let turn = 0; turn < 300; turn += 1) {
    const id = choose(of(0, 0, 0), turn, 0)?.id ?? -1
    taken[id] = (taken[id] ?? 0) + 1
  }
  assert.deepEqual(taken, [100, 100, 100])
})

test('an endpoint that refused is avoided until its time is over, however idle it is', () => {
  const endpoints = [
    { id: 'refused', active: 0, skipUntilMs: 1_000 },
    { id: 'busy', active: 50, skipUntilMs: 0 },
  ]
  for (const turn of [0, 1]) {
    assert.equal(choose(endpoints, turn, 999)?.id, 'busy')
    assert.equal(choose(endpoints, turn, 1_000)?.id, 'refused')
  }
})

test('when all have refused, the least loaded is tried anyway', () => {
  const endpoints = of(4, 2).map((endpoint) => ({ ...endpoint, skipUntilMs: 10 }))
  assert.equal(choose(endpoints, 0, 5)?.id, 1)
})

test('without candidates there is no choice', () => {
  assert.equal(choose([], 7, 0), undefined)
})
