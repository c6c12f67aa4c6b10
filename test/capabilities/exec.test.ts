/** The capability `exec` with real programs. What attackers try is in test/hostile/exec-*.test.ts. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { chmod, copyFile, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { ExecResult } from '@orchestry/sdk'
import type { GrantOf } from '../../runtime/capabilities/capability.ts'
import { createExecCapability } from '../../runtime/capabilities/exec.ts'
import { systemClock } from '../../runtime/clock.ts'
import { bindAs } from '../support/bound.ts'
import { tempDir } from '../support/temp-dir.ts'

type Command = GrantOf<'exec'>['commands'][number]
const grantOf = (...commands: Command[]): GrantOf<'exec'> => ({ kind: 'exec', why: 'test', commands })
const capability = createExecCapability({ clock: systemClock, reserved: [] })
const pin = async (grant: GrantOf<'exec'>) => capability.pin?.(grant) ?? grant

async function make(t: TestContext, ...commands: Command[]) {
  const guest = bindAs(capability, await pin(grantOf(...commands)))
  t.after(() => guest.bound.dispose())
  const run = async (name: string, values?: Record<string, string | number>, timeoutMs = 5_000) =>
    (await guest.callWith({ timeoutMs }, 'exec.run', name, values ?? null)) as ExecResult
  return { ...guest, run }
}

/** A folder that user nobody may enter, with a script in it. */
async function script(t: TestContext, text: string, name = 'tool') {
  const dir = await tempDir(t)
  await chmod(dir, 0o755)
  const path = join(dir, name)
  await writeFile(path, `#!/bin/sh\n${text}\n`)
  await chmod(path, 0o755)
  return { dir, path }
}

test('a command answers with its code, its outputs and how long it took', async (t) => {
  const { path } = await script(t, 'echo "out $# $1 $2"; echo err >&2; exit 3')
  const { run, bound } = await make(t, { name: 'tool', path, args: ['-n', '{n:int}'] })
  const result = await run('tool', { n: 7 })
  assert.deepEqual(
    { ...result, durationMs: 0 },
    {
      code: 3,
      signal: null,
      stdout: 'out 2 -n 7\n',
      stderr: 'err\n',
      isCut: false,
      durationMs: 0,
    },
  )
  assert.ok(result.durationMs > 0)
  assert.deepEqual(
    bound.usage()[0]?.targets.map(({ operation, target, allowed }) => [operation, target, allowed]),
    [['run', 'tool -n 7', 1]],
  )
})

test('C37: it has no environment but three words, nothing to read, an empty directory, and nobody else\u2019s rights', async (t) => {
  const { path } = await script(
    t,
    'env | grep -v -e ^PWD -e ^_ -e ^SHLVL -e ^OLDPWD; cat; pwd -P; ls -A; id -u; touch left-behind',
  )
  const { run } = await make(t, { name: 'tool', path })
  const { code, stdout } = await run('tool')
  const lines = stdout.trim().split('\n')
  assert.equal(code, 0)
  assert.deepEqual(lines.slice(0, 3).sort(), ['LANG=C', 'PATH=/usr/bin:/bin', 'TZ=UTC'])
  assert.match(lines[3] ?? '', /\/orchestry-exec-[^/]+$/)
  const uid = process.getuid?.() ?? 0
  assert.deepEqual(lines.slice(4), [String(uid === 0 ? 65_534 : uid)])
  assert.ok(!(await readdir(tmpdir())).some((name) => lines[3]?.endsWith(name)), 'the directory is gone')
})

test('a program that goes by the name of its link is run by it', async (t) => {
  const { dir, path } = await script(t, 'echo "$0"', 'many')
  await symlink(path, join(dir, 'one'))
  const { run } = await make(t, { name: 'one', path: join(dir, 'one') })
  assert.match((await run('one')).stdout, /\/one\n$/)
})

test('what is pinned is the program that stands there at consent', async (t) => {
  const { path } = await script(t, 'echo one')
  const digest = createHash('sha256')
    .update(await readFile(path))
    .digest('hex')
  assert.equal((await pin(grantOf({ name: 'tool', path }))).commands[0]?.digest, digest)
  const other = grantOf({ name: 'tool', path, digest: '0'.repeat(64) })
  await assert.rejects(pin(other), { code: 'ORC_CAPABILITY_DENIED', message: /is not the program that was agreed to/ })
})

for (const [what, mode, why] of [
  ['cannot be executed', 0o644, /not executable/],
  ['lends the rights of its owner', 0o4755, /setuid/],
  ['may be written by everybody', 0o777, /every user/],
] as const) {
  test(`a program that ${what} cannot be granted`, async (t) => {
    const { path } = await script(t, 'true')
    await chmod(path, mode)
    await assert.rejects(pin(grantOf({ name: 'tool', path })), { code: 'ORC_CAPABILITY_DENIED', message: why })
  })
}

test('what is no program is said at consent', async (t) => {
  const dir = await tempDir(t)
  await assert.rejects(pin(grantOf({ name: 'x', path: join(dir, 'none') })), { code: 'ORC_CAPABILITY_FAILED' })
  await assert.rejects(pin(grantOf({ name: 'x', path: dir })), { code: 'ORC_CAPABILITY_DENIED', message: /not a file/ })
})

for (const [path, args, why] of [
  ['nginx', [], /not absolute/],
  ['/usr/bin/../bin/x', [], /not plain/],
  ['/bin/sh', [], /runs whatever it is told/],
  ['/usr/bin/bash', [], /runs whatever it is told/],
  ['/usr/bin/sudo', [], /runs whatever it is told/],
  ['/usr/bin/env', [], /runs whatever it is told/],
  ['/bin/busybox', [], /runs whatever it is told/],
  ['/proc/self/exe', [], /no program may be granted/],
  ['/srv/own/bin/x', [], /no program may be granted/],
  ['/usr/bin/x', ['{x:any}'], /none of \{name:int\}/],
] as const) {
  test(`the command ${path} ${args.join(' ')} is refused in words`, () => {
    const own = createExecCapability({ clock: systemClock, reserved: ['/srv/own'] })
    const problems = own.check?.(grantOf({ name: 'x', path, args: [...args] })) ?? []
    assert.equal(problems.length, 1)
    assert.match(problems[0] ?? '', why)
  })
}

test('a shell under another name is a shell', async (t) => {
  const dir = await tempDir(t)
  await symlink('/bin/sh', join(dir, 'tool'))
  assert.match(capability.check?.(grantOf({ name: 'x', path: join(dir, 'tool') }))[0] ?? '', /runs whatever it is told/)
})

test('a command is killed when its time, or that of the hook call, is over', async (t) => {
  const { path } = await script(t, 'sleep 60')
  const { run } = await make(t, { name: 'short', path, timeoutMs: 200 }, { name: 'long', path })
  const limit = { code: 'ORC_CAPABILITY_LIMIT', message: /had not ended after \d+ ms and was killed/ }
  await assert.rejects(run('short'), limit)
  await assert.rejects(run('long', {}, 400), limit)
  await assert.rejects(run('long', {}, 100), { code: 'ORC_HOOK_OVERLOADED' })
})

test('four run at once, and the next ones wait', async (t) => {
  const { path } = await script(t, 'sleep 0.3')
  const { run } = await make(t, { name: 'tool', path })
  const ends = await Promise.all(Array.from({ length: 6 }, () => run('tool').then(() => performance.now())))
  ends.sort((a, b) => a - b)
  const [first = 0, fifth = 0] = [ends[0], ends[4]]
  assert.ok(fifth - first >= 290, `the fifth began when the first had ended: ${fifth - first} ms`)
})

test('closing the plugin ends its commands', async (t) => {
  const { path } = await script(t, 'sleep 60')
  const { run, bound } = await make(t, { name: 'tool', path })
  const ended = run('tool')
  setTimeout(() => bound.dispose(), 200)
  const result = await ended
  assert.deepEqual([result.code, result.signal], [null, 'SIGKILL'])
  assert.ok(result.durationMs < 3_000)
})

test('a program that user nobody may not run is told as such', {
  skip: process.getuid?.() === 0 ? false : 'needs root',
}, async (t) => {
  const dir = await tempDir(t)
  await mkdir(join(dir, 'private'), { mode: 0o700 })
  const path = join(dir, 'private', 'tool')
  await copyFile('/bin/true', path)
  await chmod(path, 0o700)
  const { run } = await make(t, { name: 'tool', path })
  await assert.rejects(run('tool'), { code: 'ORC_CAPABILITY_FAILED', message: /could not be started/ })
})

test('narrowed, a grant holds the commands that were run', () => {
  const one: Command = { name: 'one', path: '/usr/bin/one', args: ['{n:int}'] }
  const grant = grantOf(one, { name: 'two', path: '/usr/bin/two' })
  assert.deepEqual(capability.narrow?.(grant, ['one 3', 'one 4'])?.commands, [one])
  assert.equal(capability.narrow?.(grant, []), undefined)
})
