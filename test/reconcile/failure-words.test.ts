/** What is said of replicas that ended: which bound it was, and in sentences that end. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { App } from '../../runtime/apps/app.ts'
import { sampleSpec } from '../support/fake-apps.ts'
import { createReconcileWorld } from '../support/reconcile-world.ts'

const killed = { code: 137, signal: 'SIGKILL', isOutOfMemory: true } as const
const mebibyte = 1024 * 1024
const limits: [title: string, spec: Partial<App>, said: RegExp][] = [
  [
    'of the spec',
    { image: 'a', memoryBytes: 64 * mebibyte },
    /was ended by SIGKILL: killed for memory, its limit is 64Mi \(resources\.memory\)\. Last output: last words of shop-\w+\. Version/,
  ],
  ['of the policy', { image: 'a' }, /killed for memory, its limit is 512Mi \(where resources\.memory is not given\)\./],
]
for (const [title, spec, said] of limits)
  test(`a replica that is killed for memory has its limit named, ${title}`, async () => {
    const world = createReconcileWorld()
    world.apps.put('shop', { app: sampleSpec('shop', spec), desired: 1 })
    world.driver.onStart = ({ id }) => void world.clock.after(5, () => world.driver.crash(id, killed))
    await world.start()
    await world.settle('shop', 5_000)
    assert.match(world.reconciler.status('shop').problems.join(), said)
  })
