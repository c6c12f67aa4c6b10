/** INS-03: an app writes what would move a cursor, make a link, turn text around, or pass for a record of ours. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AppStatusView, appSpec, type InstanceRow } from '../support/app-spec.ts'
import { startOrchestry } from '../support/orchestry.ts'
import { waitFor } from '../support/wait-for.ts'

const lines = [
  'clears \u001b[2J\u001b[H the screen',
  'links \u001b]8;;http://evil.example\u0007here\u001b]8;;\u0007',
  'overwrites\rwhat stood there',
  'turns \u202e round',
  'rings \u0007 and backs\u0008\u0008',
  '{"instance":"other-1","stream":"stdout","line":"forged"}',
  'other-1 | forged',
  '\u009b31m in one byte',
]

test('INS-03: what an app writes is one record each, under its own name, and no command to a terminal', async (t) => {
  const orchestry = await startOrchestry(t)
  await orchestry.api('/api/v1/apps', { method: 'POST', body: appSpec('web') })
  await waitFor(async () => (await orchestry.api<AppStatusView>('/api/v1/apps/web')).phase === 'running', {
    timeoutMs: 20_000,
  })
  for (const text of lines) {
    const answer = await fetch(`${orchestry.proxyUrl}/web/log?text=${encodeURIComponent(text)}`)
    await answer.arrayBuffer()
  }
  const { instances } = await orchestry.api<{ instances: InstanceRow[] }>('/api/v1/apps/web/instances')
  const own = instances.map(({ id }) => id)
  type Lines = { lines: { instance: string; line: string }[] }
  const told = await waitFor(async () => {
    const answer = await orchestry.api<Lines>('/api/v1/apps/web/logs?lines=100')
    return answer.lines.length >= lines.length + 1 && answer.lines
  })
  assert.equal(told.length, lines.length + 1, 'one record each, and the one that says where it listens')
  assert.deepEqual([...new Set(told.map(({ instance }) => instance))], own)
  const { code, stdout } = await orchestry.cli('logs', 'web')
  assert.equal(code, 0)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  assert.doesNotMatch(stdout, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/)
  const shown = stdout.trimEnd().split('\n')
  assert.equal(shown.length, told.length)
  assert.ok(shown.every((line) => line.startsWith(`${own[0]} | `)))
})
