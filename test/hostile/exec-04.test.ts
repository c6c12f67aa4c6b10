/** EXEC-04: commands that do not want to end, and commands that never stop talking. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Command, openExecGuest, writeScript } from '../support/exec-guest.ts'
import { processesNaming } from '../support/processes.ts'
import { tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'

const timeoutMs = 1_500
/** Each is told a word of its own, by which its processes are found. */
const loop = 'while :; do sleep 0.05; done'
const stubborn: Readonly<Record<string, string>> = {
  forks: `for at in 1 2 3 4 5; do (trap "" TERM INT HUP; : "$1"; ${loop}) & done; trap "" TERM INT HUP; ${loop}`,
  ownSession: `setsid sh -c '${loop}' "$1" & ${loop}`,
  orphan: `(setsid sh -c '${loop}' "$1" > /dev/null 2>&1 &) ; ${loop}`,
  leavesSome: `sh -c '${loop}' "$1" & sleep 0.3; exit 0`,
  leavesUnseen: `(setsid sh -c '${loop}' "$1" > /dev/null 2>&1 &) ; sleep 0.3; exit 0`,
  leavesAway: `setsid sh -c '${loop}' "$1" & sleep 0.3; exit 0`,
}

test('EXEC-04: whatever a command starts is gone when its time is over', {
  skip: process.platform === 'linux' ? false : 'reads /proc',
}, async (t) => {
  const dir = await tempDir(t)
  const commands = await Promise.all(
    Object.entries(stubborn).map(
      async ([name, text]): Promise<Command> => ({
        name,
        path: await writeScript(dir, name, text),
        args: ['{word:token}'],
        timeoutMs,
      }),
    ),
  )
  const guest = await openExecGuest(t, {
    commands,
    body: `return await tell(async () => { const { code } = await ctx.exec.run(input.name, { word: input.word }); return code })`,
  })
  for (const name of Object.keys(stubborn)) {
    const word = `stubborn-${process.pid}-${name}`
    const answer = guest.attack({ name, word })
    await waitFor(() => processesNaming(word).length > 0, { timeoutMs: 20_000, what: `${name} to be started` })
    const seenMs = performance.now()
    const isGone = () => processesNaming(word).length === 0 && performance.now() - seenMs
    const goneMs = await waitFor(isGone, { timeoutMs: 20_000, what: `${name} to be gone` })
    assert.equal(await answer, name.startsWith('leaves') ? 0 : 'ORC_CAPABILITY_LIMIT')
    // Generous: on a machine that does much else looking for them takes its time.
    assert.ok(goneMs < timeoutMs + 5_000, `${name}: ${goneMs} ms`)
  }
})

test('EXEC-04: a flood of output is cut at what was granted, and ends the command', async (t) => {
  const dir = await tempDir(t)
  const both = await writeScript(dir, 'both', 'yes stdout & yes stderr >&2')
  const guest = await openExecGuest(t, {
    commands: [
      { name: 'yes', path: '/usr/bin/yes', maxOutputKb: 16, timeoutMs: 5_000 },
      { name: 'both', path: both, maxOutputKb: 16, timeoutMs: 5_000 },
    ],
    body: `
      const { stdout, stderr, isCut, code, signal, durationMs } = await ctx.exec.run(input)
      return { bytes: stdout.length + stderr.length, isCut, isQuick: durationMs < 4000, ended: code === null }`,
  })
  const cut = { bytes: 16 * 1024, isCut: true, isQuick: true }
  assert.deepEqual(await guest.attack('yes'), { ...cut, ended: true })
  const { ended: _ended, ...both16 } = (await guest.attack('both')) as { ended: boolean }
  assert.deepEqual(both16, cut)
})
