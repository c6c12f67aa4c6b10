/** EXEC-02: a program that was not granted, or is not the one that was. */
import assert from 'node:assert/strict'
import { appendFile, readFile, rename, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { createExecCapability } from '../../runtime/capabilities/exec.ts'
import { systemClock } from '../../runtime/clock.ts'
import { openExecGuest, writeScript } from '../support/exec-guest.ts'
import { openHostileGuest } from '../support/hostile-guest.ts'
import { tempDir } from '../support/temp-dir.ts'

const body = `
  const told = []
  for (const name of input) told.push(await tell(async () => (await ctx.exec.run(name)).stdout))
  return told`

test('EXEC-02: only names of the grant are run, never paths or what PATH would find', async (t) => {
  const dir = await tempDir(t)
  const path = await writeScript(dir, 'tool', 'echo tool; ls')
  await writeScript(dir, 'ls', 'echo shadow')
  const before = process.env.PATH
  t.after(() => {
    process.env.PATH = before
  })
  process.env.PATH = `${dir}:${before}`
  const guest = await openExecGuest(t, { commands: [{ name: 'tool', path }], body })
  const others = ['id', 'ls', '/bin/ls', path, './tool', 'tool ', 'Tool', '', '__proto__', 'constructor', 'tool;id']
  assert.deepEqual(await guest.attack(others), Array(others.length).fill('ORC_CAPABILITY_DENIED'))
  assert.deepEqual(await guest.attack(['tool']), ['tool\n'], 'what it runs itself is found where it is always found')
})

test('EXEC-02: a program that was changed or replaced is not run any more', async (t) => {
  const dir = await tempDir(t)
  const names = ['appended', 'replaced', 'linked']
  const commands = await Promise.all(
    names.map(async (name) => ({ name, path: await writeScript(dir, name, `echo ${name}`) })),
  )
  const evil = await writeScript(dir, 'evil', 'echo evil')
  const guest = await openExecGuest(t, { commands, body })
  assert.deepEqual(await guest.attack(names), ['appended\n', 'replaced\n', 'linked\n'])
  const before = await readFile(join(dir, 'appended'))
  await appendFile(join(dir, 'appended'), 'echo evil\n')
  await rename(await writeScript(dir, 'new', 'echo evil'), join(dir, 'replaced'))
  await rename(join(dir, 'linked'), join(dir, 'kept'))
  await symlink(evil, join(dir, 'linked'))
  assert.deepEqual(await guest.attack(names), Array(3).fill('ORC_CAPABILITY_DENIED'))
  await writeFile(join(dir, 'appended'), before)
  assert.deepEqual(await guest.attack(['appended']), ['appended\n'], 'what counts is what it holds')
})

test('EXEC-02: without a digest nothing is run', async (t) => {
  const dir = await tempDir(t)
  const path = await writeScript(dir, 'tool', 'echo tool')
  const guest = await openHostileGuest(t, {
    capability: createExecCapability({ clock: systemClock, reserved: [] }),
    grant: { kind: 'exec', why: 'test', commands: [{ name: 'tool', path }] },
    body,
  })
  assert.deepEqual(await guest.attack(['tool']), ['ORC_CAPABILITY_DENIED'])
})
