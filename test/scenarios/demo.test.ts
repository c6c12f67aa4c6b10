/** `npm run demo` as a newcomer runs it: exit code 0, nothing failed, nothing left behind. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runCli } from '../support/orchestry.ts'
import { processesNaming } from '../support/processes.ts'

test('the demo scales out and in, fails no request, ends at one replica and leaves nothing, in under a minute', async (t) => {
  const startedMs = performance.now()
  const { code, stdout, stderr } = await runCli(['demo'])
  const seconds = (performance.now() - startedMs) / 1000
  t.diagnostic(stdout.trimEnd().split('\n').slice(-4).join(' | '))
  assert.equal(code, 0, `${stdout}\n${stderr}`)
  assert.ok(seconds < 60, `${seconds} s`)
  assert.match(stdout, / 0 failed; scaled out [1-9]\d*×, in [1-9]\d*×; at most [2-9] replicas, 1 at the end/)
  assert.match(stdout, /▲ out 1 → \d: rps/)
  assert.deepEqual(processesNaming('orchestry-demo-'), [])
})
