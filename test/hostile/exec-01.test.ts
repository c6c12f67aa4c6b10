/** EXEC-01: values that want to be options, commands or more than one argument. */
import assert from 'node:assert/strict'
import { chmod, mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { openExecGuest, writeScript } from '../support/exec-guest.ts'
import { tempDir } from '../support/temp-dir.ts'

const attacks: readonly unknown[] = [
  { host: '-oProxyCommand=id' },
  { host: '--' },
  { host: '-' },
  { host: ';id' },
  { host: 'a;id' },
  { host: '$(id)' },
  { host: '`id`' },
  { host: 'a\nid' },
  { host: 'a id' },
  { host: 'a\0b' },
  { host: 'a|id' },
  { host: 'a&id' },
  { host: 'a>b' },
  { host: '../../etc/passwd' },
  { host: '' },
  { host: ['a', 'b'] },
  { host: { toString: 'a' } },
  { host: true },
  { host: null },
  { host: 'a', env: 'x' },
  { host: 'a', constructor: 'x' },
  { host: 'x'.repeat(100_000) },
  {},
  [],
  'a',
  null,
]

test('EXEC-01: no such value is taken, and the program is not started', async (t) => {
  const dir = await tempDir(t)
  const marks = join(dir, 'marks')
  await mkdir(marks)
  await chmod(marks, 0o777)
  const path = await writeScript(dir, 'tool', `touch "${marks}/$$"; echo "$1"`)
  const guest = await openExecGuest(t, {
    commands: [{ name: 'ping', path, args: ['--host={host:token}', '{host:token}'] }],
    body: `
      const told = []
      for (const values of input) told.push(await tell(() => ctx.exec.run('ping', values)))
      return told`,
  })
  assert.deepEqual(await guest.attack(attacks), Array(attacks.length).fill('ORC_CAPABILITY_ARGUMENT'))
  assert.deepEqual(await readdir(marks), [])
  const [fine] = (await guest.attack([{ host: 'a-b' }])) as { stdout: string }[]
  assert.equal(fine?.stdout, '--host=a-b\n')
  assert.equal((await readdir(marks)).length, 1, 'a value that fits starts it')
})
